//! Route targets of one table: which destinations have them, which peers want them.
//!
//! What RFC 4684 asks for costs as much as it changes, not as much as the table holds: a membership
//! queues the destinations of its route target, and a changed destination goes to the subscribers of
//! its route targets.

use chanter_types::RouteTarget;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::index_set::IndexSet;

#[derive(Debug)]
pub(super) struct RtEntry {
    rt: RouteTarget,
    /// How many attribute sets have it.
    sets: u32,
    /// The destinations with a path that has it.
    pub(super) destinations: IndexSet,
    /// The peers that want it by name.
    subscribers: Vec<u32>,
}

#[derive(Debug, Default)]
pub(super) struct RtIndex {
    numbers: HashMap<RouteTarget, u32, FxBuildHasher>,
    /// By number; those that nobody has or wants stand in `free`.
    entries: Vec<RtEntry>,
    free: Vec<u32>,
}

impl RtIndex {
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number of a route target; it must be held by an attribute set or a subscriber at once.
    fn number(&mut self, rt: RouteTarget) -> u32 {
        if let Some(number) = self.numbers.get(&rt) {
            return *number;
        }
        let entry = RtEntry {
            rt,
            sets: 0,
            destinations: IndexSet::default(),
            subscribers: Vec::new(),
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.numbers.insert(rt, number);
        number
    }

    fn release_if_unused(&mut self, number: u32) {
        let entry = &self.entries[number as usize];
        if entry.sets == 0 && entry.subscribers.is_empty() {
            self.numbers.remove(&entry.rt);
            self.free.push(number);
        }
        if self.numbers.is_empty() {
            self.entries.clear();
            self.free.clear();
        }
    }

    /// An attribute set has come that has `rt`.
    pub(super) fn add_set(&mut self, rt: RouteTarget) -> u32 {
        let number = self.number(rt);
        self.entries[number as usize].sets += 1;
        number
    }

    /// An attribute set has gone that had the route target `number`.
    pub(super) fn remove_set(&mut self, number: u32) {
        self.entries[number as usize].sets -= 1;
        self.release_if_unused(number);
    }

    pub(super) fn add_destination(&mut self, number: u32, index: u32) {
        self.entries[number as usize].destinations.insert(index);
    }

    pub(super) fn remove_destination(&mut self, number: u32, index: u32) {
        self.entries[number as usize].destinations.remove(index);
    }

    pub(super) fn subscribers(&self, number: u32) -> &[u32] {
        &self.entries[number as usize].subscribers
    }

    pub(super) fn subscribe(&mut self, slot: u32, rt: RouteTarget) {
        let number = self.number(rt);
        let subscribers = &mut self.entries[number as usize].subscribers;
        if !subscribers.contains(&slot) {
            subscribers.push(slot);
        }
    }

    pub(super) fn unsubscribe(&mut self, slot: u32, rt: RouteTarget) {
        let Some(number) = self.numbers.get(&rt).copied() else {
            return;
        };
        self.entries[number as usize]
            .subscribers
            .retain(|other| *other != slot);
        self.release_if_unused(number);
    }

    /// The destinations with a path that has `rt`.
    pub(super) fn destinations(&self, rt: RouteTarget) -> Option<&IndexSet> {
        let number = self.numbers.get(&rt)?;
        Some(&self.entries[*number as usize].destinations)
    }

    /// The destinations of all route targets that `wanted` picks.
    pub(super) fn destinations_where(&self, wanted: impl Fn(RouteTarget) -> bool) -> IndexSet {
        let mut union = IndexSet::default();
        // Vacant entries have no destinations.
        for entry in self.entries.iter().filter(|entry| wanted(entry.rt)) {
            for index in entry.destinations.iter() {
                union.insert(index);
            }
        }
        union
    }
}
