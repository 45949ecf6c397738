//! The objects that sources declare.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chanter_types::{IfName, MacAddr, RouteDistinguisher, RouteTarget, Vni};
use serde::{Deserialize, Serialize};

/// The name that a source gives to a VPN instance: opaque, not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// The instance named `id`.
    pub fn new(id: &str) -> Self {
        InstanceId(id.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a port where an endpoint is attached. With the Linux dataplane it is that of a
/// network device; with Open vSwitch only a key (`patch2tun:4`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortName(Arc<str>);

impl PortName {
    /// The port named `name`.
    pub fn new(name: &str) -> Self {
        PortName(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an endpoint is attached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Port {
    /// Its name.
    pub name: PortName,
    /// The VLAN that carries the endpoint's traffic on that port, if tagged: 1 to 4094.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// A VPN instance (RFC 4026: VRF or its layer 2 equivalent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnInstance {
    /// Its name.
    pub id: InstanceId,
    /// Its type, with what only that type has.
    pub kind: VpnKind,
    /// Route targets of which one must be on a route for it to be imported.
    pub import: BTreeSet<RouteTarget>,
    /// Route targets put on the routes that the instance originates.
    pub export: BTreeSet<RouteTarget>,
    /// The route distinguisher; allocated where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rd: Option<RouteDistinguisher>,
    /// The address of the subnet's gateway, as the client gave it; information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<IpAddr>,
    /// Free text or any JSON of the client, shown by the looking glass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<serde_json::Value>,
}

/// The types of VPN instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum VpnKind {
    /// A MAC-VRF: the EVPN instance of this node (RFC 7432 section 3).
    MacVrf(MacVrf),
}

/// What only a MAC-VRF has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct MacVrf {
    /// The VXLAN network identifier; allocated where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vni>,
    /// An existing bridge to use in place of one of our own (`linuxbr`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<IfName>,
}

/// What identifies an attachment: one MAC, or one address of that MAC, in one instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachmentKey {
    /// The VPN instance.
    pub instance: InstanceId,
    /// The endpoint's MAC address.
    pub mac: MacAddr,
    /// The endpoint's IP address; `None` for a MAC whose addresses are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

/// An endpoint attached to a VPN instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What identifies it.
    #[serde(flatten)]
    pub key: AttachmentKey,
    /// Where it is attached.
    pub port: Port,
    /// LOCAL_PREF of its routes; 100 where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Whether the MAC must not move (RFC 7432 section 15.2).
    #[serde(default)]
    pub sticky: bool,
    /// Free text or any JSON of the client, shown by the looking glass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<serde_json::Value>,
}

/// An object of any type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "kebab-case")]
pub enum Object {
    /// A VPN instance.
    Instance(VpnInstance),
    /// An attachment.
    Attachment(Attachment),
}

impl Object {
    /// What identifies the object.
    pub fn key(&self) -> ObjectKey {
        match self {
            Object::Instance(instance) => ObjectKey::Instance(instance.id.clone()),
            Object::Attachment(attachment) => ObjectKey::Attachment(attachment.key.clone()),
        }
    }
}

/// What identifies an object of any type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKey {
    /// A VPN instance.
    Instance(InstanceId),
    /// An attachment.
    Attachment(AttachmentKey),
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectKey::Instance(id) => write!(f, "instance {id}"),
            ObjectKey::Attachment(AttachmentKey {
                instance,
                mac,
                ip: Some(ip),
            }) => {
                write!(f, "attachment {mac} {ip} of instance {instance}")
            }
            ObjectKey::Attachment(AttachmentKey {
                instance,
                mac,
                ip: None,
            }) => {
                write!(f, "attachment {mac} of instance {instance}")
            }
        }
    }
}
