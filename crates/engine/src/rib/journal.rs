//! The change journal of a table: each destination once, in the order of its last change.
//!
//! A change moves the destination to the end and leaves a hole. Whoever follows the table keeps a
//! cursor, the position up to which it has read; from position 0 on stands the whole table, so that
//! a first dump is nothing but a cursor at 0, and a destination that flaps while a reader is away is
//! read once. Holes are squeezed out when they are three times the rest, which bounds the journal by
//! the size of the table whether or not anybody reads. Those before all entries are none: where
//! destinations go in the order in which they came, nothing has to be squeezed.

use super::chunked::{Chunked, NONE};

/// Below so many holes, squeezing them out is not worth it.
const HOLES_MIN: u32 = 1024;
/// So many positions before the first entry are given back, as there is an end to their numbers.
const START_MAX: u32 = 1 << 24;

#[derive(Debug)]
pub(super) struct Journal {
    /// Destinations, or [`NONE`] for holes.
    entries: Chunked<u32>,
    /// Before this there are no entries, and no memory is held.
    start: u32,
    /// From there on.
    holes: u32,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            entries: Chunked::new(),
            start: 0,
            holes: 0,
        }
    }

    /// Where the next change will stand.
    pub(super) fn end(&self) -> u32 {
        self.entries.len()
    }

    /// The destination at `position`, unless that is a hole.
    pub(super) fn get(&self, position: u32) -> Option<u32> {
        self.entries
            .get(position)
            .copied()
            .filter(|index| *index != NONE)
    }

    /// The next destination from `cursor` on, which goes behind it.
    pub(super) fn next(&self, cursor: &mut u32) -> Option<u32> {
        *cursor = self.start.max(*cursor);
        while *cursor < self.end() {
            let entry = self.get(*cursor);
            *cursor += 1;
            if entry.is_some() {
                return entry;
            }
        }
        None
    }

    /// Appends a destination, which must stand nowhere else, and returns its position.
    pub(super) fn push(&mut self, index: u32) -> u32 {
        self.entries.push(index)
    }

    /// Makes the entry at `position` a hole.
    pub(super) fn erase(&mut self, position: u32) {
        self.entries[position] = NONE;
        if position != self.start {
            self.holes += 1;
            return;
        }
        let old = self.start;
        self.start += 1;
        while self.holes > 0 && self.entries.get(self.start) == Some(&NONE) {
            self.start += 1;
            self.holes -= 1;
        }
        self.entries.forget(old, self.start);
    }

    /// Whether [`Journal::squeeze`] should be called.
    pub(super) fn is_sparse(&self) -> bool {
        let len = self.entries.len() - self.start;
        self.start > START_MAX || (self.holes > HOLES_MIN && self.holes > len - len / 4)
    }

    /// Removes the holes. Tells where each destination stands now, and adjusts the cursors.
    pub(super) fn squeeze(&mut self, mut cursors: Vec<&mut u32>, mut moved: impl FnMut(u32, u32)) {
        cursors.sort_unstable_by_key(|cursor| **cursor);
        let mut cursors = cursors.into_iter().peekable();
        let mut to = 0;
        let mut entries = Chunked::new();
        for from in self.start..self.entries.len() {
            while let Some(cursor) = cursors.next_if(|cursor| **cursor <= from) {
                *cursor = to;
            }
            let index = self.entries[from];
            if index != NONE {
                moved(index, entries.push(index));
                to += 1;
            }
            self.entries.forget(from, from + 1);
        }
        cursors.for_each(|cursor| *cursor = to);
        self.entries = entries;
        self.start = 0;
        self.holes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squeezing_keeps_what_each_cursor_has_yet_to_read() {
        let mut journal = Journal::new();
        for index in 0..10 {
            journal.push(index);
        }
        for position in [1, 4, 0, 9] {
            journal.erase(position);
        }
        let unread = |journal: &Journal, cursor: u32| -> Vec<u32> {
            (cursor..journal.end())
                .filter_map(|at| journal.get(at))
                .collect()
        };
        let mut cursors: Vec<u32> = (0..=10).rev().collect();
        let before: Vec<_> = cursors
            .iter()
            .map(|cursor| unread(&journal, *cursor))
            .collect();
        let mut places = Vec::new();
        journal.squeeze(cursors.iter_mut().collect(), |index, at| {
            places.push((index, at))
        });
        let after: Vec<_> = cursors
            .iter()
            .map(|cursor| unread(&journal, *cursor))
            .collect();
        assert_eq!(before, after);
        assert_eq!(places, [(2, 0), (3, 1), (5, 2), (6, 3), (7, 4), (8, 5)]);
        assert_eq!((journal.end(), journal.start, journal.holes), (6, 0, 0));
    }

    #[test]
    fn what_goes_in_the_order_in_which_it_came_leaves_nothing_to_squeeze() {
        let mut journal = Journal::new();
        for index in 0..10_000 {
            assert_eq!(journal.push(index), index);
        }
        for position in 0..9_000 {
            // Out of order by one.
            journal.erase(position ^ 1);
            assert!(!journal.is_sparse());
        }
        assert_eq!((journal.start, journal.holes), (9_000, 0));
        let mut cursor = 0;
        assert_eq!(journal.next(&mut cursor), Some(9_000));
        assert_eq!(journal.get(0), None);
        for position in 9_000..10_000 {
            journal.erase(position);
        }
        assert_eq!(journal.push(7), 10_000);
        assert_eq!(journal.next(&mut cursor), Some(7));
    }
}
