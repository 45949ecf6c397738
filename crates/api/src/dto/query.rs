//! Query parameters.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Which routes to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RouteQuery {
    /// Only this family: `l2vpn-evpn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Only what this VPN instance originates or imports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Only routes of this MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Only routes of this IP address, or prefixes that hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Only destinations with a path of the peer with this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Only destinations advertised to the peer with this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertised_to: Option<String>,
    /// Only what this node originates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<bool>,
    /// Where the previous page ended: its `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many destinations are looked at for one page; 1 to 10000, which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Which attachments to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttachmentQuery {
    /// Only those of this VPN instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Which dataplane objects to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DataplaneQuery {
    /// Only those that serve this VPN instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What to explain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// The MAC or IP address.
    pub address: String,
    /// Only in this VPN instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}
