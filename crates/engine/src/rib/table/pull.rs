//! Export: a peer takes what has changed since it took last.
//!
//! A bounded window of changes is looked at, destinations are put together by attribute set and
//! source, and each group becomes one run of routes in as few messages as hold it. Nothing waits for
//! more of its kind to come.

use chanter_bgp::{Attributes, CodecContext, Family, Nlri, PathData, UpdateWriter};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::Table;
use super::add_path::path_id;
use super::peer::Feed;
use super::sent::UNSENT;
use crate::rib::best::Candidate;
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::outflow::Outflow;
use crate::rib::peers::{Peers, Source};
use crate::rib::transform::Transforms;
use crate::rib::verdict::{ExportRules, Form, NotExported};

/// What a withdrawal says beside the key.
fn withdrawn(path_id: u32) -> PathData {
    PathData {
        path_id,
        ..PathData::default()
    }
}

/// So many destinations at most are put together at a time.
const WINDOW_MAX: usize = 1024;
/// About what one more attribute set takes in octets, to end a window in time.
const GROUP_LEN: usize = 128;

/// Routes with one attribute set from one source.
#[derive(Debug)]
pub(super) struct Group {
    /// `None`: not for this peer.
    pub(super) attributes: Option<Attributes>,
    /// Who gets them, in an update group.
    pub(super) mark: u32,
    /// The form, where the policy has to be asked about each route.
    pub(super) asks: Option<Form>,
    first: u32,
    last: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) index: u32,
    pub(super) path: u32,
    pub(super) next: u32,
    /// Who had the destination before, in an update group.
    pub(super) old: u32,
}

/// Room for the work of one export call, kept from call to call.
#[derive(Debug, Default)]
pub(in crate::rib) struct Window {
    /// With path identifiers.
    pub(super) withdrawn: Vec<(Nlri, u32)>,
    entries: Vec<Entry>,
    pub(super) groups: Vec<Group>,
    pub(super) by_set: HashMap<(u32, Source), u32, FxBuildHasher>,
    /// What the policy changed, by fingerprint.
    pub(super) by_change: HashMap<(u32, Source, u64), u32, FxBuildHasher>,
    pub(super) last: Option<((u32, Source), u32)>,
    /// In an update group: withdrawn destinations by who had them.
    pub(super) taken: Vec<(u32, u32)>,
    /// Members that lose a destination which others have.
    pub(super) lost: Vec<(u32, u32)>,
    pub(super) routes: Vec<(Nlri, PathData)>,
    /// A route that cannot be sent, and how many there were since it was asked.
    unsent: Option<(Nlri, u64)>,
}

impl Window {
    pub(super) fn clear(&mut self) {
        self.withdrawn.clear();
        self.taken.clear();
        self.lost.clear();
        self.entries.clear();
        self.groups.clear();
        self.by_set.clear();
        self.by_change.clear();
        self.last = None;
    }

    pub(super) fn note_unsent(&mut self, nlri: &Nlri) {
        let count = self.unsent.take().map_or(0, |(_, count)| count);
        self.unsent = Some((nlri.clone(), count + 1));
    }

    /// The last route that could not be sent since this was called, and how many there were.
    pub(in crate::rib) fn take_unsent(&mut self) -> Option<(Nlri, u64)> {
        self.unsent.take()
    }

    /// About how many octets it will take.
    pub(super) fn len(&self, nlri_len: usize) -> usize {
        (self.entries.len() + self.withdrawn.len() + self.taken.len()) * nlri_len
            + self.groups.len() * GROUP_LEN
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() + self.withdrawn.len() + self.taken.len() >= WINDOW_MAX
    }
}

/// Who exports to whom.
pub(in crate::rib) struct Pull<'a> {
    pub(in crate::rib) peers: &'a Peers,
    pub(in crate::rib) rules: &'a ExportRules,
    pub(in crate::rib) context: &'a CodecContext,
    pub(in crate::rib) slot: u32,
    pub(in crate::rib) transforms: &'a mut Transforms,
    pub(in crate::rib) window: &'a mut Window,
}

impl<K: Key> Table<K> {
    /// Writes what is waiting for the peer until `out` is about `limit` long; returns whether more
    /// is waiting.
    pub(in crate::rib) fn pull(
        &mut self,
        pull: &mut Pull<'_>,
        limit: usize,
        out: &mut Outflow,
    ) -> bool {
        let Some(export) = self.export_of(pull.slot) else {
            return false;
        };
        if let Feed::Member(member) = export.feed {
            return self.pull_shared(pull, member, limit, out);
        }
        let has_more = self.pull_alone(pull, limit, out.writer());
        if !has_more {
            self.join(pull);
        }
        has_more
    }

