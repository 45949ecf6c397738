//! What became of declared objects: the last status told for each, and which to look at again.

use std::collections::{BTreeMap, BTreeSet};

use chanter_intent::{IntentStore, ObjectKey, SourceId};

use crate::ObjectStatus;
use crate::desired::{DataplaneError, DesiredKey};

/// An object and the source that declares it.
type Declared = (ObjectKey, SourceId);

/// The statuses of all declared objects.
#[derive(Debug, Default)]
pub(crate) struct StatusBoard {
    told: BTreeMap<Declared, ObjectStatus>,
    /// Objects of which the status may have changed.
    touched: BTreeSet<ObjectKey>,
    /// Declarations just (re)stated: their status is told even if it is as before.
    said: BTreeSet<Declared>,
    /// No longer declared, and what the dataplane still has of them.
    leaving: BTreeMap<Declared, BTreeSet<DesiredKey>>,
    /// The same the other way round.
    waiting: BTreeMap<DesiredKey, BTreeSet<Declared>>,
    /// Statuses of withdrawn objects to tell.
    withdrawn: Vec<(SourceId, ObjectKey, ObjectStatus)>,
}

impl StatusBoard {
    pub(crate) fn get(&self, source: SourceId, key: &ObjectKey) -> Option<&ObjectStatus> {
        self.told.get(&(key.clone(), source))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectKey, SourceId, &ObjectStatus)> {
        self.told
            .iter()
            .map(|((key, source), status)| (key, *source, status))
    }

    /// Notes that the status of an object may have changed.
    pub(crate) fn touch(&mut self, key: ObjectKey) {
        self.touched.insert(key);
    }

    /// Notes that a source declared an object, perhaps not for the first time.
    pub(crate) fn said(&mut self, source: SourceId, key: ObjectKey) {
        let said = (key, source);
        for left in self.leaving.remove(&said).unwrap_or_default() {
            self.stop_waiting(&left, &said);
        }
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
            for key in &left {
                let waiting = self.waiting.entry(key.clone()).or_default();
                waiting.insert(of.clone());
            }
            self.leaving.entry(of).or_default().extend(left);
        } else if !self.leaving.contains_key(&of) {
            self.remove(of);
        }
    }

    fn remove(&mut self, of: Declared) {
        self.told.remove(&of);
        let (key, source) = of;
        self.withdrawn.push((source, key, ObjectStatus::Removed));
    }

    fn stop_waiting(&mut self, key: &DesiredKey, of: &Declared) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.remove(of);
            if waiting.is_empty() {
                self.waiting.remove(key);
            }
        }
    }

    /// Notes what became of a dataplane object that should not be: gone (or wanted again, so that
    /// nobody needs to wait for its end), or not to be got rid of.
    pub(crate) fn left(&mut self, key: &DesiredKey, result: &Result<(), DataplaneError>) {
        if let Err(error) = result {
            for of in self.waiting.get(key).into_iter().flatten() {
                let status = ObjectStatus::Failed {
                    error: error.clone(),
                };
                let told = self.told.insert(of.clone(), status.clone());
                if told.as_ref() != Some(&status) {
                    self.withdrawn.push((of.1, of.0.clone(), status));
                }
            }
            return;
        }
        for of in self.waiting.remove(key).unwrap_or_default() {
            let Some(left) = self.leaving.get_mut(&of) else {
                continue;
            };
            left.remove(key);
            if left.is_empty() {
                self.leaving.remove(&of);
                self.remove(of);
            }
        }
    }

    /// Declarations to compute the status of, and whether to tell it in any case.
    pub(crate) fn take_touched(
        &mut self,
        intent: &IntentStore,
    ) -> Vec<(SourceId, ObjectKey, bool)> {
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
        self.told
            .insert((key.clone(), source), status.clone())
            .as_ref()
            != Some(&status)
    }

    /// Statuses of withdrawn objects.
    pub(crate) fn take_withdrawn(&mut self) -> Vec<(SourceId, ObjectKey, ObjectStatus)> {
        std::mem::take(&mut self.withdrawn)
    }
}
