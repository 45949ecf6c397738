//! BFD.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A BFD session (RFC 5880).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BfdSession {
    /// The peer's address.
    pub peer: String,
    /// Our address towards it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// The device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Whether routers may be in between (RFC 5883).
    pub multihop: bool,
    /// `AdminDown`, `Down`, `Init` or `Up`.
    pub state: String,
    /// Since when (RFC 3339).
    pub since: String,
    /// The state that the peer last reported.
    pub remote_state: String,
    /// Why the session last left Up here.
    pub diagnostic: String,
    /// Why it last left Up at the peer.
    pub remote_diagnostic: String,
    /// Our number of the session.
    pub local_discriminator: u32,
    /// The peer's; 0 if it is not heard.
    pub remote_discriminator: u32,
    /// The interval at which we send, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_interval_ms: Option<u64>,
    /// After how long of silence the session fails, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection_time_ms: Option<u64>,
    /// Packets sent.
    pub sent: u64,
    /// Packets accepted.
    pub received: u64,
    /// Packets for this session that were discarded.
    pub discarded: u64,
    /// How often it left Up.
    pub downs: u64,
    /// What keeps the session from working, as far as can be known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
