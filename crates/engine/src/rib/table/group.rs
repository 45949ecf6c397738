//! Update groups: peers that are sent the same octets share one cursor, one state of what was sent,
//! and what was encoded.
//!
//! The group writes chunks, each from where it stands in the journal, into a ring; members take them
//! in order without a copy. A chunk consists of segments, each for all but a few members, or for one:
//! a path does not go back to where it came from, which has to be told that the path of somebody else
//! is gone. The ring is bounded. A member that would hold the group up leaves it, with the state that
//! it has reached, and follows the journal alone; when it has all, it joins again.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::{Family, LongLivedFamily};

use chanter_policy::PeerPolicy;
use chanter_types::Asn;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::add_path::takes_paths;
use super::sent::{Sent, Slots};
use crate::rib::key::Key;
use crate::rib::outflow::Outflow;
use crate::rib::peers::Peer;
use crate::{PeerRole, SessionInfo};

/// About how long a chunk is, in octets.
pub(super) const CHUNK_LEN: usize = 64 * 1024;
/// How long the ring may be: octets and what is noted of changes.
pub(in crate::rib) const RING_LEN_MAX: usize = 2 * 1024 * 1024;
/// A chunk that takes more than this gives back what it does not need.
const WASTE_MIN: usize = 1024;
/// How many chunks it may have.
const CHUNKS_MAX: usize = 1024;

/// For whom a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// For who has what has this mark.
    Mark(u32),
    /// For one member.
    Only(u32),
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    end: u32,
    to: Audience,
}

/// A chunk while it is written.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) out: Vec<u8>,
    segments: SmallVec<[Segment; 2]>,
    /// The destinations that it is about, with the mark that they had.
    pub(super) changes: Vec<(u32, u32)>,
    /// Destinations that nobody has any more once the chunk is taken: they are held until then.
    pub(super) gone: Vec<u32>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty() && self.changes.is_empty()
    }

    /// What was written since the last call is for `to`.
    pub(super) fn end_segment(&mut self, to: Audience) {
        let end = self.out.len() as u32;
        let last = self.segments.last_mut();
        let start = last.as_ref().map_or(0, |last| last.end);
        match last {
            _ if start == end => {}
            Some(last) if last.to == to => last.end = end,
            _ => self.segments.push(Segment { end, to }),
        }
    }
}

#[derive(Debug)]
pub(super) struct Chunk {
    octets: Bytes,
    segments: SmallVec<[Segment; 2]>,
    pub(super) changes: Vec<(u32, u32)>,
    pub(super) gone: Vec<u32>,
    /// How many members have yet to take it.
    waiting: u32,
}

impl Chunk {
    fn len(&self) -> usize {
        self.octets.len() + 8 * self.changes.len()
    }

    /// Whether there is anything for `slot` in it.
    fn concerns(&self, marks: &Sent, slot: u32) -> bool {
        self.segments
            .iter()
            .any(|segment| segment.is_for(marks, slot))
    }

    fn give(&self, marks: &Sent, slot: u32, out: &mut Outflow) {
        let mut start = 0;
        let mut end = 0;
        for segment in &self.segments {
            if segment.is_for(marks, slot) {
                end = segment.end as usize;
                continue;
            }
            if start < end {
                out.push(self.octets.slice(start..end));
            }
            start = segment.end as usize;
        }
        if start < end {
            out.push(self.octets.slice(start..end));
        }
    }
}

impl Segment {
    fn is_for(&self, marks: &Sent, slot: u32) -> bool {
        match self.to {
            Audience::Mark(mark) => marks.has(mark, slot),
            Audience::Only(only) => only == slot,
        }
    }
}

/// Where a member of a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rib) struct Member {
    /// The place of the group.
    pub(super) group: u32,
    /// The number of the chunk that it takes next.
    pub(super) position: u64,
    /// Up to here nothing in the journal concerns it.
    pub(super) scanned: u32,
}

#[derive(Debug)]
pub(super) struct UpdateGroup {
    /// A session of a member, without what does not matter.
    class: SessionInfo,
    /// In ascending order.
    members: Vec<u32>,
    by_router_id: HashMap<Ipv4Addr, Slots, FxBuildHasher>,
    pub(super) cursor: u32,
    /// Whether it has read the journal from its start, so that what is not marked as sent is for none
    /// of its kind.
    pub(super) is_complete: bool,
    pub(super) sent: Sent,
    ring: VecDeque<Chunk>,
    /// The number of the first chunk.
    first: u64,
    /// Its length, in octets.
    len: usize,
    /// What a chunk that was taken noted, emptied, for the next one to note in.
    spare: (Vec<(u32, u32)>, Vec<u32>),
}

impl UpdateGroup {
    pub(super) fn new(class: SessionInfo, cursor: u32) -> Self {
        Self {
            class,
            members: Vec::new(),
            by_router_id: HashMap::default(),
            cursor,
            is_complete: cursor == 0,
            sent: Sent::new(),
            ring: VecDeque::new(),
            first: 0,
            len: 0,
            spare: Default::default(),
        }
    }

    /// Begins a chunk of about `len` octets.
    pub(super) fn draft(&mut self, len: usize) -> Draft {
        let (changes, gone) = std::mem::take(&mut self.spare);
        Draft {
            out: Vec::with_capacity(len),
            changes,
            gone,
            ..Draft::default()
        }
    }

    /// Keeps the room of a chunk that was taken.
    pub(super) fn keep_room(&mut self, mut changes: Vec<(u32, u32)>, mut gone: Vec<u32>) {
        changes.clear();
        gone.clear();
        self.spare = (changes, gone);
    }

    pub(super) fn is_of(&self, class: &SessionInfo) -> bool {
        self.class == *class
    }

    pub(super) fn members(&self) -> &[u32] {
        &self.members
    }

