//! The change journal of a table: each destination once, in the order of its last change.
//!
//! A change moves the destination to the end and leaves a hole. Whoever follows the table keeps a
//! cursor, the position up to which it has read; from position 0 on stands the whole table, so that
//! a first dump is nothing but a cursor at 0, and a destination that flaps while a reader is away is
//! read once. Holes are squeezed out when they are more than the rest, which bounds the journal by
//! the size of the table whether or not anybody reads.

use super::chunked::{Chunked, NONE};

/// Below so many holes, squeezing them out is not worth it.
const HOLES_MIN: u32 = 1024;

#[derive(Debug)]
pub(super) struct Journal {
    /// Destinations, or [`NONE`] for holes.
    entries: Chunked<u32>,
    holes: u32,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            entries: Chunked::new(),
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
        self.holes += 1;
    }

    /// Whether [`Journal::squeeze`] should be called.
    pub(super) fn is_sparse(&self) -> bool {
        self.holes > HOLES_MIN && self.holes > self.entries.len() / 2
    }

    /// Removes the holes. Tells where each destination stands now, and adjusts the cursors.
    pub(super) fn squeeze(&mut self, mut cursors: Vec<&mut u32>, mut moved: impl FnMut(u32, u32)) {
        cursors.sort_unstable_by_key(|cursor| **cursor);
        let mut cursors = cursors.into_iter().peekable();
        let mut to = 0;
        for from in 0..self.entries.len() {
            while let Some(cursor) = cursors.next_if(|cursor| **cursor <= from) {
                *cursor = to;
            }
            let index = self.entries[from];
            if index != NONE {
                self.entries[to] = index;
                moved(index, to);
                to += 1;
            }
        }
        cursors.for_each(|cursor| *cursor = to);
        self.entries.truncate(to);
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
        for position in [0, 1, 4, 9] {
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
        assert_eq!((journal.end(), journal.holes), (6, 0));
    }
}
