//! The peers of the RIB: what path selection and export have to know of them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{CodecContext, Family};
use chanter_policy::PeerPolicy;
use chanter_types::Instant;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::import::Rejections;
use super::limit::PrefixWatch;
use super::rt_constraint::Wanted;
use super::unsent::Unsent;
use super::{PathOrigin, TableId};
use crate::{PeerId, PeerRole, SessionInfo};

/// Where a path came from, in four octets: the slot of a peer, or an instance of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source(u32);

impl Source {
    const LOCAL: u32 = 1 << 31;
    /// Of a place that holds no path.
    pub(super) const VACANT: Source = Source(u32::MAX);
    /// The default RT membership of a reflector.
    pub(super) const DEFAULT_MEMBERSHIP: Source = Source(u32::MAX - 1);

    pub(super) fn peer(slot: u32) -> Self {
        Source(slot & !Self::LOCAL)
    }

    /// Instance numbers have far fewer than 31 bits.
    pub(super) fn local(number: u32) -> Self {
        Source(number.min(Self::LOCAL - 3) | Self::LOCAL)
    }

    pub(super) fn is_local(self) -> bool {
        self.0 & Self::LOCAL != 0
    }

    pub(super) fn slot(self) -> Option<u32> {
        (!self.is_local()).then_some(self.0)
    }

    /// The number of the instance, 0 for the node itself.
    pub(super) fn number(self) -> u32 {
        if self == Self::DEFAULT_MEMBERSHIP {
            0
        } else {
            self.0 & !Self::LOCAL
        }
    }
}

/// Whether the peer has to be told that there is something for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExportState {
    /// Nothing is waiting, as far as it was told.
    Idle,
    /// It stands in the queue of those to be told.
    Queued,
    /// It was told, and asks until nothing is left.
    Active,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) session: SessionInfo,
    pub(super) context: CodecContext,
    pub(super) established: bool,
    /// Tells its sessions apart.
    pub(super) session_number: u32,
    pub(super) export: ExportState,
    /// Route targets that it asked for.
    pub(super) wanted: Wanted,
    /// Until when we wait for the End-of-RIB of its memberships; `None`: not, or no longer.
    pub(super) memberships_due: Option<Instant>,
    /// How long the peer may take to come back and to repeat its paths.
    pub(super) restart_time: Duration,
    /// What is kept of it as stale, and until when; by table.
    pub(super) kept: [Kept; TableId::ALL.len()],
    /// Until when it may take to send all its routes again (RFC 7313); by table.
    pub(super) refresh_until: [Option<Instant>; TableId::ALL.len()],
    /// How many routes it may have; by table.
    pub(super) limits: [PrefixWatch; TableId::ALL.len()],
    /// Routes not taken in this session.
    pub(super) rejected: Rejections,
    /// Routes that could not be sent.
    pub(super) unsent: Unsent,
    /// When it stands in the timers of the RIB.
    pub(super) armed: Option<Instant>,
}

/// What is kept of a peer's table as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kept {
    /// Nothing.
    #[default]
    No,
    /// Paths as they were, until then (RFC 4724 section 4.2).
    Restart(Instant),
    /// Long-lived stale paths, until then (RFC 9494 section 4.2).
    LongLived(Instant),
}

impl Kept {
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Kept::No => None,
            Kept::Restart(until) | Kept::LongLived(until) => Some(until),
        }
    }
}

impl Peer {
    pub(super) fn new(id: PeerId, session: SessionInfo) -> Self {
        Self {
            id,
            context: codec_context(&session),
            established: true,
            session_number: 0,
            export: ExportState::Idle,
            wanted: Wanted::default(),
            memberships_due: None,
            restart_time: Duration::ZERO,
            kept: [Kept::No; TableId::ALL.len()],
            refresh_until: [None; TableId::ALL.len()],
            limits: limits(&session),
            rejected: Rejections::default(),
            unsent: Unsent::default(),
            armed: None,
            session,
        }
    }

