//! VPN instances, attachments, dataplane objects.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What a client declares of a VPN instance. The type is EVPN (a MAC-VRF).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    /// Route targets of which one must be on a route for it to be imported.
    #[schema(example = json!(["64512:100"]))]
    pub import: Vec<String>,
    /// Route targets put on the routes that the instance originates.
    #[schema(example = json!(["64512:100"]))]
    pub export: Vec<String>,
    /// The VXLAN network identifier, 1 to 16777215; allocated if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// The route distinguisher; allocated if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "192.0.2.1:100")]
    pub rd: Option<String>,
    /// An existing bridge to use in place of one of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// The address of the subnet's gateway; information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<String>,
    /// Free text or any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Value>,
}

/// What a client declares of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentSpec {
    /// The port; with the Linux dataplane the name of a network device.
    #[schema(example = "tap0")]
    pub port: String,
    /// The VLAN that carries the endpoint's traffic on that port, 1 to 4094; untagged if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// LOCAL_PREF of the attachment's route; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Whether the MAC address must not move (RFC 7432 section 15.2).
    #[serde(default)]
    pub sticky: bool,
    /// Free text or any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Value>,
    /// Declares the VPN instance along; it then goes with its last attachment. If absent, the
    /// instance has to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceSpec>,
}

/// Where an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatusName {
    /// Accepted; the dataplane has yet to report.
    Pending,
    /// In place.
    Installed,
    /// Not accepted: it contradicts another object.
    Rejected,
    /// Accepted, but the dataplane could not make it so; it goes on trying.
    Failed,
    /// No longer declared.
    Removed,
}

/// Where an object stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// In a word.
    pub state: StatusName,
    /// The field at fault, where it is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why it is rejected or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A VPN instance as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// Its name.
    pub id: String,
    /// Its type: `evpn`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its number on this node; `EVI-NUMBER` in bagpipe-bgp's looking glass.
    pub number: u32,
    /// The sources that declare it.
    pub sources: Vec<String>,
    /// Route targets to import.
    pub import: Vec<String>,
    /// Route targets to export.
    pub export: Vec<String>,
    /// The VNI in force.
    pub vni: u32,
    /// The route distinguisher in force.
    pub rd: String,
    /// The bridge that it uses in place of one of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// The address of the subnet's gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<String>,
    /// The client's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Value>,
    /// How many attachments it has.
    pub attachments: usize,
    /// Remote MAC addresses in use.
    pub remote_macs: usize,
    /// Remote VTEPs to which is flooded.
    pub remote_vteps: Vec<String>,
    /// Where it stands.
    pub status: Status,
}

/// An attachment as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// The VPN instance.
    pub instance: String,
    /// The MAC address.
    pub mac: String,
    /// The IP address; absent for a MAC address alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The source that declares it.
    pub source: String,
    /// The port.
    pub port: String,
    /// The VLAN on that port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// LOCAL_PREF as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Whether the MAC address must not move.
    pub sticky: bool,
    /// The MAC mobility sequence number with which it is advertised.
    pub sequence: u32,
    /// Whether its route is originated.
    pub advertised: bool,
    /// The client's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Value>,
    /// Where it stands.
    pub status: Status,
}

/// An object of the desired dataplane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DesiredObject {
    /// The VPN instance that it serves.
    pub instance: String,
    /// What it is: `domain 7 remote-mac 02:00:00:00:00:01`.
    pub key: String,
    /// What it should be.
    pub value: Value,
    /// Whether it is so: `pending`, `installed`, `failed`.
    pub state: StatusName,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
