//! Paths come, change and go.

use chanter_types::Instant;
use smallvec::SmallVec;

use super::select::Change;
use super::{Marks, Path, Table, UNWRITTEN};
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::peers::{Peers, Source};

/// A path to be put into a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::rib) struct NewPath<D> {
    pub(in crate::rib) source: Source,
    pub(in crate::rib) path_id: u32,
    /// Held by the caller.
    pub(in crate::rib) set: u32,
    pub(in crate::rib) data: D,
}

impl<K: Key> Table<K> {
    /// Puts a path in, in place of the one of the same source; returns whether there was none.
    pub(in crate::rib) fn reach(
        &mut self,
        peers: &Peers,
        key: K,
        new: NewPath<K::Data>,
        now: Instant,
    ) -> bool {
        let digest = key.digest();
        let index = match self.find_by_digest(digest, &key) {
            Some(index) => {
                self.revive(index);
                index
            }
            None => self.create(digest, key),
        };
        let old = self
            .has_path_from(index, new.source)
            .then(|| self.path_from(index, new.source, new.path_id));
        match old.flatten() {
            Some(path) => {
                self.replace(peers, index, path, &new, now);
                false
            }
            None => {
                self.insert(peers, index, &new, now);
                true
            }
        }
    }

    /// Takes the path of a source out; returns whether there was one.
    pub(in crate::rib) fn withdraw(
        &mut self,
        peers: &Peers,
        (source, path_id): (Source, u32),
        key: &K,
    ) -> bool {
        // One that is retired has no path.
        let path = self.find_by_digest(key.digest(), key).and_then(|index| {
            let path = self.find_path(index, source, path_id)?;
            Some((index, path))
        });
        if let Some((index, path)) = path {
            self.remove(peers, index, path);
        }
        path.is_some()
    }

    /// The path of the source, without a walk through all of them where it has none.
    fn find_path(&self, index: u32, source: Source, path_id: u32) -> Option<u32> {
        let head = self.dests[index].head;
        let best = self.paths.get(head)?;
        if (best.source, best.path_id) == (source, path_id) {
            return Some(head);
        }
        if best.next == NONE || !self.has_path_from(index, source) {
            return None;
        }
        self.path_from(index, source, path_id)
    }

    /// Whether there is this path of the source.
    pub(in crate::rib) fn has_path(&self, index: u32, source: Source, path_id: u32) -> bool {
        self.has_path_from(index, source) && self.path_from(index, source, path_id).is_some()
    }

    fn has_path_from(&self, index: u32, source: Source) -> bool {
        match source.slot() {
            Some(slot) => self
                .peer(slot)
                .is_some_and(|peer| peer.received.contains(index)),
            None => self.local.contains(index),
        }
    }

    fn insert(&mut self, peers: &Peers, index: u32, new: &NewPath<K::Data>, now: Instant) {
        let old = self.best_set(index);
        self.gone -= usize::from(old.is_none());
        self.attrs.hold(new.set);
        let path = self.paths.insert(Path {
            since: now.into(),
            attributes: new.set,
            source: new.source,
            path_id: new.path_id,
            next: NONE,
            marks: Marks::default(),
            data: new.data,
        });
        match new.source.slot() {
            Some(slot) => {
                let peer = self.peer_mut(slot);
                peer.received.insert(index);
                peer.paths += 1;
            }
            None => {
                self.local.insert(index);
                self.local_paths += 1;
            }
        }
        self.index_rts(index, new.set);
        let is_changed = self.select(peers, index, Change::Inserted(path));
        self.note_change(index, is_changed, old, new.source);
    }

    fn replace(
        &mut self,
        peers: &Peers,
        index: u32,
        path: u32,
        new: &NewPath<K::Data>,
        now: Instant,
    ) {
        let node = &mut self.paths[path];
        let was_stale = std::mem::take(&mut node.marks).has(Marks::STALE);
        let is_same = (node.attributes, node.data) == (new.set, new.data);
        if let (true, Some(slot)) = (was_stale, new.source.slot()) {
            self.peer_mut(slot).stale -= 1;
        }
        if is_same {
            return;
        }
        let node = &mut self.paths[path];
        node.data = new.data;
        node.since = now.into();
        self.exchange_set(peers, (index, path), new.set);
    }

    /// Gives a path another attribute set, which the caller holds too.
    pub(super) fn exchange_set(&mut self, peers: &Peers, (index, path): (u32, u32), set: u32) {
        let old_best = self.best_set(index);
        self.attrs.hold(set);
        let node = &mut self.paths[path];
        let source = node.source;
        let old = std::mem::replace(&mut node.attributes, set);
        if old != set {
            self.index_rts(index, set);
            self.unindex_rts(index, old);
        }
        let is_changed = self.select(peers, index, Change::Replaced(path));
        self.note_change(index, is_changed, old_best, source);
        self.release_set(old);
    }

