//! The desired dataplane: what sinks have to make true, object by object.

use std::fmt;
use std::net::IpAddr;

use chanter_intent::{InstanceId, PortName};
use chanter_types::{IfName, MacAddr, Vni};
use serde::Serialize;

/// The bridge domain of one MAC-VRF on this node: its instance number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DomainId(pub u32);

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What identifies a desired object. The order is that in which objects are built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesiredKey {
    /// A bridge domain with its VXLAN tunnel endpoint.
    Domain(DomainId),
    /// A port of a bridge domain.
    Port(DomainId, PortName),
    /// A MAC address behind a local port.
    LocalMac(DomainId, MacAddr),
    /// A VTEP to which broadcast, unknown unicast and multicast are sent (from type 3 routes).
    Flood(DomainId, IpAddr),
    /// A MAC address behind a remote VTEP (from type 2 routes).
    RemoteMac(DomainId, MacAddr),
    /// The MAC address of a remote IP address, for ARP and ND suppression (from type 2 routes).
    Neighbor(DomainId, IpAddr),
}

impl DesiredKey {
    /// The bridge domain that the object is part of.
    pub fn domain(&self) -> DomainId {
        match self {
            DesiredKey::Domain(domain)
            | DesiredKey::Port(domain, _)
            | DesiredKey::LocalMac(domain, _)
            | DesiredKey::Flood(domain, _)
            | DesiredKey::RemoteMac(domain, _)
            | DesiredKey::Neighbor(domain, _) => *domain,
        }
    }
}

impl fmt::Display for DesiredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DesiredKey::Domain(domain) => write!(f, "domain {domain}"),
            DesiredKey::Port(domain, port) => write!(f, "domain {domain} port {port}"),
            DesiredKey::LocalMac(domain, mac) => write!(f, "domain {domain} local-mac {mac}"),
            DesiredKey::Flood(domain, vtep) => write!(f, "domain {domain} flood {vtep}"),
            DesiredKey::RemoteMac(domain, mac) => write!(f, "domain {domain} remote-mac {mac}"),
            DesiredKey::Neighbor(domain, ip) => write!(f, "domain {domain} neighbor {ip}"),
        }
    }
}

/// What a desired object should be. The variant is always that of its [`DesiredKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesiredValue {
    /// A bridge domain.
    Domain(Domain),
    /// A port, with its VLAN if tagged.
    Port {
        /// 1 to 4094.
        vlan: Option<u16>,
    },
    /// A local MAC address.
    LocalMac {
        /// The port behind which it is.
        port: PortName,
    },
    /// A flooding target.
    Flood {
        /// The VNI that the VTEP expects.
        vni: Vni,
    },
    /// A remote MAC address.
    RemoteMac {
        /// The VTEP behind which it is.
        vtep: IpAddr,
        /// The VNI that the VTEP expects.
        vni: Vni,
        /// Whether it must not move (RFC 7432 section 15.2).
        sticky: bool,
    },
    /// A remote neighbour.
    Neighbor {
        /// Its MAC address.
        mac: MacAddr,
    },
}

/// A bridge domain: names of devices are the dataplane's matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// The VPN instance; devices are tagged with it, so that they are known after a restart.
    pub instance: InstanceId,
    /// The VNI in which this node receives.
    pub vni: Vni,
    /// The address of this node's VTEP.
    pub vtep: IpAddr,
    /// An existing bridge to use in place of one of our own.
    pub bridge: Option<IfName>,
}

/// Numbers the changes of desired objects in the order in which they are made. A report that was
/// under way while the object changed tells of another version, so that it is not taken for one on
/// what is desired now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(pub u64);

/// One object became desired, changed, or is no longer desired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DesiredChange {
    /// Which one.
    pub key: DesiredKey,
    /// Which change of the object this is: reports on it say so.
    pub version: Version,
    /// What it should be; `None`: it should not be.
    pub value: Option<DesiredValue>,
}

/// What a sink says of one desired object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub key: DesiredKey,
    /// The change of it that the sink knew last.
    pub version: Version,
    /// Whether it is so now, or why not. A failure is retried by the sink, which reports again.
    pub result: Result<(), DataplaneError>,
}

/// Why a sink could not make an object so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct DataplaneError {
    /// What failed, in words for an operator.
    pub message: String,
    /// Whether only another intent can help (the device does not exist, the name is not valid) as
    /// opposed to a fault of the node.
    pub caused_by_intent: bool,
}
