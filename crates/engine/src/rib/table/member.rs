//! How peers come into update groups and leave them.

use super::Table;
use super::group::{Member, UpdateGroup, class_of};
use super::peer::Feed;
use super::pull::Pull;
use super::sent::UNSENT;
use crate::SessionInfo;
use crate::rib::index_set::IndexSet;
use crate::rib::key::Key;
use crate::rib::peers::Peer;

impl<K: Key> Table<K> {
    pub(super) fn take_group(&mut self, place: u32) -> Option<Box<UpdateGroup>> {
        self.groups.get_mut(place as usize)?.take()
    }

    pub(super) fn put_group(&mut self, place: u32, group: Box<UpdateGroup>) {
        self.groups[place as usize] = Some(group);
    }

    pub(super) fn group_at(&self, place: u32) -> Option<&UpdateGroup> {
        self.groups.get(place as usize)?.as_deref()
    }

    pub(super) fn member(&self, slot: u32) -> Option<Member> {
        match self.export_of(slot)?.feed {
            Feed::Member(member) => Some(member),
            _ => None,
        }
    }

    fn group_of_class(&self, class: &SessionInfo) -> Option<u32> {
        let is_of = |group: &Option<Box<UpdateGroup>>| {
            group.as_deref().is_some_and(|group| group.is_of(class))
        };
        self.groups.iter().position(is_of).map(|place| place as u32)
    }

    fn found_group(&mut self, class: SessionInfo, cursor: u32) -> (u32, Box<UpdateGroup>) {
        let place = self.groups.iter().position(Option::is_none);
        let place = place.unwrap_or_else(|| {
            self.groups.push(None);
            self.groups.len() - 1
        });
        (place as u32, Box::new(UpdateGroup::new(class, cursor)))
    }

    fn admit(&mut self, place: u32, mut group: Box<UpdateGroup>, peer: &Peer, slot: u32) {
        group.add(slot, peer.session.peer_router_id);
        let position = group.end();
        let scanned = group.cursor;
        self.put_group(place, group);
        if let Some(export) = self.export_mut(slot) {
            export.feed = Feed::Member(Member {
                group: place,
                position,
                scanned,
            });
        }
    }

    /// Lets a peer that was sent nothing begin in a group, if there is one for it that has sent nothing
    /// either, or none.
    pub(super) fn start_shared(&mut self, peer: &Peer, slot: u32) {
        let Some(class) = class_of::<K>(peer) else {
            return;
        };
        let (place, group) = match self.group_of_class(&class) {
            Some(place) => match self.take_group(place) {
                Some(group) => (place, group),
                None => return,
            },
            None => self.found_group(class, 0),
        };
        if group.is_complete && group.sent.sent() == 0 {
            self.admit(place, group, peer, slot);
        } else {
            self.put_group(place, group);
        }
    }

    /// Lets a peer that follows the journal alone, and has all of it, into the group of its equals.
    pub(super) fn join(&mut self, pull: &mut Pull<'_>) {
        let end = self.journal.end();
        let has_all = self
            .export_of(pull.slot)
            .is_some_and(|export| export.feed == Feed::Journal(end) && export.pending.is_empty());
        let Some(peer) = pull.peers.get(pull.slot).filter(|_| has_all) else {
            return;
        };
        let Some(class) = class_of::<K>(peer) else {
            return;
        };
        let (place, mut group) = match self.group_of_class(&class) {
            Some(place) => match self.take_group(place) {
                Some(group) => (place, group),
                None => return,
            },
            None => self.found_group(class, end),
        };
        if group.cursor < end {
            self.write_chunk(pull, &mut group, usize::MAX);
        }
        if group.cursor < end {
            return self.put_group(place, group);
        }
        self.hand_over(&mut group, pull.slot);
        self.admit(place, group, peer, pull.slot);
    }

    /// Makes the marks of the group tell what a peer has that is to be a member.
    fn hand_over(&mut self, group: &mut UpdateGroup, slot: u32) {
        let Some(export) = self.export_mut(slot) else {
            return;
        };
        let advertised = std::mem::take(&mut export.advertised);
        for index in 0..group.sent.end() {
            let mark = group.sent.get(index);
            let has = advertised.contains(index);
            if mark != UNSENT && group.sent.has(mark, slot) != has {
                let mark = group.sent.adjusted(mark, slot, has);
                group.sent.set(index, mark);
            }
        }
        for index in advertised.iter() {
            if group.sent.get(index) != UNSENT {
                self.release_destination(index);
                continue;
            }
            // Its hold goes over to the group.
            let others = group.members().iter().copied().collect();
            let mark = group.sent.all_but(others);
            group.sent.set(index, mark);
        }
    }

    /// Lets those members go on alone that hold up the others. `taking` is just about to take all.
    pub(super) fn detach_laggards(&mut self, group: &mut UpdateGroup, taking: u32) {
        while group.is_over(self.ring_len_max) {
            let laggards: Vec<(u32, Member)> = group
                .members()
                .iter()
                .filter(|slot| **slot != taking)
                .filter_map(|slot| Some((*slot, self.member(*slot)?)))
                .filter(|(slot, member)| group.holds_up(*slot, member.position))
                .collect();
            if laggards.is_empty() {
                return;
            }
            for (slot, member) in laggards {
                self.detach_from(group, slot, member);
            }
        }
    }

    /// Lets a member follow the journal alone from here on.
    pub(super) fn detach(&mut self, slot: u32) {
        let Some(member) = self.member(slot) else {
            return;
        };
        let Some(mut group) = self.take_group(member.group) else {
            return;
        };
        self.detach_from(&mut group, slot, member);
        self.put_or_dissolve(member.group, group);
    }

    fn detach_from(&mut self, group: &mut UpdateGroup, slot: u32, member: Member) {
        let marks = &group.sent;
        let mut advertised = IndexSet::default();
        let mut from = 0;
        while let Some(index) = marks.next(slot, from) {
            advertised.insert(index);
            from = index + 1;
        }
        // Back to where it stands, one change after the other.
        let mut pending = IndexSet::default();
        for chunk in group.untaken(member.position) {
            for (index, old) in chunk.changes.iter().rev() {
                if marks.has(*old, slot) {
                    advertised.insert(*index);
                } else {
                    advertised.remove(*index);
                }
                pending.insert(*index);
            }
        }
        for index in advertised.iter() {
            self.dests[index].holders += 1;
        }
        if let Some(export) = self.export_mut(slot) {
            export.feed = Feed::Journal(group.cursor);
            export.advertised = advertised;
            export.pending = pending;
            export.pending_from = 0;
        }
        self.woken.push(slot);
        group.remove(slot, member.position);
        self.drop_taken(group);
    }

    /// Takes a member out of its group, and forgets what it was sent.
    pub(super) fn leave(&mut self, slot: u32, member: Member) {
        if let Some(mut group) = self.take_group(member.group) {
            group.remove(slot, member.position);
            self.drop_taken(&mut group);
            self.put_or_dissolve(member.group, group);
        }
    }

    /// A group ends with its last member.
    fn put_or_dissolve(&mut self, place: u32, group: Box<UpdateGroup>) {
        if !group.members().is_empty() {
            return self.put_group(place, group);
        }
        for index in 0..group.sent.end() {
            if group.sent.get(index) != UNSENT {
                self.release_destination(index);
            }
        }
    }
}
