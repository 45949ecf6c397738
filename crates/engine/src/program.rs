//! The desired dataplane as a whole: what changed of it goes to the sinks, what they report comes
//! back here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use chanter_intent::PortName;
use chanter_types::{Instant, MacAddr};

use crate::desired::{
    DataplaneError, DesiredChange, DesiredKey, DesiredValue, DomainId, Report, Version,
};

/// How far a desired object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It was made so at least once; a later failure may be passing.
    Confirmed,
    /// Nothing good is known of it yet.
    Waiting,
    /// It cannot be so unless the intent changes, such as when the device is gone.
    Gone,
}

/// A desired object and what its sink says of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: DesiredValue,
    /// `None` until the sink has reported on this value.
    pub(crate) report: Option<Result<(), DataplaneError>>,
    pub(crate) since: Instant,
    version: Version,
    confirmed: bool,
}

impl Entry {
    fn gate(&self) -> Gate {
        match &self.report {
            Some(Err(error)) if error.caused_by_intent => Gate::Gone,
            _ if self.confirmed => Gate::Confirmed,
            _ => Gate::Waiting,
        }
    }

    fn failure(&self) -> Option<&DataplaneError> {
        self.report
            .as_ref()
            .and_then(|report| report.as_ref().err())
    }
}

/// What a report changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reported {
    pub(crate) key: DesiredKey,
    /// Whether the object is one that should not be (any more).
    pub(crate) unwanted: bool,
    /// The error that is new, or `None` for the one that is mended.
    pub(crate) failure: Option<Option<DataplaneError>>,
}

/// All desired objects.
#[derive(Debug, Default)]
pub(crate) struct Program {
    entries: BTreeMap<DesiredKey, Entry>,
    /// No longer desired, and not yet reported gone.
    leaving: BTreeMap<DesiredKey, Version>,
    /// The latest version given.
    version: Version,
    /// Objects whose value changed since they were last taken.
    changed: BTreeSet<DesiredKey>,
    /// Desired objects of this node's own endpoints without a report.
    local_unreported: usize,
    failed: usize,
}

impl Program {
    /// Sets what the object should be; `None`: it should not be.
    pub(crate) fn set(&mut self, key: DesiredKey, value: Option<DesiredValue>, now: Instant) {
        if self.entries.get(&key).map(|entry| &entry.value) == value.as_ref() {
            return;
        }
        let old = self.entries.remove(&key);
        if let Some(old) = &old {
            self.count(&key, old, false);
        }
        self.version.0 += 1;
        let version = self.version;
        match value {
            Some(value) => {
                let confirmed = old.is_some_and(|old| old.confirmed);
                let entry = Entry {
                    value,
                    report: None,
                    since: now,
                    version,
                    confirmed,
                };
                self.count(&key, &entry, true);
                self.leaving.remove(&key);
                self.entries.insert(key.clone(), entry);
            }
            None => {
                self.leaving.insert(key.clone(), version);
            }
        }
        self.changed.insert(key);
    }

    /// Takes in what a sink says; `None` if that is nothing new, or is about a value of the past.
    pub(crate) fn report(&mut self, report: Report, now: Instant) -> Option<Reported> {
        if !self.is_current(&report) {
            return None;
        }
        let Report { key, result, .. } = report;
        let Some(mut entry) = self.entries.remove(&key) else {
            return self.report_unwanted(key, result);
        };
        let before = entry.clone();
        self.count(&key, &entry, false);
        entry.confirmed |= result.is_ok();
        if matches!(&result, Err(error) if error.caused_by_intent) {
            entry.confirmed = false;
        }
        entry.report = Some(result);
        let changed = entry.report != before.report;
        if changed {
            entry.since = now;
        }
        self.count(&key, &entry, true);
        let failure = match (before.failure(), entry.failure()) {
            (None, None) => None,
            (before, after) if before == after => None,
            (_, after) => Some(after.cloned()),
        };
        self.entries.insert(key.clone(), entry);
        changed.then_some(Reported {
            key,
            unwanted: false,
            failure,
        })
    }

    fn report_unwanted(
        &mut self,
        key: DesiredKey,
        result: Result<(), DataplaneError>,
    ) -> Option<Reported> {
        let failure = match result {
            Ok(()) => {
                self.leaving.remove(&key);
                None
            }
            Err(error) => Some(Some(error)),
        };
        Some(Reported {
            key,
            unwanted: true,
            failure,
        })
    }

    fn is_current(&self, report: &Report) -> bool {
        let entry = self.entries.get(&report.key).map(|entry| entry.version);
        entry.or_else(|| self.leaving.get(&report.key).copied()) == Some(report.version)
    }

    fn count(&mut self, key: &DesiredKey, entry: &Entry, add: bool) {
        let local = matches!(
            key,
            DesiredKey::Domain(_) | DesiredKey::Port(..) | DesiredKey::LocalMac(..)
        );
        let adjust = |count: &mut usize| if add { *count += 1 } else { *count -= 1 };
        if local && entry.report.is_none() {
            adjust(&mut self.local_unreported);
        }
        if entry.failure().is_some() {
            adjust(&mut self.failed);
        }
    }

    /// What changed since the last call, by key: how often it changed in between does not show.
    /// First what should be, in the order in which it is built; then what should not, the other way
    /// round.
    pub(crate) fn take_changes(&mut self) -> Vec<DesiredChange> {
        let changed = std::mem::take(&mut self.changed);
        let changes = changed.into_iter().filter_map(|key| {
            let (version, value) = match self.entries.get(&key) {
                Some(entry) => (entry.version, Some(entry.value.clone())),
                None => (*self.leaving.get(&key)?, None),
            };
            Some(DesiredChange {
                key,
                version,
                value,
            })
        });
        let (mut wanted, unwanted): (Vec<_>, Vec<_>) =
            changes.partition(|change| change.value.is_some());
        wanted.extend(unwanted.into_iter().rev());
        wanted
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(crate) fn get(&self, key: &DesiredKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(crate) fn gate(&self, key: &DesiredKey) -> Gate {
        self.entries.get(key).map_or(Gate::Waiting, Entry::gate)
    }

    /// Whether the object should not be, but may still be there.
    pub(crate) fn is_leaving(&self, key: &DesiredKey) -> bool {
        self.leaving.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Whether sinks have yet to say of some object of an own endpoint whether it is in place.
    pub(crate) fn awaits_local_reports(&self) -> bool {
        self.local_unreported > 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&DesiredKey, &Entry)> {
        self.entries.iter()
    }

    /// Every desired object of one bridge domain.
    pub(crate) fn of_domain(
        &self,
        domain: DomainId,
    ) -> impl Iterator<Item = (&DesiredKey, &Entry)> {
        let next = DomainId(domain.0.saturating_add(1));
        lowest_keys(domain)
            .into_iter()
            .zip(lowest_keys(next))
            .flat_map(|(first, end)| self.entries.range(first..end))
    }
}

/// The lowest key of each kind in a domain: between these and those of the next one are all of it.
fn lowest_keys(domain: DomainId) -> [DesiredKey; 6] {
    let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    [
        DesiredKey::Domain(domain),
        DesiredKey::Port(domain, PortName::new("")),
        DesiredKey::LocalMac(domain, MacAddr::ZERO),
        DesiredKey::Flood(domain, ip),
        DesiredKey::RemoteMac(domain, MacAddr::ZERO),
        DesiredKey::Neighbor(domain, ip),
    ]
}
