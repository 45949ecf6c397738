//! What monitors have been told of a table, and what they are to be told next.
//!
//! A monitor follows the journal, as peers do; what changes without the best path is put aside for it.
//! Of each destination stands what was told, path by path, so that nothing is told twice and each
//! withdrawal is of something that was told.

use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{Attributes, CodecContext, Family, Nlri, PathData, UpdateWriter};
use chanter_types::Instant;
use smallvec::SmallVec;

use super::Table;
use super::peer::PeerTable;
use crate::rib::chunked::{Chunked, NONE, Slab, Slot};
use crate::rib::index_set::IndexSet;
use crate::rib::key::Key;
use crate::rib::monitor::{MonitorId, MonitorScope, Teller, View};

/// So many destinations at most are put together at a time.
const WINDOW_MAX: usize = 1024;
/// About what one more run of routes takes in octets, to end a window in time.
const RUN_LEN: usize = 128;

/// A path that was told.
#[derive(Debug, Clone, Copy)]
struct Told<D> {
    /// Of the attribute set; it is never used again.
    serial: u64,
    view: View,
    path_id: u32,
    next: u32,
    data: D,
}

impl<D: Default> Slot for Told<D> {
    fn vacant(next_free: u32) -> Self {
        Told {
            serial: 0,
            view: View::VACANT,
            path_id: 0,
            next: next_free,
            data: D::default(),
        }
    }

    fn next_free(&self) -> Option<u32> {
        (self.view == View::VACANT).then_some(self.next)
    }
}

/// One monitor's part of a table.
#[derive(Debug)]
pub(super) struct Watch<D> {
    id: MonitorId,
    scope: MonitorScope,
    /// Up to where it has read the journal.
    pub(super) cursor: u32,
    /// What it has to look at beside.
    aside: IndexSet,
    /// Where in `aside` to go on, so that low indexes do not starve high ones.
    aside_from: u32,
    /// The first path told, by destination.
    heads: Chunked<u32>,
    told: Slab<Told<D>>,
}

impl<D: Copy + Default> Watch<D> {
    fn paths(&self, index: u32) -> SmallVec<[Told<D>; 4]> {
        let mut at = self.heads.get(index).copied().unwrap_or(NONE);
        let mut paths = SmallVec::new();
        while at != NONE {
            let path = self.told[at];
            at = path.next;
            paths.push(path);
        }
        paths
    }

    fn set_paths(&mut self, index: u32, paths: &[Told<D>]) {
        while self.heads.len() <= index {
            self.heads.push(NONE);
        }
        let mut at = self.heads[index];
        while at != NONE {
            at = self.told.remove(at).next;
        }
        let insert = |next, path: &Told<D>| self.told.insert(Told { next, ..*path });
        self.heads[index] = paths.iter().fold(NONE, insert);
    }
}

/// A route to be told.
#[derive(Debug)]
struct Entry {
    view: View,
    at: Option<Instant>,
    set: u32,
    index: u32,
    path: u32,
}

/// What is told together.
#[derive(Debug, Default)]
struct Window {
    entries: Vec<Entry>,
    withdrawn: Vec<(View, Nlri, u32)>,
}

impl<K: Key> Table<K> {
    /// From now on a monitor follows the table, from its start.
    pub(in crate::rib) fn start_monitor(&mut self, id: MonitorId, scope: MonitorScope) {
        self.monitors.push(Watch {
            id,
            scope,
            cursor: 0,
            aside: IndexSet::default(),
            aside_from: 0,
            heads: Chunked::new(),
            told: Slab::new(),
        });
    }

    pub(in crate::rib) fn stop_monitor(&mut self, id: MonitorId) {
        let Some(place) = self.monitor_place(id) else {
            return;
        };
        let watch = self.monitors.swap_remove(place);
        for index in 0..watch.heads.len() {
            if watch.heads[index] != NONE {
                self.release_destination(index);
            }
        }
    }

    fn monitor_place(&self, id: MonitorId) -> Option<usize> {
        self.monitors.iter().position(|watch| watch.id == id)
    }

    /// Whether there is something for it to look at.
    pub(in crate::rib) fn has_for_monitor(&self, id: MonitorId) -> bool {
        self.monitor_place(id).is_some_and(|place| {
            let watch = &self.monitors[place];
            watch.cursor < self.journal.end() || !watch.aside.is_empty()
        })
    }

