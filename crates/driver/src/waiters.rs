//! Callers that wait until what they declared has come to rest.

use std::collections::BTreeMap;

use chanter_engine::ObjectStatus;
use chanter_intent::{ObjectKey, SourceId};
use chanter_types::Instant;
use tokio::sync::oneshot;

/// What a caller of `declare` gets.
pub(crate) type Reply = oneshot::Sender<Vec<(ObjectKey, ObjectStatus)>>;

/// What is to become of an object for its wait to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Declared: in place, or refused.
    Settled,
    /// No longer declared: gone.
    Removed,
}

impl Goal {
    pub(crate) fn is_met_by(self, status: &ObjectStatus) -> bool {
        match self {
            Goal::Settled => matches!(
                status,
                ObjectStatus::Installed
                    | ObjectStatus::Rejected { .. }
                    | ObjectStatus::Failed { .. }
            ),
            Goal::Removed => *status == ObjectStatus::Removed,
        }
    }
}

#[derive(Debug)]
struct Waiter {
    waiting: BTreeMap<ObjectKey, (Goal, ObjectStatus)>,
    done: Vec<(ObjectKey, ObjectStatus)>,
    deadline: Instant,
    reply: Reply,
}

impl Waiter {
    fn finish(mut self) {
        self.done.extend(
            self.waiting
                .into_iter()
                .map(|(key, (_, status))| (key, status)),
        );
        // A caller that went away misses nothing.
        let _ = self.reply.send(self.done);
    }
}

/// All callers that wait, found by object so that a status costs no search.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_number: BTreeMap<u64, Waiter>,
    by_object: BTreeMap<(SourceId, ObjectKey), Vec<u64>>,
    by_deadline: BTreeMap<(Instant, u64), SourceId>,
    next_number: u64,
}

impl Waiters {
    /// Lets a caller wait for `waiting`, whose statuses are those of now, with `done` settled
    /// already.
    pub(crate) fn add(
        &mut self,
        source: SourceId,
        waiting: BTreeMap<ObjectKey, (Goal, ObjectStatus)>,
        done: Vec<(ObjectKey, ObjectStatus)>,
        deadline: Instant,
        reply: Reply,
    ) {
        let waiter = Waiter {
            waiting,
            done,
            deadline,
            reply,
        };
        if waiter.waiting.is_empty() {
            return waiter.finish();
        }
        let number = self.next_number;
        self.next_number += 1;
        for key in waiter.waiting.keys() {
            self.by_object
                .entry((source, key.clone()))
                .or_default()
                .push(number);
        }
        self.by_deadline.insert((deadline, number), source);
        self.by_number.insert(number, waiter);
    }

    /// Takes note of a status, and answers the callers whose last wait it ends.
    pub(crate) fn status(&mut self, source: SourceId, key: &ObjectKey, status: &ObjectStatus) {
        let at = (source, key.clone());
        let Some(numbers) = self.by_object.get_mut(&at) else {
            return;
        };
        let mut complete = Vec::new();
        numbers.retain(|number| {
            let Some(waiter) = self.by_number.get_mut(number) else {
                return false;
            };
            let Some((goal, last)) = waiter.waiting.get_mut(key) else {
                return false;
            };
            *last = status.clone();
            if !goal.is_met_by(status) {
                return true;
            }
            waiter.waiting.remove(key);
            waiter.done.push((key.clone(), status.clone()));
            if waiter.waiting.is_empty() {
                complete.push(*number);
            }
            false
        });
        if numbers.is_empty() {
            self.by_object.remove(&at);
        }
        for number in complete {
            if let Some(waiter) = self.by_number.remove(&number) {
                self.by_deadline.remove(&(waiter.deadline, number));
                waiter.finish();
            }
        }
    }

    /// When the next caller's patience ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline
            .keys()
            .next()
            .map(|(deadline, _)| *deadline)
    }

    /// Answers the callers whose patience has ended.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(entry) = self.by_deadline.first_entry().filter(|e| e.key().0 <= now) {
            let ((_, number), source) = entry.remove_entry();
            let Some(waiter) = self.by_number.remove(&number) else {
                continue;
            };
            for key in waiter.waiting.keys() {
                let at = (source, key.clone());
                if let Some(numbers) = self.by_object.get_mut(&at) {
                    numbers.retain(|other| *other != number);
                    if numbers.is_empty() {
                        self.by_object.remove(&at);
                    }
                }
            }
            waiter.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use chanter_intent::InstanceId;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::Instance(InstanceId::new(name))
    }

    fn wait(
        waiters: &mut Waiters,
        keys: &[(&str, Goal)],
        deadline: u64,
    ) -> oneshot::Receiver<Vec<(ObjectKey, ObjectStatus)>> {
        let (reply, answer) = oneshot::channel();
        let waiting = keys
            .iter()
            .map(|(name, goal)| (key(name), (*goal, ObjectStatus::Pending)))
            .collect();
        waiters.add(
            SourceId::Rest,
            waiting,
            Vec::new(),
            Instant::from_secs(deadline),
            reply,
        );
        answer
    }

    #[test]
    fn a_caller_is_answered_when_its_last_object_has_come_to_rest() {
        let mut waiters = Waiters::default();
        let mut answer = wait(
            &mut waiters,
            &[("a", Goal::Settled), ("b", Goal::Removed)],
            9,
        );
        waiters.status(SourceId::Rest, &key("a"), &ObjectStatus::Pending);
        waiters.status(SourceId::Rest, &key("b"), &ObjectStatus::Installed);
        waiters.status(SourceId::Ovn, &key("a"), &ObjectStatus::Installed);
        assert!(answer.try_recv().is_err(), "nothing has come to rest");
        waiters.status(SourceId::Rest, &key("a"), &ObjectStatus::Installed);
        assert!(answer.try_recv().is_err(), "b is still there");
        waiters.status(SourceId::Rest, &key("b"), &ObjectStatus::Removed);
        let statuses = answer.try_recv().expect("both have come to rest");
        assert_eq!(
            statuses,
            [
                (key("a"), ObjectStatus::Installed),
                (key("b"), ObjectStatus::Removed)
            ]
        );
        assert!(waiters.by_object.is_empty() && waiters.by_deadline.is_empty());
    }

    #[test]
    fn patience_ends_with_what_holds_then() {
        let mut waiters = Waiters::default();
        let mut early = wait(&mut waiters, &[("a", Goal::Settled)], 1);
        let mut late = wait(&mut waiters, &[("a", Goal::Settled)], 2);
        assert_eq!(waiters.next_deadline(), Some(Instant::from_secs(1)));
        waiters.expire(Instant::from_secs(1));
        assert_eq!(
            early.try_recv().expect("expired"),
            [(key("a"), ObjectStatus::Pending)]
        );
        waiters.status(SourceId::Rest, &key("a"), &ObjectStatus::Installed);
        assert_eq!(
            late.try_recv().expect("settled"),
            [(key("a"), ObjectStatus::Installed)]
        );
        assert_eq!(waiters.next_deadline(), None);
        assert!(waiters.by_object.is_empty() && waiters.by_number.is_empty());
    }
}
