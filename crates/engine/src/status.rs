//! What became of declared objects: the last status told for each, and which to look at again.

use std::collections::{BTreeMap, BTreeSet};

use chanter_intent::{IntentStore, ObjectKey, SourceId};

use crate::ObjectStatus;
use crate::desired::{DataplaneError, DesiredKey};

/// The statuses of all declared objects.
#[derive(Debug, Default)]
pub(crate) struct StatusBoard {
    told: BTreeMap<(ObjectKey, SourceId), ObjectStatus>,
    /// Objects of which the status may have changed.
    touched: BTreeSet<ObjectKey>,
    /// Declarations just (re)stated: their status is told even if it is as before.
    said: BTreeSet<(ObjectKey, SourceId)>,
    /// No longer declared, and what the dataplane still has of them.
    leaving: BTreeMap<(ObjectKey, SourceId), BTreeSet<DesiredKey>>,
    /// Statuses of withdrawn objects to tell.
    withdrawn: Vec<(SourceId, ObjectKey, ObjectStatus)>,
}

impl StatusBoard {
    pub(crate) fn get(&self, source: SourceId, key: &ObjectKey) -> Option<&ObjectStatus> {
        self.told.get(&(key.clone(), source))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, SourceId, &ObjectStatus)> {
        self.told.iter().map(|((key, source), status)| (key, *source, status))
    }

    /// Notes that the status of an object may have changed.
    pub(crate) fn touch(&mut self, key: ObjectKey) {
        self.touched.insert(key);
    }

    /// Notes that a source declared an object, perhaps not for the first time.
    pub(crate) fn said(&mut self, source: SourceId, key: ObjectKey) {
        let said = (key, source);
        self.leaving.remove(&said);
        self.said.insert(said);
    }

    /// Notes that a source does not declare an object any more, of which the dataplane has to take
    /// `left` away.
    pub(crate) fn withdrawn(
        &mut self,
        source: SourceId,
        key: ObjectKey,
        left: BTreeSet<DesiredKey>,
    ) {
        let of = (key, source);
        if !left.is_empty() {
            self.leaving.insert(of, left);
        } else if !self.leaving.contains_key(&of) {
            self.remove(&of);
        }
    }

    fn remove(&mut self, of: &(ObjectKey, SourceId)) {
        self.told.remove(of);
        self.withdrawn.push((of.1, of.0.clone(), ObjectStatus::Removed));
    }

    /// Notes what became of a dataplane object that should not be: gone (or wanted again, so that
    /// nobody needs to wait for its end), or not to be got rid of.
    pub(crate) fn left(&mut self, key: &DesiredKey, result: &Result<(), DataplaneError>) {
        let waiting = self.leaving.iter_mut().filter(|(_, left)| left.contains(key));
        match result {
            Ok(()) => {
                let mut gone = Vec::new();
                for (of, left) in waiting {
                    left.remove(key);
                    if left.is_empty() {
                        gone.push(of.clone());
                    }
                }
                for of in gone {
                    self.leaving.remove(&of);
                    self.remove(&of);
                }
            }
            Err(error) => {
                for ((key, source), _) in waiting {
                    let status = ObjectStatus::Failed { error: error.clone() };
                    let told = self.told.insert((key.clone(), *source), status.clone());
                    if told.as_ref() != Some(&status) {
                        self.withdrawn.push((*source, key.clone(), status));
                    }
                }
            }
        }
    }

    /// Declarations to compute the status of, and whether to tell it in any case.
    pub(crate) fn take_touched(&mut self, intent: &IntentStore) -> Vec<(SourceId, ObjectKey, bool)> {
        let said = std::mem::take(&mut self.said);
        let mut all = said.clone();
        for key in std::mem::take(&mut self.touched) {
            let sources: Vec<SourceId> = intent.declarations(&key).map(|d| d.source).collect();
            all.extend(sources.into_iter().map(|source| (key.clone(), source)));
        }
        all.into_iter()
            .map(|of| {
                let repeated = said.contains(&of);
                (of.1, of.0, repeated)
            })
            .collect()
    }

    /// Sets a status; whether it is another than before.
    pub(crate) fn set(&mut self, source: SourceId, key: &ObjectKey, status: ObjectStatus) -> bool {
        self.told.insert((key.clone(), source), status.clone()).as_ref() != Some(&status)
    }

    /// Statuses of withdrawn objects.
    pub(crate) fn take_withdrawn(&mut self) -> Vec<(SourceId, ObjectKey, ObjectStatus)> {
        std::mem::take(&mut self.withdrawn)
    }
}
