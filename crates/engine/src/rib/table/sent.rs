//! What an update group has sent: one number for each destination, in place of one set for each
//! member.
//!
//! The number names who of the members does not have the destination: where the path came from, and
//! whoever is its originator. These are few sets, so each is stored once.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use crate::rib::chunked::Chunked;

/// The destination was sent to nobody.
pub(super) const UNSENT: u32 = 0;
/// It was sent to all members.
const TO_ALL: u32 = 1;

/// Slots of peers, in ascending order.
pub(super) type Slots = SmallVec<[u32; 2]>;

#[derive(Debug, Default)]
struct Exclusion {
    slots: Slots,
    /// How many destinations have it.
    uses: u32,
}

#[derive(Debug)]
pub(super) struct Sent {
    /// By destination.
    marks: Chunked<u32>,
    /// How many of them are not [`UNSENT`].
    sent: u32,
    /// By number.
    exclusions: Vec<Exclusion>,
    numbers: HashMap<Slots, u32, FxBuildHasher>,
}

impl Sent {
    pub(super) fn new() -> Self {
        Self {
            marks: Chunked::new(),
            sent: 0,
            exclusions: vec![Exclusion::default(), Exclusion::default()],
            numbers: HashMap::default(),
        }
    }

    /// How many destinations were sent.
    pub(super) fn sent(&self) -> usize {
        self.sent as usize
    }

    /// How many of them `slot` has.
    pub(super) fn sent_to(&self, slot: u32) -> usize {
        let without = self
            .exclusions
            .iter()
            .filter(|exclusion| exclusion.slots.contains(&slot));
        let without: u32 = without.map(|exclusion| exclusion.uses).sum();
        self.sent.saturating_sub(without) as usize
    }

    /// Above all destinations that were ever sent.
    pub(super) fn end(&self) -> u32 {
        self.marks.len()
    }

    pub(super) fn get(&self, index: u32) -> u32 {
        self.marks.get(index).copied().unwrap_or(UNSENT)
    }

    pub(super) fn set(&mut self, index: u32, mark: u32) {
        while self.marks.len() <= index {
            self.marks.push(UNSENT);
        }
        let old = std::mem::replace(&mut self.marks[index], mark);
        if old == mark {
            return;
        }
        if old != UNSENT {
            self.exclusions[old as usize].uses -= 1;
            self.sent -= 1;
        }
        if mark != UNSENT {
            self.exclusions[mark as usize].uses += 1;
            self.sent += 1;
        }
    }

    /// Gives memory back once nothing is sent. No mark that was given out before may be asked about
    /// any more.
    pub(super) fn reset_if_unused(&mut self) {
        if self.sent == 0 && self.marks.len() > 0 {
            *self = Self::new();
        }
    }

    /// The mark of what all but `slots` have.
    pub(super) fn all_but(&mut self, slots: Slots) -> u32 {
        if slots.is_empty() {
            return TO_ALL;
        }
        if let Some(number) = self.numbers.get(&slots) {
            return *number;
        }
        let number = self.exclusions.len() as u32;
        self.numbers.insert(slots.clone(), number);
        self.exclusions.push(Exclusion { slots, uses: 0 });
        number
    }

    /// Who does not have what has the mark.
    pub(super) fn excluded(&self, mark: u32) -> &[u32] {
        &self.exclusions[mark as usize].slots
    }

    /// Whether `slot` has what has the mark.
    pub(super) fn has(&self, mark: u32, slot: u32) -> bool {
        mark != UNSENT && !self.excluded(mark).contains(&slot)
    }

    /// The mark, but with `slot` having it, or not.
    pub(super) fn adjusted(&mut self, mark: u32, slot: u32, has: bool) -> u32 {
        let mut slots: Slots = self.excluded(mark).iter().copied().collect();
        match (slots.binary_search(&slot), has) {
            (Ok(at), true) => {
                slots.remove(at);
            }
            (Err(at), false) => slots.insert(at, slot),
            _ => {}
        }
        self.all_but(slots)
    }

    /// The first destination from `from` on that `slot` has.
    pub(super) fn next(&self, slot: u32, from: u32) -> Option<u32> {
        (from..self.end()).find(|index| self.has(self.marks[*index], slot))
    }
}
