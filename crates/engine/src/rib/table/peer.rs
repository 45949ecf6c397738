//! What a table knows of each peer: the paths it sent, the destinations it was sent, and what is yet
//! to be sent. There is no Adj-RIB-Out but a set of indexes: attributes are made when they go out.

use super::add_path::{PathIds, takes_paths};
use super::group::{Member, class_of};
use super::{Marks, Path, Table};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::rib::chunked::NONE;
use crate::rib::index_set::IndexSet;
use crate::rib::key::Key;
use crate::rib::peers::{Peer, Peers, Source};
use crate::rib::verdict;

/// How a peer learns of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rib) enum Feed {
    /// It follows the journal, from this position on.
    Journal(u32),
    /// Changes that concern it are put aside for it: it wants single route targets, and most of the
    /// table is not for it.
    Pushed,
    /// It takes what is written for its update group, which also knows what it was sent.
    Member(Member),
}

#[derive(Debug)]
pub(super) struct Export {
    pub(super) feed: Feed,
    /// What it was sent and has not been told to be gone.
    pub(super) advertised: IndexSet,
    /// What is put aside for it. Bounded by the table, as is all else here, so a peer that takes
    /// nothing costs no more than one that is slow.
    pub(super) pending: IndexSet,
    /// Where in `pending` to go on, so that low indexes do not starve high ones.
    pub(super) pending_from: u32,
    /// Of each destination that it was sent, the paths, where it takes several.
    pub(super) path_ids: HashMap<u32, PathIds, FxBuildHasher>,
    pub(super) end_of_rib_sent: bool,
    pub(super) answer: Answer,
}

/// How far the answer to a ROUTE-REFRESH has come, where its begin and its end are marked (RFC 7313
/// section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Answer {
    /// Nothing was asked for, or it was answered.
    #[default]
    Done,
    /// It is to begin, after the End-of-RIB of the first dump.
    Asked,
    /// It has begun.
    Begun,
}

/// Which paths of a peer are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rib) enum Which {
    All,
    Stale,
    /// Not repeated since the peer began to send all its routes again.
    Unrepeated,
}

impl Which {
    fn holds<D>(self, path: &Path<D>) -> bool {
        match self {
            Which::All => true,
            Which::Stale => path.marks.has(Marks::STALE),
            Which::Unrepeated => path.marks.has(Marks::UNREPEATED),
        }
    }
}

impl Export {
    /// A path of the destination was taken back; returns whether that was all of it.
    pub(super) fn forget(&mut self, index: u32, path_id: u32) -> bool {
        if let Some(ids) = self.path_ids.get_mut(&index) {
            ids.retain(|id| *id != path_id);
            if !ids.is_empty() {
                return false;
            }
            self.path_ids.remove(&index);
        }
        self.advertised.remove(index)
    }
}

#[derive(Debug, Default)]
pub(super) struct PeerTable {
    /// Destinations with a path of the peer: its Adj-RIB-In.
    pub(super) received: IndexSet,
    /// How many paths these are: more where it sends several to a destination (RFC 7911).
    pub(super) paths: u32,
    /// How many of these paths are stale.
    pub(super) stale: u32,
    pub(super) end_of_rib_received: bool,
    /// While the session is Established with this family.
    pub(super) export: Option<Export>,
}

impl PeerTable {
    pub(super) fn is_pushed(&self) -> bool {
        self.export
            .as_ref()
            .is_some_and(|export| export.feed == Feed::Pushed)
    }

    pub(super) fn cursor_mut(&mut self) -> Option<&mut u32> {
        match &mut self.export.as_mut()?.feed {
            Feed::Journal(cursor) => Some(cursor),
            Feed::Member(member) => Some(&mut member.scanned),
            Feed::Pushed => None,
        }
    }

    /// Puts a destination aside; returns whether nothing was before.
    pub(super) fn push(&mut self, index: u32) -> bool {
        let Some(export) = &mut self.export else {
            return false;
        };
        let was_empty = export.pending.is_empty();
        export.pending.insert(index);
        was_empty
    }
}

/// A family of a peer in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::rib) struct PeerCounts {
    pub(in crate::rib) received: usize,
    pub(in crate::rib) stale: usize,
    pub(in crate::rib) advertised: usize,
    pub(in crate::rib) end_of_rib_received: bool,
    pub(in crate::rib) end_of_rib_sent: bool,
}

