//! What the engine is told, and what it says in return.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{BgpRole, Family, LongLivedFamily, UpdateBatch};
use chanter_intent::{ObjectKey, SourceEvent, SourceId};
use chanter_policy::PeerPolicy;
use chanter_types::Asn;
use serde::Serialize;

use crate::desired::{DataplaneError, DesiredChange, Report};

/// A BGP peer, configured or accepted from a listen range; numbers are never reused in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PeerId(pub u32);

/// An input of [`Engine::handle`](crate::Engine::handle).
#[derive(Debug, Clone)]
pub enum Input {
    /// A source said something.
    Source {
        /// Which source.
        source: SourceId,
        /// What it said.
        event: SourceEvent,
    },
    /// A session reached Established.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// What was negotiated.
        session: Box<SessionInfo>,
    },
    /// A session left Established.
    PeerDown {
        /// The peer.
        peer: PeerId,
        /// Whether its paths are kept as stale (graceful restart helper, RFC 4724 section 4.2) for
        /// as long as the peer asked, by family; empty: all paths go at once. If any is, long-lived
        /// families that are not listed are long-lived stale at once (RFC 9494 section 4.2).
        retain: Vec<Family>,
        /// For how long paths are retained; zero: those listed are long-lived stale at once.
        restart_time: Duration,
    },
    /// The peer is no longer configured: all its paths go, also retained ones.
    PeerRemoved {
        /// The peer.
        peer: PeerId,
    },
    /// UPDATE messages of an established peer, in order, with End-of-RIB markers among them.
    Updates {
        /// The peer.
        peer: PeerId,
        /// The decoded messages.
        batch: UpdateBatch,
    },
    /// ROUTE-REFRESH of an established peer (RFC 2918): send that family again.
    RouteRefresh {
        /// The peer.
        peer: PeerId,
        /// The family.
        family: Family,
    },
    /// The peer begins to repeat all its routes of a family (BoRR, RFC 7313 section 4).
    BeginOfRefresh {
        /// The peer.
        peer: PeerId,
        /// The family.
        family: Family,
    },
    /// The peer has repeated all its routes of a family (EoRR, RFC 7313 section 4).
    EndOfRefresh {
        /// The peer.
        peer: PeerId,
        /// The family.
        family: Family,
    },
    /// The policy of a peer changed while its session is up.
    SetPolicy {
        /// The peer.
        peer: PeerId,
        /// What holds from now on.
        policy: Arc<PeerPolicy>,
    },
    /// What the dataplane made of desired objects.
    Dataplane(Vec<Report>),
}

/// How this speaker stands to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// Another AS.
    Ebgp,
    /// The own AS; not a client.
    Ibgp,
    /// The own AS, and this speaker reflects its routes (RFC 4456).
    RouteReflectorClient,
}

/// What the engine has to know of an established session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The peer's address.
    pub peer_addr: IpAddr,
    /// Our address on the session; NEXT_HOP self towards eBGP peers.
    pub local_addr: IpAddr,
    /// The peer's AS.
    pub peer_as: Asn,
    /// Our AS on this session.
    pub local_as: Asn,
    /// The peer's BGP identifier.
    pub peer_router_id: Ipv4Addr,
    /// How this speaker stands to the peer.
    pub role: PeerRole,
    /// Families that both sides have.
    pub families: Vec<Family>,
    /// Whether AS numbers have four octets on this session (RFC 6793).
    pub four_octet_as: bool,
    /// The largest message that the peer takes, in octets: 4096, or 65535 (RFC 8654).
    pub message_len_max: usize,
    /// Families for which the peer marks the end of its initial update (it has the graceful restart
    /// capability); for other families the end is never told.
    pub end_of_rib: Vec<Family>,
    /// Families whose forwarding state the peer preserved over its restart (RFC 4724 section 3); in
    /// other families stale paths go at once.
    pub forwarding_preserved: Vec<Family>,
    /// Whether the peer can be asked for its routes again (RFC 2918).
    pub route_refresh: bool,
    /// Whether both sides can ask for routes again, and mark where the answer begins and ends
    /// (RFC 7313).
    pub enhanced_refresh: bool,
    /// Families in which the peer sends several paths of a destination (RFC 7911).
    pub add_path_receive: Vec<Family>,
    /// Families in which it takes several.
    pub add_path_send: Vec<Family>,
    /// How many paths of a destination it is sent at most in such a family; 0: all.
    pub add_path_limit: u8,
    /// Families of IPv4 destinations that may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: Vec<Family>,
    /// Our link-local address on the link of the session; it goes beside NEXT_HOP self (RFC 2545
    /// section 3).
    pub local_link_local: Option<Ipv6Addr>,
    /// What we are to a peer in another AS (RFC 9234).
    pub bgp_role: Option<BgpRole>,
    /// The families whose routes are kept as long-lived stale, and for how long (RFC 9494); empty: the
    /// peer does not have the capability.
    pub long_lived: Vec<LongLivedFamily>,
    /// What is taken from the peer and given to it.
    pub policy: Arc<PeerPolicy>,
}

