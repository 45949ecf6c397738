//! Reading a table: for the looking glass, and for the import pipe.

use std::net::IpAddr;

use chanter_bgp::{Nlri, PathData};
use chanter_types::{MacAddr, RouteTarget};

use super::peer::Feed;
use super::{RETIRED, Table};
use crate::rib::PathRef;
use crate::rib::best::{Candidate, LossReason};
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::peers::Peers;

impl<K: Key> Table<K> {
    pub(in crate::rib) fn nlri(&self, index: u32) -> Option<Nlri> {
        let dest = self.dests.get(index)?;
        (dest.journal != RETIRED).then(|| dest.key.to_nlri())
    }

    pub(in crate::rib) fn best(&self, peers: &Peers, index: u32) -> Option<PathRef<'_>> {
        let head = self.dests.get(index)?.head;
        (head != NONE).then(|| self.path_ref(peers, head))
    }

    pub(in crate::rib) fn best_of_peers(&self, peers: &Peers, index: u32) -> Option<PathRef<'_>> {
        let best = self.best(peers, index)?;
        if !self.best_is_local(index) {
            return Some(best);
        }
        let paths: Vec<u32> = self
            .paths_of(index)
            .filter(|path| !self.paths[*path].source.is_local())
            .collect();
        let candidates: Vec<Candidate<'_>> =
            paths.iter().map(|path| self.candidate(*path)).collect();
        let place = self.selection(peers, index).best(&candidates);
        paths.get(place).map(|path| self.path_ref(peers, *path))
    }

    fn path_ref(&self, peers: &Peers, path: u32) -> PathRef<'_> {
        let node = &self.paths[path];
        PathRef {
            origin: peers.origin(node.source),
            attributes: self.attrs[node.attributes].attributes(),
            data: PathData {
                path_id: node.path_id,
                ..K::unpack(node.data)
            },
            since: node.since.into(),
            stale: node.marks.has(super::Marks::STALE),
        }
    }

    /// The paths of a destination with the reason why each is not the best; the best first.
    pub(in crate::rib) fn show_paths(
        &self,
        peers: &Peers,
        index: u32,
    ) -> Vec<(PathRef<'_>, Option<LossReason>)> {
        if !self.is_live(index) {
            return Vec::new();
        }
        let paths: Vec<u32> = self.paths_of(index).collect();
        let candidates: Vec<Candidate<'_>> =
            paths.iter().map(|path| self.candidate(*path)).collect();
        let reasons = self.selection(peers, index).reasons(&candidates, 0);
        paths
            .iter()
            .map(|path| self.path_ref(peers, *path))
            .zip(reasons)
            .collect()
    }

    /// Destinations with a path, by index, from `from` on; `concerns` picks among them.
    pub(in crate::rib) fn next_live(&self, from: u32) -> Option<u32> {
        (from..self.dests.end()).find(|index| self.is_live(*index))
    }

    pub(in crate::rib) fn next_local(&self, from: u32) -> Option<u32> {
        self.local.next(from)
    }

    pub(in crate::rib) fn next_received(&self, slot: u32, from: u32) -> Option<u32> {
        self.peer(slot)?.received.next(from)
    }

    pub(in crate::rib) fn next_advertised(&self, slot: u32, from: u32) -> Option<u32> {
        let export = self.export_of(slot)?;
        match export.feed {
            Feed::Member(member) => self.group_at(member.group)?.sent.next(slot, from),
            _ => export.advertised.next(from),
        }
    }

    pub(in crate::rib) fn is_advertised(&self, slot: u32, index: u32) -> bool {
        let Some(export) = self.export_of(slot) else {
            return false;
        };
        match export.feed {
            Feed::Member(member) => self
                .group_at(member.group)
                .is_some_and(|group| group.sent.has(group.sent.get(index), slot)),
            _ => export.advertised.contains(index),
        }
    }

    /// How many destinations a peer was sent.
    pub(super) fn advertised_count(&self, slot: u32) -> usize {
        let Some(export) = self.export_of(slot) else {
            return 0;
        };
        match export.feed {
            Feed::Member(member) => {
                let group = self.group_at(member.group);
                group.map_or(0, |group| group.sent.sent_to(slot))
            }
            _ => export.advertised.len(),
        }
    }

    pub(in crate::rib) fn next_with_rt(&self, rt: RouteTarget, from: u32) -> Option<u32> {
        self.rts.destinations(rt)?.next(from)
    }

    pub(in crate::rib) fn with_mac(&self, mac: MacAddr) -> impl Iterator<Item = u32> + '_ {
        self.macs.find(mac).filter(|index| self.is_live(*index))
    }

    pub(in crate::rib) fn concerns(&self, index: u32, ip: IpAddr) -> bool {
        self.dests
            .get(index)
            .is_some_and(|dest| dest.key.concerns(ip))
    }

    pub(in crate::rib) fn is_live_index(&self, index: u32) -> bool {
        self.is_live(index)
    }
}