impl<K: Key> Table<K> {
    pub(super) fn peer(&self, slot: u32) -> Option<&PeerTable> {
        self.peers.get(slot as usize)?.as_deref()
    }

    pub(super) fn peer_mut(&mut self, slot: u32) -> &mut PeerTable {
        let place = slot as usize;
        if self.peers.len() <= place {
            self.peers.resize_with(place + 1, || None);
        }
        self.peers[place].get_or_insert_default()
    }

    pub(super) fn export_of(&self, slot: u32) -> Option<&Export> {
        self.peer(slot)?.export.as_ref()
    }

    pub(super) fn export_mut(&mut self, slot: u32) -> Option<&mut Export> {
        self.peers.get_mut(slot as usize)?.as_mut()?.export.as_mut()
    }

    /// Forgets a peer that has no path left and is sent nothing.
    pub(in crate::rib) fn forget_peer(&mut self, slot: u32) {
        if let Some(place) = self.peers.get_mut(slot as usize) {
            *place = None;
        }
    }

    pub(in crate::rib) fn counts(&self, slot: u32) -> PeerCounts {
        let Some(peer) = self.peer(slot) else {
            return PeerCounts::default();
        };
        PeerCounts {
            received: peer.paths as usize,
            stale: peer.stale as usize,
            advertised: self.advertised_count(slot),
            end_of_rib_received: peer.end_of_rib_received,
            end_of_rib_sent: peer
                .export
                .as_ref()
                .is_some_and(|export| export.end_of_rib_sent),
        }
    }

    /// Begins to send to a peer, all from the start.
    pub(in crate::rib) fn start_export(&mut self, peer: &Peer, slot: u32, is_pushed: bool) {
        let place = self.peer_mut(slot);
        place.end_of_rib_received = false;
        place.export = Some(Export {
            feed: if is_pushed {
                Feed::Pushed
            } else {
                Feed::Journal(0)
            },
            advertised: IndexSet::default(),
            pending: IndexSet::default(),
            pending_from: 0,
            path_ids: HashMap::default(),
            end_of_rib_sent: false,
            answer: Answer::Done,
        });
        if takes_paths::<K>(peer) {
            self.takers.push(slot);
        }
        if is_pushed {
            self.start_pushing(peer, slot);
        } else {
            self.followers.push(slot);
            self.start_shared(peer, slot);
        }
    }

    /// Forgets what the peer was sent: its session is down.
    pub(in crate::rib) fn stop_export(&mut self, peer: &Peer, slot: u32) {
        for rt in peer.wanted.single() {
            self.rts.unsubscribe(slot, rt);
        }
        self.takers.retain(|taker| *taker != slot);
        self.followers.retain(|follower| *follower != slot);
        let export = self.peers.get_mut(slot as usize).and_then(Option::as_mut);
        if let Some(export) = export.and_then(|peer| peer.export.take()) {
            if let Feed::Member(member) = export.feed {
                self.leave(slot, member);
            }
            for index in export.advertised.iter() {
                self.release_destination(index);
            }
        }
    }

    /// Sends all again (RFC 2918).
    pub(in crate::rib) fn refresh(&mut self, peer: &Peer, slot: u32) {
        self.detach(slot);
        let wanted = self.pushed_all(peer);
        let Some(export) = self.export_mut(slot) else {
            return;
        };
        match &mut export.feed {
            Feed::Journal(cursor) => *cursor = 0,
            Feed::Member(_) => {}
            Feed::Pushed => {
                let advertised = export.advertised.clone();
                self.put_aside(slot, advertised.iter().chain(wanted.iter()));
            }
        }
    }

    /// Answers a ROUTE-REFRESH, with marks around the answer; one that comes meanwhile begins it anew.
    pub(in crate::rib) fn answer(&mut self, slot: u32) {
        if let Some(export) = self.export_mut(slot) {
            export.answer = Answer::Asked;
        }
    }

    /// Whether an answer begins now.
    pub(in crate::rib) fn begin_answer(&mut self, peer: &Peer, slot: u32) -> bool {
        let is_due = self
            .export_mut(slot)
            .is_some_and(|export| export.answer == Answer::Asked && export.end_of_rib_sent);
        if is_due {
            self.refresh(peer, slot);
            self.set_answer(slot, Answer::Begun);
        }
        is_due
    }

