//! What is shown of a peer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use chanter_bfd::BfdState;
use chanter_bgp::session::State;
use chanter_bgp::{BgpRole, Capability, Family, LongLivedFamily, MessageType};
use chanter_engine::PeerId;
use chanter_types::Asn;

use crate::{PeerAddr, RemoteAs, Ttl};

/// What is shown of a peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    /// The peer.
    pub peer: PeerId,
    /// What it is called in the configuration.
    pub name: PeerAddr,
    /// Its address; unspecified where only its link is known.
    pub addr: IpAddr,
    /// Our address on the session; as configured while there is none.
    pub local_addr: Option<IpAddr>,
    /// Both ends of the connection of the session, ours first; `None` while there is none.
    pub endpoints: Option<(SocketAddr, SocketAddr)>,
    /// Its AS; as configured while there is no session, `None`: not known.
    pub remote_as: Option<Asn>,
    /// What its AS has to be.
    pub remote_as_wanted: RemoteAs,
    /// Our AS; `None`: the peer's, whatever it is, and there is no session.
    pub local_as: Option<Asn>,
    /// Its BGP identifier, from the last session.
    pub router_id: Option<Ipv4Addr>,
    /// Its name, from the last session, where it tells it.
    pub hostname: Option<String>,
    /// The state of the session.
    pub state: State,
    /// The state before.
    pub previous_state: State,
    /// Since when the state is what it is.
    pub since: SystemTime,
    /// Why the session is stopped, in an operator's words.
    pub held: Option<String>,
    /// Until when it is stopped, where that ends by itself.
    pub held_until: Option<SystemTime>,
    /// The hold time in force; `None` while there is no session.
    pub hold_time: Option<Duration>,
    /// How often KEEPALIVE is sent; `None` while there is no session, or no hold time.
    pub keepalive_time: Option<Duration>,
    /// The families in force; none while there is no session.
    pub families: Vec<Family>,
    /// What else holds on the session.
    pub negotiated: Option<NegotiatedStatus>,
    /// What the peer offered in OPEN, of the last session.
    pub capabilities: Vec<Capability>,
    /// What we offered in OPEN, in the last session.
    pub own_capabilities: Vec<Capability>,
    /// Messages received since the peer is known.
    pub received: MessageCounts,
    /// Messages sent since the peer is known.
    pub sent: MessageCounts,
    /// Why the last session ended, or the last attempt failed.
    pub last_error: Option<String>,
    /// The end of the last session.
    pub last_down: Option<LastDown>,
    /// When the next attempt to connect comes.
    pub next_attempt: Option<SystemTime>,
    /// Whether it was accepted from a listen range.
    pub dynamic: bool,
    /// Whether only the peer connects.
    pub passive: bool,
    /// How often it was Established.
    pub established: u64,
    /// How often it left Established.
    pub flaps: u64,
    /// How segments are authenticated: TCP-MD5 or TCP-AO.
    pub auth: Option<&'static str>,
    /// How far away the peer may be.
    pub ttl: Ttl,
    /// The state of the BFD session, where there is one.
    pub bfd: Option<BfdState>,
    /// The operator's words for it.
    pub description: Option<String>,
}

/// What holds on a session beside families and times.
#[derive(Debug, Clone, PartialEq)]
pub struct NegotiatedStatus {
    /// Whether AS numbers have four octets.
    pub four_octet_as: bool,
    /// Whether the peer can be asked for its routes again.
    pub route_refresh: bool,
    /// Whether the answer is marked at begin and end.
    pub enhanced_refresh: bool,
    /// The largest message, in octets.
    pub message_len_max: usize,
    /// Families in which the peer may send several paths of a destination.
    pub add_path_receive: Vec<Family>,
    /// Families in which we may.
    pub add_path_send: Vec<Family>,
    /// Families of IPv4 whose routes may have an IPv6 next hop.
    pub extended_next_hop: Vec<Family>,
    /// For how long the peer's routes are kept when it restarts; `None`: not at all.
    pub restart_time: Option<Duration>,
    /// Whether they are kept after NOTIFICATION as well (RFC 8538).
    pub restart_on_notification: bool,
    /// In which families the peer's routes are kept even longer.
    pub long_lived: Vec<LongLivedFamily>,
    /// What the peer says it is to us.
    pub peer_role: Option<BgpRole>,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDown {
    /// When.
    pub at: SystemTime,
    /// Why, in an operator's words.
    pub reason: String,
    /// A fixed name for the reason, for metrics.
    pub name: &'static str,
}

/// Messages by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageCounts {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub route_refresh: u64,
}

impl MessageCounts {
    /// Counts a message of that type on the wire.
    pub(crate) fn count(&mut self, type_code: u8) {
        let counter = match MessageType::from_code(type_code) {
            Some(MessageType::Open) => &mut self.open,
            Some(MessageType::Update) => &mut self.update,
            Some(MessageType::Notification) => &mut self.notification,
            Some(MessageType::Keepalive) => &mut self.keepalive,
            Some(MessageType::RouteRefresh) => &mut self.route_refresh,
            None => return,
        };
        *counter += 1;
    }

    /// Adds messages that were counted elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.open += other.open;
        self.update += other.update;
        self.notification += other.notification;
        self.keepalive += other.keepalive;
        self.route_refresh += other.route_refresh;
    }
}
