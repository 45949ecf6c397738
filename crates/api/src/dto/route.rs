//! Routes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Some routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoutePage {
    /// The routes; may be fewer than asked for, even none, where there are more.
    pub routes: Vec<Route>,
    /// What to pass as `after` for the next page; absent: that was all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A destination with all paths to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// Its family: `l2vpn-evpn`.
    pub family: String,
    /// The destination: `[2]:[0]:[48]:[02:00:00:00:00:01] rd 192.0.2.1:1`.
    pub nlri: String,
    /// The paths, the best first.
    pub paths: Vec<Path>,
}

/// A path to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Path {
    /// Where it came from.
    pub source: PathSource,
    /// Whether it is the best.
    pub best: bool,
    /// Why it is not the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_because: Option<String>,
    /// The next hop; of EVPN routes the VTEP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
    /// The label field: a VNI of EVPN routes where the encapsulation is one that has VNIs, else an
    /// MPLS label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// The gateway of an EVPN IP prefix route (RFC 9136 section 3.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The path identifier (RFC 7911), where ADD-PATH is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_id: Option<u32>,
    /// The Ethernet segment, if it is not zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub esi: Option<String>,
    /// LOCAL_PREF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
    /// AS_PATH; empty within the AS.
    pub as_path: String,
    /// ORIGIN: `igp`, `egp`, `incomplete`.
    #[serde(default)]
    pub origin: String,
    /// Communities of all kinds, route targets among them.
    #[serde(default)]
    pub communities: Vec<String>,
    /// Route targets.
    pub route_targets: Vec<String>,
    /// All attributes as a text.
    pub attributes: String,
    /// Since when it has been as it is (RFC 3339).
    pub since: String,
    /// Whether it is kept from before a restart of its peer.
    pub stale: bool,
    /// The VPN instances that import the destination by this path.
    pub imported_by: Vec<String>,
}

/// Where a path came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum PathSource {
    /// A peer.
    Peer {
        /// Its number.
        id: u32,
        /// Its address.
        addr: String,
        /// What it is called in the configuration.
        name: String,
    },
    /// A VPN instance of this node.
    Instance {
        /// Its name.
        id: String,
    },
    /// This node itself: RT membership.
    Local,
}