    /// Whether an answer is complete, now that nothing is waiting.
    pub(in crate::rib) fn end_answer(&mut self, slot: u32) -> bool {
        let is_begun = self
            .export_of(slot)
            .is_some_and(|export| export.answer == Answer::Begun);
        if is_begun {
            self.set_answer(slot, Answer::Done);
        }
        is_begun
    }

    fn set_answer(&mut self, slot: u32, answer: Answer) {
        if let Some(export) = self.export_mut(slot) {
            export.answer = answer;
        }
    }

    /// Whether an answer has yet to begin.
    pub(in crate::rib) fn has_to_answer(&self, slot: u32) -> bool {
        self.export_of(slot)
            .is_some_and(|export| export.answer == Answer::Asked)
    }

    /// All that may concern a peer that does not follow the journal.
    fn pushed_all(&self, peer: &Peer) -> IndexSet {
        if !K::BY_ROUTE_TARGET {
            return self.local.clone();
        }
        let sets = peer
            .wanted
            .single()
            .filter_map(|rt| self.rts.destinations(rt));
        sets.flat_map(IndexSet::iter).collect()
    }

    /// Sets a peer that does not follow the journal on its way.
    fn start_pushing(&mut self, peer: &Peer, slot: u32) {
        for rt in peer.wanted.single().filter(|_| K::BY_ROUTE_TARGET) {
            self.rts.subscribe(slot, rt);
        }
        let wanted = self.pushed_all(peer);
        self.put_aside(slot, wanted.iter());
    }

    fn put_aside(&mut self, slot: u32, indexes: impl Iterator<Item = u32>) {
        let Some(peer) = self.peers.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        for index in indexes {
            if peer.push(index) {
                self.woken.push(slot);
            }
        }
    }

    /// Puts those destinations aside that the peer wants and has not been sent, or the other way
    /// round.
    fn review(&mut self, peer: &Peer, slot: u32, indexes: impl Iterator<Item = u32>) {
        let Some(export) = self.export_of(slot) else {
            return;
        };
        let differs = |index: &u32| {
            let is_wanted = self
                .best_set(*index)
                .is_some_and(|set| verdict::wants(peer, K::FAMILY, &self.attrs[set]));
            is_wanted != export.advertised.contains(*index)
        };
        let differing: Vec<u32> = indexes.filter(differs).collect();
        self.put_aside(slot, differing.into_iter());
    }

    /// The memberships of the peer changed by one: queues what it wants more or less than before.
    pub(in crate::rib) fn review_membership(
        &mut self,
        peer: &Peer,
        slot: u32,
        membership: chanter_bgp::RtMembership,
    ) {
        if !K::BY_ROUTE_TARGET || self.export_of(slot).is_none() {
            return;
        }
        if self.member(slot).is_some() {
            if class_of::<K>(peer).is_some() {
                // It gets all, before and after.
                return;
            }
            self.detach(slot);
        }
        if self.switch_feed(peer, slot) {
            return;
        }
        match membership.rt() {
            Some(rt) => {
                let is_wanted = peer.wanted.single().any(|other| other == rt);
                if !is_wanted {
                    self.rts.unsubscribe(slot, rt);
                } else if self.peer(slot).is_some_and(PeerTable::is_pushed) {
                    self.rts.subscribe(slot, rt);
                }
                let indexes = self.rts.destinations(rt).cloned().unwrap_or_default();
                self.review(peer, slot, indexes.iter());
            }
            None if membership.is_default() => {
                let end = self.dests.end();
                let live = (0..end).filter(|index| self.dests.get(*index).is_some());
                let live: Vec<u32> = live.collect();
                self.review(peer, slot, live.into_iter());
            }
            None => {
                let indexes = self.rts.destinations_where(|rt| membership.covers(rt));
                self.review(peer, slot, indexes.iter());
            }
        }
    }

