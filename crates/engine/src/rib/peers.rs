//! The peers of the RIB: what path selection and export have to know of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chanter_bgp::{CodecContext, Family};
use chanter_types::Instant;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::PathOrigin;
use super::rt_constraint::Wanted;
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

/// Why a received path was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// Our AS stands in AS_PATH (RFC 4271 section 9.1.2).
    AsLoop,
    /// ORIGINATOR_ID is our BGP identifier (RFC 4456 section 8).
    OwnOriginatorId,
    /// Our cluster stands in CLUSTER_LIST (RFC 4456 section 8).
    ClusterLoop,
    /// The family was not negotiated with the peer.
    FamilyNotNegotiated,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [RejectReason; 4] = [
        RejectReason::AsLoop,
        RejectReason::OwnOriginatorId,
        RejectReason::ClusterLoop,
        RejectReason::FamilyNotNegotiated,
    ];
}

impl std::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RejectReason::AsLoop => "the local AS stands in AS_PATH",
            RejectReason::OwnOriginatorId => "ORIGINATOR_ID is this node",
            RejectReason::ClusterLoop => "the local cluster stands in CLUSTER_LIST",
            RejectReason::FamilyNotNegotiated => "the family was not negotiated",
        })
    }
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) session: SessionInfo,
    pub(super) context: CodecContext,
    pub(super) established: bool,
    pub(super) export: ExportState,
    /// Route targets that it asked for.
    pub(super) wanted: Wanted,
    /// Until when we wait for the End-of-RIB of its memberships; `None`: not, or no longer.
    pub(super) memberships_due: Option<Instant>,
    /// How long stale paths may stay, and until when they do.
    pub(super) restart_time: Duration,
    pub(super) stale_until: Option<Instant>,
    /// Routes not taken, by [`RejectReason`].
    pub(super) rejected: [u64; RejectReason::ALL.len()],
}

impl Peer {
    pub(super) fn new(id: PeerId, session: SessionInfo) -> Self {
        Self {
            id,
            context: codec_context(&session),
            session,
            established: true,
            export: ExportState::Idle,
            wanted: Wanted::default(),
            memberships_due: None,
            restart_time: Duration::ZERO,
            stale_until: None,
            rejected: [0; RejectReason::ALL.len()],
        }
    }

    pub(super) fn set_session(&mut self, session: SessionInfo) {
        self.context = codec_context(&session);
        self.session = session;
        self.rejected = [0; RejectReason::ALL.len()];
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
    }
}

/// Peers by slot: a slot is what paths and sets name, and is used again when its peer is gone.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    by_id: HashMap<PeerId, u32, FxBuildHasher>,
    /// Our BGP identifier, which counts as that of local paths.
    router_id: Ipv4Addr,
}

impl Peers {
    pub(super) fn new(router_id: Ipv4Addr) -> Self {
        Self {
            slots: Vec::new(),
            by_id: HashMap::default(),
            router_id,
        }
    }

    pub(super) fn slot(&self, id: PeerId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn insert(&mut self, peer: Peer) -> u32 {
        let id = peer.id;
        let free = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(Box::new(peer));
        self.by_id.insert(id, free as u32);
        free as u32
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(peer) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.by_id.remove(&peer.id);
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
