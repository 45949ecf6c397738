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
use super::peer::Feed;
use crate::rib::best::Candidate;
use crate::rib::chunked::NONE;
use crate::rib::key::Key;
use crate::rib::peers::{Peers, Source};
use crate::rib::transform::Transforms;
use crate::rib::verdict::{ExportRules, Form, NotExported};

/// So many destinations at most are put together at a time.
const WINDOW_MAX: usize = 1024;
/// About what one more attribute set takes in octets, to end a window in time.
const GROUP_LEN: usize = 128;

/// Routes with one attribute set from one source.
#[derive(Debug)]
struct Group {
    /// `None`: not for this peer.
    attributes: Option<Attributes>,
    first: u32,
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    index: u32,
    path: u32,
    next: u32,
}

/// Room for the work of one export call, kept from call to call.
#[derive(Debug, Default)]
pub(in crate::rib) struct Window {
    withdrawn: Vec<Nlri>,
    entries: Vec<Entry>,
    groups: Vec<Group>,
    by_set: HashMap<(u32, Source), u32, FxBuildHasher>,
    last: Option<((u32, Source), u32)>,
    routes: Vec<(Nlri, PathData)>,
}

impl Window {
    fn clear(&mut self) {
        self.withdrawn.clear();
        self.entries.clear();
        self.groups.clear();
        self.by_set.clear();
        self.last = None;
    }

    /// About how many octets it will take.
    fn len(&self, nlri_len: usize) -> usize {
        (self.entries.len() + self.withdrawn.len()) * nlri_len + self.groups.len() * GROUP_LEN
    }

    fn is_full(&self) -> bool {
        self.entries.len() + self.withdrawn.len() >= WINDOW_MAX
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
        out: &mut Vec<u8>,
    ) -> bool {
        if self.export_of(pull.slot).is_none() {
            return false;
        }
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
        while *cursor < journal.end() {
            let entry = journal.get(*cursor);
            *cursor += 1;
            if entry.is_some() {
                return entry;
            }
        }
        None
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
        let chosen = self.choose(pull, index);
        let Some(export) = self.export_mut(pull.slot) else {
            return;
        };
        match chosen {
            Some((path, group)) => {
                let is_new = export.advertised.insert(index);
                self.dests[index].holders += u32::from(is_new);
                pull.window.push(group, index, path);
            }
            None if export.advertised.remove(index) => {
                pull.window.withdrawn.push(self.dests[index].key.to_nlri());
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
        let node = &self.paths[path];
        let key = (node.attributes, node.source);
        let group = match pull.window.last {
            Some((last, group)) if last == key => group,
            _ => self.group(pull, key),
        };
        pull.window.last = Some((key, group));
        pull.window.groups[group as usize].attributes.as_ref()?;
        Some((path, group))
    }

    fn group(&self, pull: &mut Pull<'_>, key: (u32, Source)) -> u32 {
        if let Some(group) = pull.window.by_set.get(&key) {
            return *group;
        }
        let set = &self.attrs[key.0];
        let form = pull
            .rules
            .judge(pull.peers, pull.slot, K::FAMILY, key.1, set);
        let attributes = form
            .ok()
            .map(|form| pull.transforms.apply(K::FAMILY, set, form));
        let group = pull.window.groups.len() as u32;
        pull.window.groups.push(Group {
            attributes,
            first: NONE,
            last: NONE,
        });
        pull.window.by_set.insert(key, group);
        group
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
    fn write(&self, pull: &mut Pull<'_>, out: &mut Vec<u8>) -> Vec<u32> {
        let mut unsent = Vec::new();
        let mut writer = UpdateWriter::new(pull.context, out);
        let window = &mut *pull.window;
        for group in &window.groups {
            let Some(attributes) = group.attributes.as_ref().filter(|_| group.first != NONE) else {
                continue;
            };
            window.routes.clear();
            let mut at = group.first;
            while at != NONE {
                let entry = window.entries[at as usize];
                let data = K::unpack(self.paths[entry.path].data);
                window
                    .routes
                    .push((self.dests[entry.index].key.to_nlri(), data));
                at = entry.next;
            }
            let routes = window.routes.iter().map(|(nlri, data)| (nlri, *data));
            if writer.reach(K::FAMILY, attributes, routes) < window.routes.len() {
                unsent.extend(window.unsent(K::FAMILY, group, pull.context));
            }
        }
        if !window.withdrawn.is_empty() {
            // Last, so that what takes the place of a route is there before the route goes. What the
            // NLRI carries beside its key does not count in a withdrawal.
            let routes = window
                .withdrawn
                .iter()
                .map(|nlri| (nlri, PathData::default()));
            writer.withdraw(K::FAMILY, routes);
        }
        unsent
    }

    /// Takes back what was sent before of destinations that cannot be sent any more.
    fn withdraw_unsent(&mut self, pull: &Pull<'_>, unsent: Vec<u32>, out: &mut Vec<u8>) {
        for index in unsent {
            let nlri = self.dests[index].key.to_nlri();
            let route = [(&nlri, PathData::default())];
            UpdateWriter::new(pull.context, out).withdraw(K::FAMILY, route);
            let export = self.export_mut(pull.slot);
            if export.is_some_and(|export| export.advertised.remove(index)) {
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
    fn unsent(&self, family: Family, group: &Group, context: &CodecContext) -> Vec<u32> {
        let mut unsent = Vec::new();
        let mut at = group.first;
        let mut scratch = Vec::new();
        for (nlri, data) in &self.routes {
            let Some(entry) = self.entries.get(at as usize) else {
                break;
            };
            scratch.clear();
            let fits = group.attributes.as_ref().is_some_and(|attributes| {
                let mut writer = UpdateWriter::new(context, &mut scratch);
                writer.reach(family, attributes, [(nlri, *data)]) > 0
            });
            if !fits {
                unsent.push(entry.index);
            }
            at = entry.next;
        }
        unsent
    }

    fn push(&mut self, group: u32, index: u32, path: u32) {
        let place = self.entries.len() as u32;
        self.entries.push(Entry {
            index,
            path,
            next: NONE,
        });
        let group = &mut self.groups[group as usize];
        match group.last {
            NONE => group.first = place,
            last => self.entries[last as usize].next = place,
        }
        group.last = place;
    }
}
