//! BGP peers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Direction;

/// A BGP peer: its session and what came over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its number in this process.
    pub id: u32,
    /// What it is called in the configuration: its address, or the interface that it is behind.
    pub name: String,
    /// Its address; unspecified where only its link is known.
    pub addr: String,
    /// Its host name, where it tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Our address on the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_addr: Option<String>,
    /// Its AS; absent where any is taken and none has connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_as: Option<u32>,
    /// Our AS.
    pub local_as: u32,
    /// Its BGP identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_id: Option<String>,
    /// `ebgp`, `ibgp` or `route-reflector-client`; absent until the session was Established once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The state of the session (RFC 4271 section 8.2.2): `Idle` to `Established`.
    pub state: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// The hold time in force, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time_secs: Option<u64>,
    /// Why the session is stopped, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Directions in which eBGP exchanges no routes for want of a policy (RFC 8212).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_policy: Vec<Direction>,
    /// Why the session was lost last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why it has not come up since, where an attempt has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_error: Option<String>,
    /// Whether it was accepted from a listen range.
    pub dynamic: bool,
    /// How often the session left Established.
    pub flaps: u64,
    /// The operator's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Messages received.
    pub received: MessageCounts,
    /// Messages sent.
    pub sent: MessageCounts,
    /// The families in force, and those of which there are stale paths.
    pub families: Vec<PeerFamily>,
    /// Route targets that the peer asked for (RFC 4684); absent: it gets all routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_rts: Option<Vec<String>>,
    /// Whether it asked for all routes by a default membership.
    pub wants_all: bool,
}

/// One family of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerFamily {
    /// The family: `l2vpn-evpn`.
    pub family: String,
    /// Paths received.
    pub received: usize,
    /// Received paths that are stale (RFC 4724).
    pub stale: usize,
    /// Destinations advertised to the peer.
    pub advertised: usize,
    /// Whether the peer has marked the end of its initial update.
    pub end_of_rib_received: bool,
    /// Whether we have marked the end of ours.
    pub end_of_rib_sent: bool,
}

/// Messages by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
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
