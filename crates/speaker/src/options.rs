//! How a session with a peer is to be, whether the peer is configured or comes from a range.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{AddPathMode, BgpRole, Family};
use chanter_policy::PeerPolicy;
use chanter_types::{Asn, IfName};

use crate::auth::Auth;

/// How a session with a peer is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerOptions {
    /// The AS that it must have; not looked at where ours is the peer's
    /// ([`LocalAs::MirrorPeer`](crate::LocalAs::MirrorPeer)).
    pub remote_as: RemoteAs,
    /// The address to connect from; `None`: as the kernel chooses.
    pub local_addr: Option<IpAddr>,
    /// The network device that connections go through, whatever the routing table says; a VRF for
    /// example.
    pub device: Option<IfName>,
    /// Whether only the peer connects.
    pub passive: bool,
    /// Administratively down, with words for the peer's operator (RFC 9003), which may be empty.
    pub shutdown: Option<String>,
    /// Whether this speaker reflects its routes (RFC 4456); matters inside the AS only.
    pub role_client: bool,
    /// The hold time that we propose; zero: none.
    pub hold_time: Duration,
    /// The families that we offer.
    pub families: Vec<Family>,
    /// For how long the peer shall keep our routes while we restart; `None`: no graceful restart.
    pub graceful_restart: Option<Duration>,
    /// For how long after that the peer may keep them as long-lived stale (RFC 9494), in all
    /// families; `None`: not at all.
    pub long_lived: Option<Duration>,
    /// Several paths of a destination (RFC 7911), by family.
    pub add_path: Vec<(Family, AddPathMode)>,
    /// So many paths of a destination are sent at most where several may be; 0: all.
    pub add_path_limit: u8,
    /// Whether IPv4 routes may have an IPv6 next hop (RFC 8950); `None`: on sessions over link-local
    /// addresses.
    pub extended_next_hop: Option<bool>,
    /// What we are to the peer (RFC 9234).
    pub bgp_role: Option<BgpRole>,
    /// Whether a peer that says nothing of its role is refused (RFC 9234 section 4.2).
    pub bgp_role_strict: bool,
    /// How segments are authenticated.
    pub auth: Auth,
    /// How far away the peer may be.
    pub ttl: Ttl,
    /// The largest segment that we announce; `None`: as the path allows.
    pub mss: Option<u16>,
    /// Whether BFD watches the path to the peer.
    pub bfd: Option<BfdOptions>,
    /// What is taken from the peer and given to it.
    pub policy: Arc<PeerPolicy>,
    /// The operator's words for it.
    pub description: Option<String>,
}

impl PeerOptions {
    /// A peer with the customary hold time, EVPN and RT constraint, and graceful restart.
    pub fn new(remote_as: impl Into<RemoteAs>) -> Self {
        Self {
            remote_as: remote_as.into(),
            local_addr: None,
            device: None,
            passive: false,
            shutdown: None,
            role_client: false,
            hold_time: Duration::from_secs(90),
            families: vec![Family::L2VPN_EVPN, Family::IPV4_RTC],
            graceful_restart: Some(Duration::from_secs(120)),
            long_lived: None,
            add_path: Vec::new(),
            add_path_limit: 0,
            extended_next_hop: None,
            bgp_role: None,
            bgp_role_strict: false,
            auth: Auth::None,
            ttl: Ttl::Auto,
            mss: None,
            bfd: None,
            policy: Arc::default(),
            description: None,
        }
    }
}

/// The AS that a peer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one.
    Is(Asn),
    /// Ours.
    Internal,
    /// Any but ours.
    External,
    /// Any.
    Any,
}

impl From<Asn> for RemoteAs {
    fn from(asn: Asn) -> Self {
        Self::Is(asn)
    }
}

impl fmt::Display for RemoteAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(asn) => asn.fmt(f),
            Self::Internal => f.write_str("internal"),
            Self::External => f.write_str("external"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// How far away a peer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ttl {
    /// On the same link where it is in another AS (TTL 1), anywhere where it is in ours (TTL 64).
    #[default]
    Auto,
    /// So many hops, also where it is in another AS.
    MultiHop(u8),
    /// At most so many hops, and nobody farther away can pretend to be the peer: we send TTL 255
    /// and take only what arrives with at least 256 - hops (GTSM, RFC 5082). The peer has to do
    /// likewise. 1: on the same link.
    Security {
        /// The hops; 0 counts as 1.
        hops: u8,
    },
}

/// How BFD watches the path to a peer (RFC 5880); when it goes down, so does the session (RFC 5882,
/// RFC 9384).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdOptions {
    /// How often we wish to send.
    pub min_tx: Duration,
    /// How often we can receive.
    pub min_rx: Duration,
    /// So many packets in a row may be missed.
    pub multiplier: u8,
    /// Over several hops (RFC 5883); `None`: where [`Ttl`] says that there may be more than one.
    pub multihop: Option<bool>,
    /// Wait with the session until BFD is up.
    pub strict: bool,
}

impl Default for BfdOptions {
    fn default() -> Self {
        Self {
            min_tx: Duration::from_millis(300),
            min_rx: Duration::from_millis(300),
            multiplier: 3,
            multihop: None,
            strict: false,
        }
    }
}
