//! Keeping the best path in front.

use smallvec::SmallVec;

use super::Table;
use crate::rib::best::{Candidate, Selection};
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::peers::Peers;

/// What happened to the paths of a destination.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// A path that is not linked yet.
    Inserted(u32),
    /// A path that has other attributes or data now.
    Replaced(u32),
    /// One that is no longer linked.
    Removed { was_best: bool },
}

impl<K: Key> Table<K> {
    pub(in crate::rib) fn candidate(&self, path: u32) -> Candidate<'_> {
        let path = &self.paths[path];
        let set = &self.attrs[path.attributes];
        Candidate {
            attributes: set.attributes(),
            source: path.source,
            path_id: path.path_id,
            is_last_resort: set.llgr_stale,
        }
    }

    pub(super) fn selection<'a>(&self, peers: &'a Peers, index: u32) -> Selection<'a> {
        Selection {
            peers,
            mobility: self.dests[index].key.mac().is_some(),
        }
    }

    /// Brings the best path to the front, and says whether it is another or differs.
    ///
    /// While no MULTI_EXIT_DISC counts in the table, the order of paths is total: then one comparison
    /// with the best path is enough unless that is the one that worsened. So a membership that two
    /// thousand clients share does not cost two thousand steps for each of them.
    pub(super) fn select(&mut self, peers: &Peers, index: u32, change: Change) -> bool {
        let best = self.dests[index].head;
        let is_total = self.attrs.is_without_med();
        match change {
            Change::Inserted(path) => {
                if best == NONE || (is_total && self.is_better(peers, index, path)) {
                    self.paths[path].next = best;
                    self.dests[index].head = path;
                    return true;
                }
                self.paths[path].next = self.paths[best].next;
                self.paths[best].next = path;
                !is_total && self.select_among_all(peers, index)
            }
            Change::Replaced(path) if path == best => {
                self.select_among_all(peers, index);
                true
            }
            Change::Replaced(path) if is_total => {
                let is_better = self.is_better(peers, index, path);
                if is_better {
                    self.bring_to_front(index, path);
                }
                is_better
            }
            Change::Removed { was_best: false } if is_total => false,
            Change::Replaced(_) => self.select_among_all(peers, index),
            Change::Removed { was_best } => {
                let is_another = best != NONE && self.select_among_all(peers, index);
                was_best || is_another
            }
        }
    }

    /// Whether `path` is better than the best path.
    fn is_better(&self, peers: &Peers, index: u32, path: u32) -> bool {
        let best = self.candidate(self.dests[index].head);
        self.selection(peers, index)
            .is_better(&self.candidate(path), &best)
    }

    /// Returns whether another path is the best now.
    fn select_among_all(&mut self, peers: &Peers, index: u32) -> bool {
        let head = self.dests[index].head;
        if self.paths[head].next == NONE {
            return false;
        }
        let paths: SmallVec<[u32; 8]> = self.paths_of(index).collect();
        let candidates: SmallVec<[Candidate<'_>; 8]> =
            paths.iter().map(|path| self.candidate(*path)).collect();
        let best = paths[self.selection(peers, index).best(&candidates)];
        drop(candidates);
        self.bring_to_front(index, best);
        best != head
    }

    fn bring_to_front(&mut self, index: u32, path: u32) {
        if self.unlink(index, path) {
            // It stood in front, and nothing was taken from anywhere else.
            self.dests[index].head = path;
        } else {
            self.paths[path].next = self.dests[index].head;
            self.dests[index].head = path;
        }
    }

    /// Takes a path out of the list of its destination, its own link left as it was; returns
    /// whether it was the best.
    pub(super) fn unlink(&mut self, index: u32, path: u32) -> bool {
        let next = self.paths[path].next;
        if self.dests[index].head == path {
            self.dests[index].head = next;
            return true;
        }
        let previous = self
            .paths_of(index)
            .find(|other| self.paths[*other].next == path);
        if let Some(previous) = previous {
            self.paths[previous].next = next;
        }
        false
    }
}