    fn pull_alone(&mut self, pull: &mut Pull<'_>, limit: usize, out: &mut Vec<u8>) -> bool {
        while let Some(first) = self.next_waiting(pull.slot) {
            if out.len() >= limit {
                self.put_back(pull.slot, first);
                return true;
            }
            pull.window.clear();
            self.look_at(pull, first);
            while !pull.window.is_full() && out.len() + pull.window.len(K::NLRI_LEN) < limit {
                let Some(index) = self.next_waiting(pull.slot) else {
                    break;
                };
                self.look_at(pull, index);
            }
            let unsent = self.write(pull, out);
            self.withdraw_unsent(pull, unsent, out);
        }
        false
    }

    /// Takes the next destination that may have to be sent or withdrawn.
    fn next_waiting(&mut self, slot: u32) -> Option<u32> {
        let journal = &self.journal;
        let dests = &self.dests;
        let peer = self.peers.get_mut(slot as usize)?.as_mut()?;
        let export = peer.export.as_mut()?;
        while !export.pending.is_empty() {
            let from = export.pending_from;
            let next = export
                .pending
                .next(from)
                .or_else(|| export.pending.next(0))?;
            export.pending.remove(next);
            export.pending_from = next.wrapping_add(1);
            // It may be gone, or stand in the part of the journal that is yet to be read.
            let Some(dest) = dests.get(next) else {
                continue;
            };
            if !matches!(export.feed, Feed::Journal(cursor) if dest.journal >= cursor) {
                return Some(next);
            }
        }
        let Feed::Journal(cursor) = &mut export.feed else {
            return None;
        };
        journal.next(cursor)
    }

    /// Undoes [`Table::next_waiting`].
    fn put_back(&mut self, slot: u32, index: u32) {
        let Some(export) = self.export_mut(slot) else {
            return;
        };
        // Put aside, it would be skipped if it stood ahead of the cursor; it stands just behind.
        export.pending.insert(index);
        export.pending_from = index;
    }

    /// Adds one destination to the window, and notes what the peer will have then.
    fn look_at(&mut self, pull: &mut Pull<'_>, index: u32) {
        if pull.context.add_path_send.contains(K::FAMILY) {
            return self.look_at_paths(pull, index);
        }
        let chosen = self.choose(pull, index);
        let Some(export) = self.export_mut(pull.slot) else {
            return;
        };
        match chosen {
            Some((path, group)) => {
                let is_new = export.advertised.insert(index);
                self.dests[index].holders += u32::from(is_new);
                let entry = Entry {
                    index,
                    path,
                    next: NONE,
                    old: UNSENT,
                };
                pull.window.push(group, entry);
            }
            None if export.advertised.remove(index) => {
                let nlri = self.dests[index].key.to_nlri();
                pull.window.withdrawn.push((nlri, 0));
                self.release_destination(index);
            }
            None => {}
        }
    }

    /// The path that goes to the peer, if one does, and the group to which it belongs.
    fn choose(&self, pull: &mut Pull<'_>, index: u32) -> Option<(u32, u32)> {
        let path = if K::SELECTED_PER_PEER {
            self.best_for(pull.peers, pull.rules, pull.slot, index)
                .ok()?
                .0
        } else {
            Some(self.dests[index].head).filter(|head| *head != NONE)?
        };
        let run = self.run_of(pull, None, (index, path))?;
        Some((path, run))
    }

