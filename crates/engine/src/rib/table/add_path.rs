//! Several paths of a destination to one peer (RFC 7911).
//!
//! The identifier of a path is its place in the table: it stays for as long as the path does. What a
//! peer was sent is kept for each destination, so that a place that is used again elsewhere is no
//! matter.

use hashbrown::hash_map::Entry as Sent;
use smallvec::SmallVec;

use super::Table;
use super::pull::{Entry, Pull};
use super::sent::UNSENT;
use crate::rib::best::Candidate;
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::peers::Peer;

/// Path identifiers.
pub(super) type PathIds = SmallVec<[u32; 4]>;

/// The identifier of the path at a place. 0 is none.
pub(super) fn path_id(path: u32) -> u32 {
    path.wrapping_add(1)
}

pub(super) fn takes_paths<K: Key>(peer: &Peer) -> bool {
    peer.session.add_path_send.contains(&K::FAMILY)
}

impl<K: Key> Table<K> {
    /// As `look_at`, for a peer that takes several paths.
    pub(super) fn look_at_paths(&mut self, pull: &mut Pull<'_>, index: u32) {
        let chosen = self.choose_paths(pull, index);
        let Some(export) = self.export_mut(pull.slot) else {
            return;
        };
        let ids: PathIds = chosen.iter().map(|(path, _)| path_id(*path)).collect();
        let old = match export.path_ids.entry(index) {
            Sent::Occupied(mut sent) if !ids.is_empty() => sent.insert(ids.clone()),
            Sent::Occupied(sent) => sent.remove(),
            Sent::Vacant(place) => {
                if !ids.is_empty() {
                    place.insert(ids.clone());
                }
                PathIds::new()
            }
        };
        let is_new = !ids.is_empty() && export.advertised.insert(index);
        let is_gone = ids.is_empty() && export.advertised.remove(index);
        self.dests[index].holders += u32::from(is_new);
        for (path, run) in chosen {
            let entry = Entry {
                index,
                path,
                next: NONE,
                old: UNSENT,
            };
            pull.window.push(run, entry);
        }
        let nlri = self.dests[index].key.to_nlri();
        let lost = old.into_iter().filter(|id| !ids.contains(id));
        let lost = lost.map(|id| (nlri.clone(), id));
        pull.window.withdrawn.extend(lost);
        if is_gone {
            self.release_destination(index);
        }
    }

    /// The paths that go to the peer: all that may, or the best of them up to its limit.
    fn choose_paths(&self, pull: &mut Pull<'_>, index: u32) -> SmallVec<[(u32, u32); 4]> {
        let paths: SmallVec<[u32; 8]> = self.paths_of(index).collect();
        let mut eligible: SmallVec<[(u32, u32); 4]> = paths
            .into_iter()
            .filter_map(|path| Some((path, self.run_of(pull, None, (index, path))?)))
            .collect();
        let peer = pull.peers.get(pull.slot);
        let limit = peer.map_or(0, |peer| usize::from(peer.session.add_path_limit));
        if limit == 0 || eligible.len() <= limit {
            return eligible;
        }
        let mut chosen = SmallVec::new();
        while chosen.len() < limit {
            let candidates: SmallVec<[Candidate<'_>; 8]> = eligible
                .iter()
                .map(|(path, _)| self.candidate(*path))
                .collect();
            let best = self.selection(pull.peers, index).best(&candidates);
            drop(candidates);
            chosen.push(eligible.remove(best));
        }
        chosen
    }

    /// Puts a destination aside for peers that take several paths: they are not told by the journal of
    /// what does not change the best path.
    pub(super) fn push_paths(&mut self, index: u32, is_changed: bool) {
        for place in 0..self.takers.len() {
            let slot = self.takers[place];
            let peer = self.peers.get_mut(slot as usize).and_then(Option::as_mut);
            if let Some(peer) = peer
                && (!is_changed || peer.is_pushed())
                && peer.push(index)
            {
                self.woken.push(slot);
            }
        }
    }
}
