//! A BGP peer in full.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Peer;

/// A BGP peer in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerInFull {
    /// What the list of peers shows of it.
    #[serde(flatten)]
    pub peer: Peer,
    /// The rest.
    #[serde(flatten)]
    pub detail: PeerDetail,
    /// How many routes were not taken in this session, by reason.
    pub rejected: Vec<RejectedCount>,
}

/// How often routes were not taken for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectedCount {
    /// The reason, or the rule of the import policy.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// What the list of peers does not show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PeerDetail {
    /// Our end of the connection: `192.0.2.1:179`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_endpoint: Option<String>,
    /// The peer's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_endpoint: Option<String>,
    /// What its AS has to be: a number, `internal`, `external` or `any`.
    pub remote_as_wanted: String,
    /// Whether only the peer connects.
    pub passive: bool,
    /// How often KEEPALIVE is sent, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_secs: Option<u64>,
    /// How often the session was Established.
    pub established: u64,
    /// The end of the last session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_down: Option<PeerDown>,
    /// When the next attempt to connect comes (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<String>,
    /// What we offered in OPEN, in the last session.
    pub capabilities_sent: Vec<String>,
    /// What the peer offered.
    pub capabilities_received: Vec<String>,
    /// What holds on the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiated: Option<Negotiated>,
    /// How segments are authenticated: `TCP-MD5`, `TCP-AO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// How far away the peer may be.
    pub ttl: String,
    /// The state of its BFD session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<String>,
    /// What is taken from it and given to it.
    pub policy: PeerPolicy,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerDown {
    /// When (RFC 3339).
    pub at: String,
    /// Why.
    pub reason: String,
}

/// What holds on a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Negotiated {
    /// Whether AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Whether the peer can be asked for its routes again (RFC 2918).
    pub route_refresh: bool,
    /// Whether the answer is marked at begin and end (RFC 7313).
    pub enhanced_refresh: bool,
    /// The largest message, in octets (RFC 8654).
    pub message_len_max: usize,
    /// Families in which the peer may send several paths of a destination (RFC 7911).
    pub add_path_receive: Vec<String>,
    /// Families in which we may.
    pub add_path_send: Vec<String>,
    /// Families of IPv4 whose routes may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: Vec<String>,
    /// For how many seconds the peer's routes are kept when it restarts (RFC 4724).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_secs: Option<u64>,
    /// Whether they are kept after NOTIFICATION as well (RFC 8538).
    pub restart_on_notification: bool,
    /// In which families they are kept even longer (RFC 9494): `ipv4-unicast 3600 s`.
    pub long_lived: Vec<String>,
    /// What the peer says it is to us (RFC 9234).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_role: Option<String>,
}

/// What is taken from a peer and given to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PeerPolicy {
    /// The name of the import policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    /// The name of the export policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// What else is on: `next-hop-self`, `allow-as-in 2`.
    pub options: Vec<String>,
    /// How many routes it may send.
    pub max_prefixes: Vec<PrefixLimit>,
}

/// How many routes of a family a peer may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrefixLimit {
    /// The family.
    pub family: String,
    /// At most so many.
    pub limit: u32,
    /// From so many per cent of them on there is a warning.
    pub warn_percent: u8,
    /// What happens beyond: `warn`, `close`, or `close, restart after 300 s`.
    pub action: String,
}
