//! The attribute sets of one table, each once however many paths have it.

use chanter_bgp::{Attributes, Community};
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::chunked::{Slab, Slot};

/// NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED (RFC 1997). We are in no confederation, for which the
/// third means what the first does.
const NO_EXPORT: Community = Community::NO_EXPORT;
const NO_ADVERTISE: Community = Community::NO_ADVERTISE;
const NO_EXPORT_SUBCONFED: Community = Community::NO_EXPORT_SUBCONFED;
/// LLGR_STALE and NO_LLGR (RFC 9494 section 4.1).
pub(super) const LLGR_STALE: Community = Community::LLGR_STALE;
const NO_LLGR: Community = Community::NO_LLGR;

/// An attribute set in store.
#[derive(Debug)]
pub(super) struct AttrSet {
    attributes: Option<Attributes>,
    /// How many hold it: paths, and the batch being applied. Of a vacant place, the next one.
    holders: u32,
    /// Never given to two sets of one store: the number by which what was derived from it is cached.
    pub(super) serial: u64,
    /// Its route targets, by their number in the index.
    pub(super) rts: SmallVec<[u32; 2]>,
    /// Whether it must not be passed on at all.
    pub(super) no_advertise: bool,
    /// Whether it must not leave the AS.
    pub(super) no_export: bool,
    /// Whether its paths are long-lived stale, and so the last to be chosen (RFC 9494 section 4.3).
    pub(super) llgr_stale: bool,
    /// Whether its paths must not become long-lived stale.
    pub(super) no_llgr: bool,
    /// Whether it has a MULTI_EXIT_DISC other than 0, the value that none counts as.
    has_med: bool,
}

impl Slot for AttrSet {
    fn vacant(next_free: u32) -> Self {
        AttrSet {
            attributes: None,
            holders: next_free,
            serial: 0,
            rts: SmallVec::new(),
            no_advertise: false,
            no_export: false,
            llgr_stale: false,
            no_llgr: false,
            has_med: false,
        }
    }

    fn next_free(&self) -> Option<u32> {
        self.attributes.is_none().then_some(self.holders)
    }
}

impl AttrSet {
    fn new(attributes: Attributes, serial: u64) -> Self {
        let has = |wanted: &[Community]| attributes.communities().any(|one| wanted.contains(&one));
        AttrSet {
            holders: 0,
            serial,
            rts: SmallVec::new(),
            no_advertise: has(&[NO_ADVERTISE]),
            no_export: has(&[NO_EXPORT, NO_EXPORT_SUBCONFED]),
            llgr_stale: has(&[LLGR_STALE]),
            no_llgr: has(&[NO_LLGR]),
            has_med: attributes.med().unwrap_or(0) != 0,
            attributes: Some(attributes),
        }
    }

    pub(super) fn attributes(&self) -> &Attributes {
        self.attributes
            .as_ref()
            .expect("only sets in store are asked for")
    }
}

/// The store.
#[derive(Debug)]
pub(super) struct AttrStore {
    sets: Slab<AttrSet>,
    /// Sets with their fingerprints, so that growing does not visit them.
    by_content: HashTable<(u64, u32)>,
    next_serial: u64,
    with_med: usize,
}

impl AttrStore {
    pub(super) fn new() -> Self {
        Self {
            sets: Slab::new(),
            by_content: HashTable::new(),
            next_serial: 0,
            with_med: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sets.used()
    }

    /// Whether no set has a MULTI_EXIT_DISC that counts. Then the order of paths is total.
    pub(super) fn is_without_med(&self) -> bool {
        self.with_med == 0
    }

    /// The set of these attributes, held once more; and whether it is new.
    pub(super) fn intern(&mut self, attributes: &Attributes) -> (u32, bool) {
        let sets = &self.sets;
        let digest = attributes.fingerprint();
        let found = self.by_content.find(digest, |entry| {
            entry.0 == digest && sets[entry.1].attributes() == attributes
        });
        if let Some((_, id)) = found.copied() {
            self.sets[id].holders += 1;
            return (id, false);
        }
        let mut set = AttrSet::new(attributes.clone(), self.next_serial);
        set.holders = 1;
        self.next_serial += 1;
        self.with_med += usize::from(set.has_med);
        let id = self.sets.insert(set);
        self.by_content
            .insert_unique(digest, (digest, id), |entry| entry.0);
        (id, true)
    }

    pub(super) fn hold(&mut self, id: u32) {
        self.sets[id].holders += 1;
    }

    /// Gives one hold back; returns the set when that was the last.
    pub(super) fn release(&mut self, id: u32) -> Option<AttrSet> {
        let set = &mut self.sets[id];
        set.holders -= 1;
        if set.holders > 0 {
            return None;
        }
        let digest = set.attributes().fingerprint();
        if let Ok(entry) = self.by_content.find_entry(digest, |entry| entry.1 == id) {
            entry.remove();
        }
        let set = self.sets.remove(id);
        self.with_med -= usize::from(set.has_med);
        Some(set)
    }

    pub(super) fn set_rts(&mut self, id: u32, rts: SmallVec<[u32; 2]>) {
        self.sets[id].rts = rts;
    }
}

impl std::ops::Index<u32> for AttrStore {
    type Output = AttrSet;

    fn index(&self, id: u32) -> &AttrSet {
        &self.sets[id]
    }
}
