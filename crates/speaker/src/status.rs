//! What is shown of a peer.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use chanter_bgp::session::State;
use chanter_bgp::{Capability, Family, MessageType};
use chanter_engine::PeerId;
use chanter_types::Asn;

/// What is shown of a peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    /// The peer.
    pub peer: PeerId,
    /// Its address.
    pub addr: IpAddr,
    /// Our address on the session; as configured while there is none.
    pub local_addr: Option<IpAddr>,
    /// Its AS; as configured while there is no session, `None`: any.
    pub remote_as: Option<Asn>,
    /// Our AS; `None`: the peer's, whatever it is, and there is no session.
    pub local_as: Option<Asn>,
    /// Its BGP identifier, from the last session.
    pub router_id: Option<Ipv4Addr>,
    /// The state of the session.
    pub state: State,
    /// The state before.
    pub previous_state: State,
    /// Since when the state is what it is.
    pub since: SystemTime,
    /// The hold time in force; `None` while there is no session.
    pub hold_time: Option<Duration>,
    /// The families in force; none while there is no session.
    pub families: Vec<Family>,
    /// What the peer offered in OPEN, of the last session.
    pub capabilities: Vec<Capability>,
    /// Messages received since the peer is known.
    pub received: MessageCounts,
    /// Messages sent since the peer is known.
    pub sent: MessageCounts,
    /// Why the last session ended, or the last attempt failed.
    pub last_error: Option<String>,
    /// When the next attempt to connect comes.
    pub next_attempt: Option<SystemTime>,
    /// Whether it was accepted from a listen range.
    pub dynamic: bool,
    /// How often it left Established.
    pub flaps: u64,
    /// The operator's words for it.
    pub description: Option<String>,
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
