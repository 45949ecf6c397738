//! Objects that are left alone for a while: the kernel refused them, or something else keeps
//! undoing what we do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chanter_engine::desired::{DataplaneError, DesiredKey};

/// First pause after a refusal; doubled with each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// An object is mended so often in `FIGHT_WINDOW` before it counts as fought over.
const MENDINGS_MAX: u32 = 5;
const FIGHT_WINDOW: Duration = Duration::from_secs(60);

/// How long an object that is fought over is left to the other side, doubled each time.
const TRUCE_MIN: Duration = Duration::from_secs(30);
const TRUCE_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Hold {
    until: Instant,
    /// Whether the time is still to come; afterwards only the count of refusals is kept.
    waiting: bool,
    refusals: u32,
    error: DataplaneError,
}

#[derive(Debug)]
struct Mending {
    since: Instant,
    count: u32,
    truces: u32,
}

/// What is held back, until when.
#[derive(Debug, Default)]
pub(super) struct Holds {
    held: BTreeMap<DesiredKey, Hold>,
    mended: BTreeMap<DesiredKey, Mending>,
}

impl Holds {
    /// Why the object is held back, if it is.
    pub(super) fn held(&self, key: &DesiredKey) -> Option<&DataplaneError> {
        self.held
            .get(key)
            .filter(|hold| hold.waiting)
            .map(|hold| &hold.error)
    }

    /// The kernel refused it: tried again later, and later each time.
    pub(super) fn refused(&mut self, key: &DesiredKey, error: DataplaneError, now: Instant) {
        let refusals = self.held.get(key).map_or(0, |hold| hold.refusals);
        let pause = doubled(RETRY_MIN, refusals, RETRY_MAX);
        let hold = Hold {
            until: now + pause,
            waiting: true,
            refusals: refusals + 1,
            error,
        };
        self.held.insert(key.clone(), hold);
    }

    /// It is as it should be.
    pub(super) fn succeeded(&mut self, key: &DesiredKey) {
        self.held.remove(key);
    }

    /// It should be something else now, so what went wrong before says nothing.
    pub(super) fn changed(&mut self, key: &DesiredKey) {
        self.held.remove(key);
        self.mended.remove(key);
    }

    /// It was changed from outside and is about to be mended. Returns for how long it is left alone
    /// instead, if that happens too often.
    pub(super) fn mending(&mut self, key: &DesiredKey, now: Instant) -> Option<Duration> {
        let entry = self.mended.entry(key.clone());
        let mending = entry.or_insert(Mending {
            since: now,
            count: 0,
            truces: 0,
        });
        if now.duration_since(mending.since) > FIGHT_WINDOW {
            mending.since = now;
            mending.count = 0;
        }
        mending.count += 1;
        if mending.count <= MENDINGS_MAX {
            return None;
        }
        let truce = doubled(TRUCE_MIN, mending.truces, TRUCE_MAX);
        mending.truces += 1;
        mending.since = now + truce;
        mending.count = 0;
        let error = DataplaneError {
            message: format!(
                "something else on this node keeps changing it; left alone for {} s",
                truce.as_secs()
            ),
            caused_by_intent: false,
        };
        let hold = Hold {
            until: now + truce,
            waiting: true,
            refusals: 0,
            error,
        };
        self.held.insert(key.clone(), hold);
        Some(truce)
    }

    /// Objects whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<DesiredKey> {
        self.mended.retain(|_, mending| {
            now.saturating_duration_since(mending.since) <= TRUCE_MAX + FIGHT_WINDOW
        });
        let due = self
            .held
            .iter_mut()
            .filter(|(_, hold)| hold.waiting && hold.until <= now);
        due.map(|(key, hold)| {
            hold.waiting = false;
            key.clone()
        })
        .collect()
    }

    /// When `due` has something next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.held
            .values()
            .filter(|hold| hold.waiting)
            .map(|hold| hold.until)
            .min()
    }
}

fn doubled(base: Duration, times: u32, max: Duration) -> Duration {
    base.saturating_mul(1 << times.min(16)).min(max)
}

#[cfg(test)]
mod tests {
    use chanter_engine::desired::DomainId;

    use super::*;

    const KEY: DesiredKey = DesiredKey::Domain(DomainId(1));

    fn error() -> DataplaneError {
        DataplaneError {
            message: "no".to_owned(),
            caused_by_intent: false,
        }
    }

    #[test]
    fn pauses_between_tries_grow_up_to_a_limit() {
        let mut holds = Holds::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            holds.refused(&KEY, error(), now);
            assert!(holds.held(&KEY).is_some());
            assert_eq!(holds.due(now), []);
            let deadline = holds.next_deadline().unwrap();
            pauses.push(deadline.duration_since(now).as_secs());
            now = deadline;
            assert_eq!(holds.due(now), [KEY]);
            assert!(holds.held(&KEY).is_none() && holds.next_deadline().is_none());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        holds.succeeded(&KEY);
        holds.refused(&KEY, error(), now);
        assert_eq!(holds.next_deadline(), Some(now + RETRY_MIN));
    }

    #[test]
    fn who_loses_a_fight_steps_back() {
        let mut holds = Holds::default();
        let start = Instant::now();
        for second in 0..5 {
            assert_eq!(
                holds.mending(&KEY, start + Duration::from_secs(second)),
                None
            );
        }
        let now = start + Duration::from_secs(5);
        assert_eq!(holds.mending(&KEY, now), Some(TRUCE_MIN));
        assert!(holds.held(&KEY).unwrap().message.contains("keeps changing"));
        let now = now + TRUCE_MIN;
        assert_eq!(holds.due(now), [KEY]);
        for _ in 0..5 {
            assert_eq!(holds.mending(&KEY, now), None);
        }
        assert_eq!(holds.mending(&KEY, now), Some(2 * TRUCE_MIN));
    }

    #[test]
    fn an_occasional_mending_is_no_fight() {
        let mut holds = Holds::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            assert_eq!(holds.mending(&KEY, now), None);
            now += Duration::from_secs(20);
            holds.due(now);
        }
    }
}
