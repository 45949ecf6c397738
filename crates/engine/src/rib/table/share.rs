//! Writing for an update group.

use chanter_bgp::{Nlri, PathData, UpdateWriter};

use super::Table;
use super::group::{Audience, CHUNK_LEN, Draft, Member, UpdateGroup};
use super::peer::Feed;
use super::pull::{Entry, Pull};
use super::sent::UNSENT;
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::outflow::Outflow;
use crate::rib::peers::Source;

/// So many octets at least are set aside for a chunk: those of one message with usual attributes.
const DRAFT_LEN_MIN: usize = 192;

impl<K: Key> Table<K> {
    /// [`Table::pull`] for a member of an update group.
    pub(super) fn pull_shared(
        &mut self,
        pull: &mut Pull<'_>,
        mut member: Member,
        limit: usize,
        out: &mut Outflow,
    ) -> bool {
        let Some(mut group) = self.take_group(member.group) else {
            return false;
        };
        let has_more = loop {
            if group.give(pull.slot, &mut member.position, limit, out) {
                break true;
            }
            self.drop_taken(&mut group);
            if group.cursor >= self.journal.end() {
                break false;
            }
            // Half of it is enough to go out: the rest becomes a chunk of its own.
            if out.len() >= limit / 2 {
                break true;
            }
            if !group.is_ring_empty() && !self.is_concerned(&group, pull.slot, &mut member) {
                break false;
            }
            self.write_chunk(pull, &mut group, limit);
        };
        if let Some(export) = self.export_mut(pull.slot) {
            export.feed = Feed::Member(member);
        }
        self.put_group(member.group, group);
        has_more
    }

    /// Whether what the group has yet to read may concern the member. A member that is the source of
    /// all of it does not drive the group on beyond what others have taken.
    fn is_concerned(&self, group: &UpdateGroup, slot: u32, member: &mut Member) -> bool {
        let from = member.scanned.max(group.cursor);
        let end = self.journal.end();
        let concerns = |index: u32| {
            let head = self.dests[index].head;
            let is_own = head == NONE || self.paths[head].source == Source::peer(slot);
            !is_own || group.sent.has(group.sent.get(index), slot)
        };
        for position in from..end {
            if self.journal.get(position).is_some_and(concerns) {
                member.scanned = position;
                return true;
            }
        }
        member.scanned = end;
        false
    }

    /// Writes the next chunk of about `len` octets.
    pub(super) fn write_chunk(&mut self, pull: &mut Pull<'_>, group: &mut UpdateGroup, len: usize) {
        let len = len.min(CHUNK_LEN);
        let unread = (self.journal.end() - group.cursor) as usize;
        let mut draft = group.draft(len.min(unread * K::NLRI_LEN + DRAFT_LEN_MIN));
        while group.cursor < self.journal.end() && draft.out.len() < len {
            pull.window.clear();
            while !pull.window.is_full()
                && draft.out.len() + pull.window.len(K::NLRI_LEN) < len
                && let Some(index) = self.journal.next(&mut group.cursor)
            {
                self.look_at_shared(pull, group, &mut draft, index);
            }
            self.write_shared(pull, group, &mut draft);
        }
        if draft.is_empty() {
            group.keep_room(draft.changes, draft.gone);
        } else {
            group.push(draft);
        }
        self.drop_taken(group);
        self.detach_laggards(group, pull.slot);
    }

    fn look_at_shared(
        &mut self,
        pull: &mut Pull<'_>,
        group: &mut UpdateGroup,
        draft: &mut Draft,
        index: u32,
    ) {
        let old = group.sent.get(index);
        let head = Some(self.dests[index].head).filter(|head| *head != NONE);
        let chosen = head.and_then(|path| {
            let run = self.run_of(pull, Some(group), (index, path))?;
            Some((path, run))
        });
        let Some((path, run)) = chosen else {
            if old != UNSENT {
                pull.window.taken.push((old, index));
                group.sent.set(index, UNSENT);
                draft.changes.push((index, old));
                draft.gone.push(index);
            }
            return;
        };
        let new = pull.window.groups[run as usize].mark;
        pull.window.push(
            run,
            Entry {
                index,
                path,
                next: NONE,
                old,
            },
        );
        draft.changes.push((index, old));
        if old == new {
            return;
        }
        if old == UNSENT {
            self.dests[index].holders += 1;
        } else {
            let marks = &group.sent;
            let losers = marks
                .excluded(new)
                .iter()
                .filter(|slot| marks.has(old, **slot));
            pull.window.lost.extend(losers.map(|slot| (*slot, index)));
        }
        group.sent.set(index, new);
    }

    /// Writes the window: what is reachable, then what is not.
    fn write_shared(&mut self, pull: &mut Pull<'_>, group: &mut UpdateGroup, draft: &mut Draft) {
        let mut unsent = Vec::new();
        for number in 0..pull.window.groups.len() {
            let mark = pull.window.groups[number].mark;
            if group.has_audience(mark) {
                unsent.extend(self.write_run(pull.context, pull.window, number, &mut draft.out));
                draft.end_segment(Audience::Mark(mark));
            }
        }
        for entry in unsent {
            self.forget_unsent(pull, group, draft, entry);
        }
        let window = &mut *pull.window;
        window.lost.sort_by_key(|(slot, _)| *slot);
        window.taken.sort_by_key(|(mark, _)| *mark);
        for lost in window.lost.chunk_by(|a, b| a.0 == b.0) {
            self.write_withdrawn(pull.context, lost, &mut window.routes, &mut draft.out);
            draft.end_segment(Audience::Only(lost[0].0));
        }
        for taken in window.taken.chunk_by(|a, b| a.0 == b.0) {
            if group.has_audience(taken[0].0) {
                self.write_withdrawn(pull.context, taken, &mut window.routes, &mut draft.out);
                draft.end_segment(Audience::Mark(taken[0].0));
            }
        }
    }

    fn write_withdrawn(
        &self,
        context: &chanter_bgp::CodecContext,
        withdrawn: &[(u32, u32)],
        room: &mut Vec<(Nlri, PathData)>,
        out: &mut Vec<u8>,
    ) {
        room.clear();
        let keys = withdrawn.iter().map(|(_, index)| &self.dests[*index].key);
        room.extend(keys.map(|key| (key.to_nlri(), PathData::default())));
        let routes = room.iter().map(|(nlri, data)| (nlri, *data));
        UpdateWriter::new(context, out).withdraw(K::FAMILY, routes);
    }

    /// A route that fits into no message is taken back from who had another.
    fn forget_unsent(
        &mut self,
        pull: &mut Pull<'_>,
        group: &mut UpdateGroup,
        draft: &mut Draft,
        entry: Entry,
    ) {
        let Entry { index, old, .. } = entry;
        pull.window.note_unsent(&self.dests[index].key.to_nlri());
        pull.window.lost.retain(|(_, lost)| *lost != index);
        group.sent.set(index, UNSENT);
        if old == UNSENT {
            // It has a path, so it does not go.
            self.dests[index].holders -= 1;
        } else {
            pull.window.taken.push((old, index));
            draft.gone.push(index);
        }
    }

    /// Drops the chunks that all have taken, and what they held.
    pub(super) fn drop_taken(&mut self, group: &mut UpdateGroup) {
        while let Some(chunk) = group.pop_taken() {
            for index in &chunk.gone {
                self.release_destination(*index);
            }
            group.keep_room(chunk.changes, chunk.gone);
        }
        if group.is_ring_empty() {
            group.sent.reset_if_unused();
        }
    }
}