    /// A peer's session is told anew, and with it all that the peer has said.
    pub(in crate::rib) fn monitor_again(&mut self, id: MonitorId, slot: u32) {
        let Some(place) = self.monitor_place(id) else {
            return;
        };
        let peer = self.peers.get(slot as usize).and_then(Option::as_deref);
        let watch = &mut self.monitors[place];
        for index in peer.iter().flat_map(|peer| peer.received.iter()) {
            watch.aside.insert(index);
        }
    }

    /// Puts a destination aside whose place in the journal does not change.
    pub(super) fn push_to_monitors(&mut self, index: u32) {
        for watch in &mut self.monitors {
            if watch.scope.adj_rib_in {
                watch.aside.insert(index);
            }
        }
    }

    /// Tells what there is until that is about as long as `teller` may tell; returns whether there is
    /// more.
    pub(in crate::rib) fn tell_monitor(&mut self, id: MonitorId, teller: &mut Teller<'_>) -> bool {
        let Some(place) = self.monitor_place(id) else {
            return false;
        };
        loop {
            let mut window = Window::default();
            let mut looked_at = 0;
            let has_more = loop {
                let len = window.entries.len() * (K::NLRI_LEN + RUN_LEN)
                    + window.withdrawn.len() * K::NLRI_LEN;
                if teller.is_full(len) || looked_at >= WINDOW_MAX {
                    break self.has_for_monitor(id);
                }
                let Some(index) = self.next_monitored(place) else {
                    break false;
                };
                looked_at += 1;
                self.compare(place, teller, index, &mut window);
            };
            self.tell(place, teller, window);
            if !has_more || teller.is_full(0) {
                return has_more;
            }
        }
    }

    fn next_monitored(&mut self, place: usize) -> Option<u32> {
        let watch = &mut self.monitors[place];
        if !watch.aside.is_empty() {
            let next = watch.aside.next(watch.aside_from);
            let next = next.or_else(|| watch.aside.next(0))?;
            watch.aside.remove(next);
            watch.aside_from = next.wrapping_add(1);
            return Some(next);
        }
        self.journal.next(&mut watch.cursor)
    }

    /// Adds to the window what differs between what there is and what was told.
    fn compare(&mut self, place: usize, teller: &Teller<'_>, index: u32, window: &mut Window) {
        // What is gone, and was told, is still here: it is held.
        if self.dests.get(index).is_none() {
            return;
        }
        let mut now = self.monitored(self.monitors[place].scope, teller, index);
        now.sort_unstable_by_key(|(told, _)| (told.view, told.path_id));
        let mut before = self.monitors[place].paths(index);
        before.sort_unstable_by_key(|told| (told.view, told.path_id));
        let mut differs = false;
        for (told, path) in &now {
            let key = (told.view, told.path_id);
            let old = before.binary_search_by_key(&key, |old| (old.view, old.path_id));
            let is_same = old.is_ok_and(|at| {
                let old = &before[at];
                (old.serial, old.data) == (told.serial, told.data)
            });
            if !is_same {
                differs = true;
                let node = &self.paths[*path];
                window.entries.push(Entry {
                    view: told.view,
                    at: Some(node.since.into()),
                    set: node.attributes,
                    index,
                    path: *path,
                });
            }
        }
        for old in &before {
            let key = (old.view, old.path_id);
            let stays = now.binary_search_by_key(&key, |(told, _)| (told.view, told.path_id));
            if stays.is_ok() {
                continue;
            }
            differs = true;
            // With the end of a session all its routes have gone.
            if teller.is_told(old.view) {
                let nlri = self.dests[index].key.to_nlri();
                window.withdrawn.push((old.view, nlri, old.path_id));
            }
        }
        if differs {
            let now: SmallVec<[Told<K::Data>; 4]> = now.into_iter().map(|(told, _)| told).collect();
            self.note_told(place, index, &now);
        }
    }

    /// What a monitor should know of a destination, with the paths.
    fn monitored(
        &self,
        scope: MonitorScope,
        teller: &Teller<'_>,
        index: u32,
    ) -> SmallVec<[(Told<K::Data>, u32); 4]> {
        let told = |view, path_id, path: u32| {
            let node = &self.paths[path];
            let told = Told {
                serial: self.attrs[node.attributes].serial,
                view,
                path_id,
                next: NONE,
                data: node.data,
            };
            (told, path)
        };
        let best = Some(self.dests[index].head).filter(|head| scope.loc_rib && *head != NONE);
        let best = best.map(|path| told(View::LOC_RIB, 0, path));
        let received = self.paths_of(index).filter_map(|path| {
            let node = &self.paths[path];
            let view = teller.view_of(node.source.slot()?)?;
            Some(told(view, node.path_id, path))
        });
        best.into_iter().chain(received).collect()
    }