    pub(super) fn remove(&mut self, peers: &Peers, index: u32, path: u32) {
        if self.paths[path].next == NONE && self.dests[index].head == path {
            return self.remove_only(index, path);
        }
        let old_best = self.best_set(index);
        let was_best = self.unlink(index, path);
        let node = self.paths.remove(path);
        match node.source.slot() {
            Some(slot) => {
                let is_last = self.paths_from(index, node.source).is_empty();
                let peer = self.peer_mut(slot);
                if is_last {
                    peer.received.remove(index);
                }
                peer.paths -= 1;
                peer.stale -= u32::from(node.marks.has(Marks::STALE));
            }
            None => {
                self.local_paths -= 1;
                if !self
                    .paths_of(index)
                    .any(|path| self.paths[path].source.is_local())
                {
                    self.local.remove(index);
                }
            }
        }
        self.unindex_rts(index, node.attributes);
        let is_changed = self.select(peers, index, Change::Removed { was_best });
        self.note_change(index, is_changed, old_best, node.source);
        self.release_set(node.attributes);
    }

    /// Removes the one path of a destination: nothing is to be selected.
    fn remove_only(&mut self, index: u32, path: u32) {
        let node = self.paths.remove(path);
        let dest = &mut self.dests[index];
        dest.head = NONE;
        let is_held = dest.holders > 0;
        match node.source.slot() {
            Some(slot) => {
                let peer = self.peer_mut(slot);
                peer.received.remove(index);
                peer.paths -= 1;
                peer.stale -= u32::from(node.marks.has(Marks::STALE));
            }
            None => {
                self.local_paths -= 1;
                self.local.remove(index);
            }
        }
        self.unindex_rts(index, node.attributes);
        self.gone += 1;
        if is_held {
            self.note_change(index, true, Some(node.attributes), node.source);
        } else {
            self.remove_destination(index);
        }
        self.release_set(node.attributes);
    }

    /// Selects anew what paths of a peer take part in: what is compared of the peer has changed.
    pub(in crate::rib) fn rerank(&mut self, peers: &Peers, slot: u32) {
        let source = Source::peer(slot);
        let mut from = 0;
        while let Some(index) = self.peer(slot).and_then(|peer| peer.received.next(from)) {
            from = index + 1;
            for path in self.paths_from(index, source) {
                let old = self.best_set(index);
                let is_changed = self.select(peers, index, Change::Replaced(path));
                self.note_change(index, is_changed, old, source);
            }
        }
    }

    fn index_rts(&mut self, index: u32, set: u32) {
        if K::BY_ROUTE_TARGET {
            for number in &self.attrs[set].rts {
                self.rts.add_destination(*number, index);
            }
        }
    }

    /// Takes the destination out of those of the set's route targets that no path has any more.
    fn unindex_rts(&mut self, index: u32, set: u32) {
        if !K::BY_ROUTE_TARGET {
            return;
        }
        let numbers = self.attrs[set].rts.clone();
        for number in numbers {
            let has = |path: u32| {
                self.attrs[self.paths[path].attributes]
                    .rts
                    .contains(&number)
            };
            let is_left = self.paths_of(index).any(has);
            if !is_left {
                self.rts.remove_destination(number, index);
            }
        }
    }

    /// Puts the destination at the end of the journal, and aside for the peers that do not follow it.
    /// `old` is the attribute set that the best path had.
    fn note_change(&mut self, index: u32, is_changed: bool, old: Option<u32>, source: Source) {
        if !self.takers.is_empty() {
            self.push_paths(index, is_changed);
        }
        if !is_changed && !K::SELECTED_PER_PEER {
            self.push_to_monitors(index);
            if K::BY_ROUTE_TARGET && self.best_is_local(index) {
                self.pipe.aside.insert(index);
            }
            return;
        }
        let position = self.dests[index].journal;
        if position != UNWRITTEN {
            self.journal.erase(position);
        }
        self.dests[index].journal = self.journal.push(index);
        self.has_grown = true;
        if K::BY_ROUTE_TARGET {
            self.push_to_subscribers(index, old);
        } else if K::SELECTED_PER_PEER && source.is_local() {
            self.push_to_all(index);
        }
        if self.journal.is_sparse() {
            self.squeeze();
        }
    }

    fn push_to_subscribers(&mut self, index: u32, old: Option<u32>) {
        let new = self.best_set(index);
        let sets: SmallVec<[u32; 2]> = old.into_iter().chain(new.filter(|_| new != old)).collect();
        for set in sets {
            for number in &self.attrs[set].rts {
                for slot in self.rts.subscribers(*number) {
                    let peer = self.peers.get_mut(*slot as usize).and_then(Option::as_mut);
                    if peer.is_some_and(|peer| peer.push(index)) {
                        self.woken.push(*slot);
                    }
                }
            }
        }
    }

    fn push_to_all(&mut self, index: u32) {
        for (slot, peer) in (0..).zip(&mut self.peers) {
            let Some(peer) = peer else {
                continue;
            };
            if peer.is_pushed() && peer.push(index) {
                self.woken.push(slot);
            }
        }
    }

    fn squeeze(&mut self) {
        let cursors = self
            .peers
            .iter_mut()
            .flatten()
            .filter_map(|peer| peer.cursor_mut())
            .chain(
                self.groups
                    .iter_mut()
                    .flatten()
                    .map(|group| &mut group.cursor),
            )
            .chain(self.monitors.iter_mut().map(|watch| &mut watch.cursor))
            .chain([&mut self.pipe.cursor])
            .collect();
        let dests = &mut self.dests;
        self.journal
            .squeeze(cursors, |index, position| dests[index].journal = position);
    }
}