    /// The path that a peer is sent and its form: the best path, or nothing. Where the family has it
    /// so, the best of those that may go to this peer (RFC 4684 section 3.2).
    pub(in crate::rib) fn best_for(
        &self,
        peers: &Peers,
        rules: &ExportRules,
        slot: u32,
        index: u32,
    ) -> Result<(u32, Form), NotExported> {
        let judge = |path: u32| {
            let node = &self.paths[path];
            let set = &self.attrs[node.attributes];
            rules
                .judge(peers, slot, K::FAMILY, node.source, set)
                .map(|form| (path, form))
        };
        let head = Some(self.dests[index].head).filter(|head| *head != NONE);
        let verdict = judge(head.ok_or(NotExported::NoPath)?);
        if verdict.is_ok() || !K::SELECTED_PER_PEER {
            return verdict;
        }
        let eligible: SmallVec<[(u32, Form); 8]> = self
            .paths_of(index)
            .filter_map(|path| judge(path).ok())
            .collect();
        let candidates: SmallVec<[Candidate<'_>; 8]> = eligible
            .iter()
            .map(|(path, _)| self.candidate(*path))
            .collect();
        if candidates.is_empty() {
            return verdict;
        }
        Ok(eligible[self.selection(peers, index).best(&candidates)])
    }

    /// Writes the window; returns the destinations that cannot be sent on this session.
    fn write(&self, pull: &mut Pull<'_>, out: &mut Vec<u8>) -> Vec<Entry> {
        let mut unsent = Vec::new();
        for number in 0..pull.window.groups.len() {
            unsent.extend(self.write_run(pull.context, pull.window, number, out));
        }
        let window = &mut *pull.window;
        let mut writer = UpdateWriter::new(pull.context, out);
        if !window.withdrawn.is_empty() {
            // Last, so that what takes the place of a route is there before the route goes. What the
            // NLRI carries beside its key does not count in a withdrawal.
            let routes = window
                .withdrawn
                .iter()
                .map(|(nlri, path_id)| (nlri, withdrawn(*path_id)));
            writer.withdraw(K::FAMILY, routes);
        }
        unsent
    }

    /// Writes the routes of one group of the window; returns those that cannot be sent.
    pub(super) fn write_run(
        &self,
        context: &CodecContext,
        window: &mut Window,
        number: usize,
        out: &mut Vec<u8>,
    ) -> Vec<Entry> {
        let group = &window.groups[number];
        let Some(attributes) = group.attributes.as_ref().filter(|_| group.first != NONE) else {
            return Vec::new();
        };
        window.routes.clear();
        let mut at = group.first;
        while at != NONE {
            let entry = window.entries[at as usize];
            let mut data = K::unpack(self.paths[entry.path].data);
            data.path_id = path_id(entry.path);
            let nlri = self.dests[entry.index].key.to_nlri();
            window.routes.push((nlri, data));
            at = entry.next;
        }
        let routes = window.routes.iter().map(|(nlri, data)| (nlri, *data));
        let written = UpdateWriter::new(context, out).reach(K::FAMILY, attributes, routes);
        if written < window.routes.len() {
            return window.unsent(K::FAMILY, group, context);
        }
        Vec::new()
    }

    /// Takes back what was sent before of destinations that cannot be sent any more.
    fn withdraw_unsent(&mut self, pull: &mut Pull<'_>, unsent: Vec<Entry>, out: &mut Vec<u8>) {
        for Entry { index, path, .. } in unsent {
            let nlri = self.dests[index].key.to_nlri();
            pull.window.note_unsent(&nlri);
            let route = [(&nlri, withdrawn(path_id(path)))];
            UpdateWriter::new(pull.context, out).withdraw(K::FAMILY, route);
            let export = self.export_mut(pull.slot);
            if export.is_some_and(|export| export.forget(index, path_id(path))) {
                self.release_destination(index);
            }
        }
    }

    /// Whether the peer has taken all, so that End-of-RIB is due if it was not sent; sent with this.
    pub(in crate::rib) fn take_end_of_rib(&mut self, slot: u32) -> bool {
        self.export_mut(slot)
            .is_some_and(|export| !std::mem::replace(&mut export.end_of_rib_sent, true))
    }
}

impl Window {
    /// Of a group whose routes are in `routes`, those that fit into no message (RFC 8654 section 4),
    /// or that have no next hop.
    fn unsent(&self, family: Family, group: &Group, context: &CodecContext) -> Vec<Entry> {
        let mut unsent = Vec::new();
        let mut at = group.first;
        let mut scratch = Vec::new();
        for (nlri, data) in &self.routes {
            let Some(entry) = self.entries.get(at as usize).copied() else {
                break;
            };
            scratch.clear();
            let fits = group.attributes.as_ref().is_some_and(|attributes| {
                let mut writer = UpdateWriter::new(context, &mut scratch);
                writer.reach(family, attributes, [(nlri, *data)]) > 0
            });
            if !fits {
                unsent.push(entry);
            }
            at = entry.next;
        }
        unsent
    }

    pub(super) fn add_group(
        &mut self,
        key: (u32, Source),
        attributes: Option<Attributes>,
        mark: u32,
    ) -> u32 {
        let group = self.add_run(attributes, mark);
        self.by_set.insert(key, group);
        group
    }

    pub(super) fn add_run(&mut self, attributes: Option<Attributes>, mark: u32) -> u32 {
        let group = self.groups.len() as u32;
        self.groups.push(Group {
            attributes,
            mark,
            asks: None,
            first: NONE,
            last: NONE,
        });
        group
    }

    pub(super) fn push(&mut self, group: u32, entry: Entry) {
        let place = self.entries.len() as u32;
        self.entries.push(entry);
        let group = &mut self.groups[group as usize];
        match group.last {
            NONE => group.first = place,
            last => self.entries[last as usize].next = place,
        }
        group.last = place;
    }
}