    fn note_told(&mut self, place: usize, index: u32, paths: &[Told<K::Data>]) {
        let watch = &mut self.monitors[place];
        let had = watch.heads.get(index).is_some_and(|head| *head != NONE);
        watch.set_paths(index, paths);
        match (had, !paths.is_empty()) {
            (false, true) => self.dests[index].holders += 1,
            (true, false) => self.release_destination(index),
            _ => {}
        }
    }

    fn tell(&mut self, place: usize, teller: &mut Teller<'_>, mut window: Window) {
        // Destinations stay in the order in which they changed.
        let together = |entry: &Entry| (entry.view, entry.at, entry.set);
        window.entries.sort_by_key(together);
        let mut unsent = Vec::new();
        for run in window
            .entries
            .chunk_by(|one, other| together(one) == together(other))
        {
            let set = self.attrs[run[0].set].attributes();
            let attributes = with_next_hop(set, K::FAMILY, teller.router_id);
            let context = teller.context(run[0].view, K::FAMILY);
            let routes: Vec<(Nlri, PathData)> = run.iter().map(|entry| self.route(entry)).collect();
            let mut out = Vec::new();
            let left = write(&context, (K::FAMILY, &attributes), &routes, &mut out);
            unsent.extend(left.into_iter().map(|at| (&run[at], routes[at].clone())));
            teller.tell(run[0].view, run[0].at, out);
        }
        for (entry, (nlri, data)) in unsent {
            window.withdrawn.push((entry.view, nlri, data.path_id));
            let mut told = self.monitors[place].paths(entry.index);
            told.retain(|told| (told.view, told.path_id) != (entry.view, data.path_id));
            self.note_told(place, entry.index, &told);
        }
        window.withdrawn.sort_by_key(|(view, ..)| *view);
        for run in window
            .withdrawn
            .chunk_by(|(one, ..), (other, ..)| one == other)
        {
            let view = run[0].0;
            let routes = run.iter().map(|(_, nlri, path_id)| {
                let path_id = *path_id;
                let data = PathData::default();
                (nlri, PathData { path_id, ..data })
            });
            let mut out = Vec::new();
            UpdateWriter::new(&teller.context(view, K::FAMILY), &mut out)
                .withdraw(K::FAMILY, routes);
            teller.tell(view, None, out);
        }
    }

    fn route(&self, entry: &Entry) -> (Nlri, PathData) {
        let node = &self.paths[entry.path];
        let path_id = match entry.view {
            View::LOC_RIB => 0,
            _ => node.path_id,
        };
        let data = K::unpack(node.data);
        let nlri = self.dests[entry.index].key.to_nlri();
        (nlri, PathData { path_id, ..data })
    }

    /// Whether the peer has said that it has said all.
    pub(in crate::rib) fn has_ended(&self, slot: u32) -> bool {
        self.peer(slot)
            .is_some_and(|peer: &PeerTable| peer.end_of_rib_received)
    }
}

/// Routes of this node may have none before they go out: then it is this node.
fn with_next_hop(attributes: &Attributes, family: Family, router_id: Ipv4Addr) -> Attributes {
    if attributes.next_hop().is_some() || family.is_flowspec() {
        return attributes.clone();
    }
    let next_hop = match family {
        Family::IPV6_UNICAST | Family::IPV6_VPN => router_id.to_ipv6_mapped().into(),
        _ => IpAddr::from(router_id),
    };
    attributes.to_builder().next_hop(next_hop).build()
}

/// Writes routes with the same attributes; those that do not fit into a usual message each in a longer
/// one (RFC 8654). Returns the places of those that fit into none.
fn write(
    context: &CodecContext,
    (family, attributes): (Family, &Attributes),
    routes: &[(Nlri, PathData)],
    out: &mut Vec<u8>,
) -> Vec<usize> {
    let all = routes.iter().map(|(nlri, data)| (nlri, *data));
    let written = UpdateWriter::new(context, out).reach(family, attributes, all);
    if written == routes.len() {
        return Vec::new();
    }
    out.clear();
    let longer = CodecContext {
        message_len_max: chanter_bgp::MESSAGE_LEN_EXTENDED,
        ..context.clone()
    };
    let mut write = |(nlri, data): &(Nlri, PathData)| {
        UpdateWriter::new(&longer, out).reach(family, attributes, [(nlri, *data)]) > 0
    };
    let places = (0..).zip(routes);
    let unsent = places.filter(|(_, route)| !write(route));
    unsent.map(|(place, _)| place).collect()
}