    pub(super) fn set_session(&mut self, session: SessionInfo) {
        self.context = codec_context(&session);
        self.limits = limits(&session);
        self.session = session;
        self.rejected = Rejections::default();
    }

    pub(super) fn set_policy(&mut self, policy: Arc<PeerPolicy>) {
        self.session.policy = policy;
        self.limits = limits(&self.session);
    }

    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let kept = self.kept.iter().filter_map(|kept| kept.until());
        let refresh = self.refresh_until.iter().copied().flatten();
        kept.chain(refresh).chain(self.memberships_due).min()
    }

    /// How long the peer's routes of a family are kept beyond the restart time (RFC 9494).
    pub(super) fn long_lived_time(&self, family: Family) -> Option<Duration> {
        let all = &self.session.long_lived;
        all.iter()
            .find(|one| one.family == family && !one.time.is_zero())
            .map(|one| one.time)
    }

    /// Whether it says which route targets it wants (RFC 4684).
    pub(super) fn constrains_rts(&self) -> bool {
        self.session.families.contains(&Family::IPV4_RTC)
    }

    pub(super) fn is_ebgp(&self) -> bool {
        self.session.role == PeerRole::Ebgp
    }

    pub(super) fn is_client(&self) -> bool {
        self.session.role == PeerRole::RouteReflectorClient
    }
}

fn codec_context(session: &SessionInfo) -> CodecContext {
    CodecContext {
        four_octet_as: session.four_octet_as,
        families: session.families.iter().copied().collect(),
        ebgp: session.role == PeerRole::Ebgp,
        message_len_max: session.message_len_max,
        add_path_send: session.add_path_send.iter().copied().collect(),
        extended_next_hop: session.extended_next_hop.iter().copied().collect(),
        ..CodecContext::default()
    }
}

fn limits(session: &SessionInfo) -> [PrefixWatch; TableId::ALL.len()] {
    let limits = &session.policy.max_prefixes;
    TableId::ALL.map(|table| PrefixWatch::new(limits.get(&table.family())))
}

/// Peers by slot: a slot is what paths and sets name, and is used again when its peer is gone.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    /// Slots of peers that are gone.
    free: Vec<u32>,
    by_id: HashMap<PeerId, u32, FxBuildHasher>,
    /// Our BGP identifier, which counts as that of local paths.
    router_id: Ipv4Addr,
}

impl Peers {
    pub(super) fn new(router_id: Ipv4Addr) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            router_id,
        }
    }

    pub(super) fn slot(&self, id: PeerId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn insert(&mut self, peer: Peer) -> u32 {
        let id = peer.id;
        let peer = Some(Box::new(peer));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = peer;
                slot
            }
            None => {
                self.slots.push(peer);
                self.slots.len() as u32 - 1
            }
        };
        self.by_id.insert(id, slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(peer) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.by_id.remove(&peer.id);
            self.free.push(slot);
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Peer> {
        self.slots.get(slot as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Peer> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Peer)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(slot, peer)| Some((slot, peer.as_deref()?)))
    }

    pub(super) fn of(&self, source: Source) -> Option<&Peer> {
        self.get(source.slot()?)
    }

    /// The BGP identifier of the speaker that a path came from.
    pub(super) fn router_id(&self, source: Source) -> Ipv4Addr {
        self.of(source)
            .map_or(self.router_id, |peer| peer.session.peer_router_id)
    }

    /// The address of the peer that a path came from; none for local paths.
    pub(super) fn addr(&self, source: Source) -> Option<IpAddr> {
        self.of(source).map(|peer| peer.session.peer_addr)
    }

    pub(super) fn origin(&self, source: Source) -> PathOrigin {
        match self.of(source) {
            Some(peer) => PathOrigin::Peer(peer.id),
            None => PathOrigin::Local(source.number()),
        }
    }
}