    pub(super) fn add(&mut self, slot: u32, router_id: Ipv4Addr) {
        if let Err(at) = self.members.binary_search(&slot) {
            self.members.insert(at, slot);
            self.by_router_id.entry(router_id).or_default().push(slot);
        }
    }

    /// Takes a member out that stands at `position`.
    pub(super) fn remove(&mut self, slot: u32, position: u64) {
        let from = position.saturating_sub(self.first) as usize;
        for chunk in self.ring.iter_mut().skip(from) {
            if chunk.concerns(&self.sent, slot) {
                chunk.waiting -= 1;
            }
        }
        self.members.retain(|member| *member != slot);
        self.by_router_id.retain(|_, slots| {
            slots.retain(|member| *member != slot);
            !slots.is_empty()
        });
    }

    /// The members to which a path does not go that came from `source`, with this originator.
    pub(super) fn excluded(&self, source: Option<u32>, originator: Option<Ipv4Addr>) -> Slots {
        let is_member = |slot: &u32| self.members.binary_search(slot).is_ok();
        let mut slots: Slots = source.filter(is_member).into_iter().collect();
        let originators = originator.and_then(|id| self.by_router_id.get(&id));
        slots.extend(originators.into_iter().flatten().copied());
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Whether some member has what has the mark.
    pub(super) fn has_audience(&self, mark: u32) -> bool {
        let excluded = self.sent.excluded(mark);
        self.members.len() > excluded.len()
            || self.members.iter().any(|slot| !excluded.contains(slot))
    }

    /// The number that the next chunk gets.
    pub(super) fn end(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    pub(super) fn is_ring_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub(super) fn push(&mut self, mut draft: Draft) {
        // It may stay for long.
        if draft.out.capacity() > WASTE_MIN.max(2 * draft.out.len()) {
            draft.out.shrink_to_fit();
        }
        let waiting = self.members.iter();
        let waiting = waiting.filter(|slot| {
            let mut segments = draft.segments.iter();
            segments.any(|segment| segment.is_for(&self.sent, **slot))
        });
        let chunk = Chunk {
            waiting: waiting.count() as u32,
            octets: draft.out.into(),
            segments: draft.segments,
            changes: draft.changes,
            gone: draft.gone,
        };
        self.len += chunk.len();
        self.ring.push_back(chunk);
    }

    /// Takes the first chunk out if nobody waits for it any more.
    pub(super) fn pop_taken(&mut self) -> Option<Chunk> {
        let chunk = self.ring.pop_front_if(|chunk| chunk.waiting == 0)?;
        self.first += 1;
        self.len -= chunk.len();
        Some(chunk)
    }

    /// Whether there is more than members may be behind.
    pub(super) fn is_over(&self, len_max: usize) -> bool {
        self.len > len_max || self.ring.len() > CHUNKS_MAX
    }

    /// Whether the member at `position` has yet to take the first chunk.
    pub(super) fn holds_up(&self, slot: u32, position: u64) -> bool {
        position <= self.first
            && self
                .ring
                .front()
                .is_some_and(|chunk| chunk.concerns(&self.sent, slot))
    }

    /// The chunks from `position` on, the last first.
    pub(super) fn untaken(&self, position: u64) -> impl Iterator<Item = &Chunk> {
        let from = position.saturating_sub(self.first) as usize;
        self.ring.iter().skip(from).rev()
    }

    /// Gives a member what it has not taken, about up to `limit` octets; returns whether more is there.
    pub(super) fn give(
        &mut self,
        slot: u32,
        position: &mut u64,
        limit: usize,
        out: &mut Outflow,
    ) -> bool {
        *position = (*position).max(self.first);
        while let Some(chunk) = self.ring.get_mut((*position - self.first) as usize) {
            if chunk.concerns(&self.sent, slot) {
                if !out.is_empty() && out.len() + chunk.octets.len() > limit {
                    return true;
                }
                chunk.give(&self.sent, slot, out);
                chunk.waiting -= 1;
            }
            *position += 1;
        }
        false
    }
}

fn anonymous(_: LongLivedFamily) -> LongLivedFamily {
    LongLivedFamily {
        family: Family::IPV4_UNICAST,
        time: Duration::ZERO,
        preserved: false,
    }
}

/// What all peers have in common that are sent the same octets; `None`: the peer is sent what no
/// other is.
pub(super) fn class_of<K: Key>(peer: &Peer) -> Option<SessionInfo> {
    let is_constrained = K::FAMILY.is_vpn() && peer.constrains_rts() && !peer.wanted.wants_all();
    if K::SELECTED_PER_PEER || is_constrained || takes_paths::<K>(peer) {
        return None;
    }
    let mut class = peer.session.clone();
    class.peer_addr = class.local_addr;
    class.peer_router_id = Ipv4Addr::UNSPECIFIED;
    if class.role != PeerRole::Ebgp {
        class.peer_as = Asn(0);
    }
    class.end_of_rib = Vec::new();
    class.forwarding_preserved = Vec::new();
    class.route_refresh = true;
    class.enhanced_refresh = true;
    class.add_path_receive = Vec::new();
    // It matters whether it has the capability at all (RFC 9494 section 4.3).
    class.long_lived = class
        .long_lived
        .first()
        .into_iter()
        .copied()
        .map(anonymous)
        .collect();
    let policy = &*class.policy;
    class.policy = Arc::new(PeerPolicy {
        export: policy.export.clone(),
        require_policy: policy.require_policy,
        next_hop_self: policy.next_hop_self,
        next_hop_unchanged: policy.next_hop_unchanged,
        remove_private_as: policy.remove_private_as,
        graceful_shutdown: policy.graceful_shutdown,
        ..PeerPolicy::default()
    });
    Some(class)
}