impl SessionInfo {
    /// A session without any family, and without what has to be negotiated. `addrs` and `ases` are
    /// the peer's, then ours.
    pub fn new(
        addrs: (IpAddr, IpAddr),
        ases: (Asn, Asn),
        peer_router_id: Ipv4Addr,
        role: PeerRole,
    ) -> Self {
        Self {
            peer_addr: addrs.0,
            local_addr: addrs.1,
            peer_as: ases.0,
            local_as: ases.1,
            peer_router_id,
            role,
            families: Vec::new(),
            four_octet_as: true,
            message_len_max: 4096,
            end_of_rib: Vec::new(),
            forwarding_preserved: Vec::new(),
            route_refresh: true,
            enhanced_refresh: false,
            add_path_receive: Vec::new(),
            add_path_send: Vec::new(),
            add_path_limit: 0,
            extended_next_hop: Vec::new(),
            local_link_local: None,
            bgp_role: None,
            long_lived: Vec::new(),
            policy: Arc::default(),
        }
    }
}

/// An output of [`Engine::poll_output`](crate::Engine::poll_output).
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// There is something to send to this peer: [`Engine::export`](crate::Engine::export) writes it.
    ExportReady(PeerId),
    /// A desired object changed.
    Program(DesiredChange),
    /// From now on sinks may remove what is not desired: every source has synced and every peer has
    /// sent End-of-RIB, or the grace has run out. Said once.
    PruneAllowed,
    /// An object of a source has a new status.
    Status {
        /// The source that declared it.
        source: SourceId,
        /// The object.
        key: ObjectKey,
        /// Its status.
        status: ObjectStatus,
    },
    /// Something happened that an operator may want to see, once, in the log and in `watch`.
    Event(crate::Event),
    /// The speaker is to do something with a session.
    Order(PeerOrder),
}

/// What the engine wants of the speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerOrder {
    /// Ask the peer for its routes again (RFC 2918): they are judged in another way now.
    Refresh {
        /// The peer.
        peer: PeerId,
        /// The families.
        families: Vec<Family>,
    },
    /// The peer has sent more routes than it may: close the session (Cease, Maximum Number of
    /// Prefixes Reached, RFC 4486 section 3).
    PrefixLimit {
        /// The peer.
        peer: PeerId,
        /// The family.
        family: Family,
        /// How many routes it may have.
        limit: u32,
    },
}

impl PeerOrder {
    /// The peer that it is about.
    pub fn peer(&self) -> PeerId {
        match self {
            PeerOrder::Refresh { peer, .. } | PeerOrder::PrefixLimit { peer, .. } => *peer,
        }
    }
}

/// What became of a declared object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum ObjectStatus {
    /// Accepted; the dataplane has yet to report.
    Pending,
    /// In place: the dataplane made it so.
    Installed,
    /// Not accepted: it contradicts another object.
    Rejected {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Accepted, but the dataplane could not make it so; it goes on trying.
    Failed {
        /// Why.
        error: DataplaneError,
    },
    /// No longer declared, and gone from the dataplane.
    Removed,
}