    /// A peer that asks for more than single route targets follows the journal, others do not.
    /// Returns whether it reads all anyway.
    fn switch_feed(&mut self, peer: &Peer, slot: u32) -> bool {
        let end = self.journal.end();
        let Some(export) = self.export_mut(slot) else {
            return true;
        };
        match export.feed {
            Feed::Pushed if peer.wanted.has_prefixes() => {
                // What is put aside stays so; a peer that was sent nothing may as well read the
                // journal from its start, in the order in which routes came.
                let is_new = export.advertised.is_empty();
                export.feed = Feed::Journal(if is_new { 0 } else { end });
                for rt in peer.wanted.single() {
                    self.rts.unsubscribe(slot, rt);
                }
                self.followers.push(slot);
                if is_new {
                    self.woken.push(slot);
                }
                is_new
            }
            Feed::Journal(cursor) if !peer.wanted.has_prefixes() => {
                export.feed = Feed::Pushed;
                let advertised = export.advertised.clone();
                self.followers.retain(|follower| *follower != slot);
                let unread: Vec<u32> = (cursor..end)
                    .filter_map(|position| self.journal.get(position))
                    .collect();
                for rt in peer.wanted.single() {
                    self.rts.subscribe(slot, rt);
                }
                let wanted = self.pushed_all(peer);
                self.put_aside(slot, unread.into_iter());
                self.review(peer, slot, advertised.iter());
                self.review(peer, slot, wanted.iter());
                true
            }
            _ => false,
        }
    }

    /// Marks the paths of a peer as stale (RFC 4724 section 4.2); returns how many.
    pub(in crate::rib) fn mark_stale(&mut self, slot: u32) -> usize {
        let received = self.peer_mut(slot).received.clone();
        for index in received.iter() {
            for path in self.paths_from(index, Source::peer(slot)) {
                self.paths[path].marks = Marks::STALE;
            }
        }
        let peer = self.peer_mut(slot);
        peer.stale = peer.paths;
        peer.stale as usize
    }

    /// Notes the End-of-RIB of a peer.
    pub(in crate::rib) fn end_of_rib(&mut self, slot: u32) {
        self.peer_mut(slot).end_of_rib_received = true;
    }

    /// The peer begins to repeat all its routes (RFC 7313).
    pub(in crate::rib) fn mark_unrepeated(&mut self, slot: u32) {
        let mut from = 0;
        while let Some(index) = self.peer(slot).and_then(|peer| peer.received.next(from)) {
            from = index + 1;
            for path in self.paths_from(index, Source::peer(slot)) {
                self.paths[path].marks.set(Marks::UNREPEATED);
            }
        }
    }

    /// Removes paths of a peer; returns how many.
    pub(in crate::rib) fn remove_paths(
        &mut self,
        peers: &Peers,
        slot: u32,
        which: Which,
        mut removed: impl FnMut(&K),
    ) -> usize {
        if which == Which::Stale && self.stale_count(slot) == 0 {
            return 0;
        }
        let mut count = 0;
        let mut from = 0;
        while let Some(index) = self.peer(slot).and_then(|peer| peer.received.next(from)) {
            from = index + 1;
            for path in self.paths_from(index, Source::peer(slot)) {
                if which.holds(&self.paths[path]) {
                    removed(&self.dests[index].key);
                    self.remove(peers, index, path);
                    count += 1;
                }
            }
        }
        count
    }

    /// How many paths the peer has.
    pub(in crate::rib) fn path_count_of(&self, slot: u32) -> usize {
        self.peer(slot).map_or(0, |peer| peer.paths as usize)
    }

    pub(in crate::rib) fn stale_count(&self, slot: u32) -> usize {
        self.peer(slot).map_or(0, |peer| peer.stale as usize)
    }

    /// Peers that follow the journal and have not read all of it.
    pub(in crate::rib) fn followers_behind(&self) -> impl Iterator<Item = u32> + '_ {
        let end = self.journal.end();
        self.followers.iter().copied().filter(move |slot| {
            let Some(export) = self.export_of(*slot) else {
                return false;
            };
            match export.feed {
                Feed::Journal(cursor) => cursor < end,
                Feed::Member(member) => self
                    .group_at(member.group)
                    .is_some_and(|group| group.cursor < end || member.position < group.end()),
                Feed::Pushed => false,
            }
        })
    }

    /// Whether the destination is reachable by a path, and by which the best.
    pub(super) fn is_live(&self, index: u32) -> bool {
        self.dests.get(index).is_some_and(|dest| dest.head != NONE)
    }
}
