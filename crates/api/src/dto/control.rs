//! Changes of the running daemon.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReloadReport {
    /// What changed, a line each.
    pub changed: Vec<String>,
    /// What takes a restart to change, and was left.
    pub kept: Vec<String>,
    /// What is odd in the configuration.
    pub warnings: Vec<String>,
}

/// Words for a peer's operator.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerMessage {
    /// The text that goes with the notification (RFC 9003): at most 128 octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How to start anew with a peer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerClear {
    /// `in`: ask for its routes again, `out`: send it ours again; without: reset the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<Direction>,
    /// Only these families, with `soft`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<String>,
    /// The text that goes with the notification (RFC 9003), without `soft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A direction, from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}
