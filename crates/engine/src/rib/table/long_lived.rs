//! Stale paths of a peer that did not come back in time (RFC 9494).

use super::{Marks, Table};
use crate::rib::attr_store::LLGR_STALE;
use crate::rib::key::Key;
use crate::rib::peers::{Peers, Source};

impl<K: Key> Table<K> {
    /// Marks the stale paths of a peer with LLGR_STALE, which makes them the last to be chosen; those
    /// with NO_LLGR go. Returns how many are marked, and how many went.
    pub(in crate::rib) fn make_long_lived(
        &mut self,
        peers: &Peers,
        slot: u32,
        mut removed: impl FnMut(&K),
    ) -> (usize, usize) {
        let (mut marked, mut gone) = (0, 0);
        let mut from = 0;
        while let Some(index) = self.peer(slot).and_then(|peer| peer.received.next(from)) {
            from = index + 1;
            for path in self.paths_from(index, Source::peer(slot)) {
                if !self.paths[path].marks.has(Marks::STALE) {
                    continue;
                }
                let set = &self.attrs[self.paths[path].attributes];
                if set.no_llgr {
                    removed(&self.dests[index].key);
                    self.remove(peers, index, path);
                    gone += 1;
                    continue;
                }
                marked += 1;
                if set.llgr_stale {
                    continue;
                }
                let attributes = set.attributes();
                let communities = attributes.communities().chain([LLGR_STALE]).collect();
                let attributes = attributes.to_builder().communities(communities).build();
                let set = self.hold_set(&attributes);
                self.exchange_set(peers, (index, path), set);
                self.release_set(set);
            }
        }
        (marked, gone)
    }
}

#[cfg(test)]
mod tests {
    use chanter_bgp::EvpnNlri;

    use crate::rib::key::Key;
    use crate::rib::table::Path;

    /// A million routes are as many of these; path identifiers, marks and times must not show.
    #[test]
    fn a_path_takes_no_more_than_this() {
        assert_eq!(size_of::<Path<()>>(), 24);
        assert_eq!(size_of::<Path<<EvpnNlri as Key>::Data>>(), 40);
    }
}
