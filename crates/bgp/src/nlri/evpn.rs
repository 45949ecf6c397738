//! EVPN route keys (RFC 7432 section 7, RFC 9136 section 3).

use std::net::IpAddr;

use chanter_types::{Esi, EthernetTag, MacAddr, Prefix, RouteDistinguisher};

/// The key of an EVPN route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvpnNlri {
    /// Type 1, Ethernet auto-discovery.
    EthernetAd(EthernetAd),
    /// Type 2, MAC/IP advertisement.
    MacIp(MacIp),
    /// Type 3, inclusive multicast Ethernet tag.
    InclusiveMulticast(InclusiveMulticast),
    /// Type 4, Ethernet segment.
    EthernetSegment(EthernetSegment),
    /// Type 5, IP prefix.
    IpPrefix(EvpnPrefix),
    /// A type whose inside we do not look at: all of it is the key, and it is passed on as it is.
    ///
    /// Types 1 to 5 never stand here.
    Other {
        /// The route type.
        route_type: u8,
        /// What follows type and length.
        octets: Box<[u8]>,
    },
}

impl EvpnNlri {
    /// The route type on the wire.
    pub fn route_type(&self) -> u8 {
        match self {
            EvpnNlri::EthernetAd(_) => EthernetAd::ROUTE_TYPE,
            EvpnNlri::MacIp(_) => MacIp::ROUTE_TYPE,
            EvpnNlri::InclusiveMulticast(_) => InclusiveMulticast::ROUTE_TYPE,
            EvpnNlri::EthernetSegment(_) => EthernetSegment::ROUTE_TYPE,
            EvpnNlri::IpPrefix(_) => EvpnPrefix::ROUTE_TYPE,
            EvpnNlri::Other { route_type, .. } => *route_type,
        }
    }

    /// The route distinguisher; opaque types have none that we know.
    pub fn rd(&self) -> Option<RouteDistinguisher> {
        match self {
            EvpnNlri::EthernetAd(route) => Some(route.rd),
            EvpnNlri::MacIp(route) => Some(route.rd),
            EvpnNlri::InclusiveMulticast(route) => Some(route.rd),
            EvpnNlri::EthernetSegment(route) => Some(route.rd),
            EvpnNlri::IpPrefix(route) => Some(route.rd),
            EvpnNlri::Other { .. } => None,
        }
    }
}

/// The key of an Ethernet auto-discovery route. The label is not part of it (RFC 7432 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EthernetAd {
    /// The route distinguisher: of the MAC-VRF, or of the node in a route per segment.
    pub rd: RouteDistinguisher,
    /// The Ethernet segment.
    pub esi: Esi,
    /// The Ethernet tag; [`EthernetAd::MAX_TAG`] in a route per segment.
    pub tag: EthernetTag,
}

impl EthernetAd {
    /// The number of the route type.
    pub const ROUTE_TYPE: u8 = 1;
    /// The tag of a route that is about the whole segment (RFC 7432 section 8.2.1).
    pub const MAX_TAG: EthernetTag = EthernetTag(u32::MAX);
}

/// The key of a MAC/IP advertisement route. Ethernet segment and labels are not part of it
/// (RFC 7432 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacIp {
    /// The route distinguisher of the advertising MAC-VRF.
    pub rd: RouteDistinguisher,
    /// The Ethernet tag.
    pub tag: EthernetTag,
    /// The MAC address.
    pub mac: MacAddr,
    /// The IP address, if one is advertised with it.
    pub ip: Option<IpAddr>,
}

impl MacIp {
    /// The number of the route type.
    pub const ROUTE_TYPE: u8 = 2;
}

/// The key of an inclusive multicast Ethernet tag route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InclusiveMulticast {
    /// The route distinguisher of the advertising MAC-VRF.
    pub rd: RouteDistinguisher,
    /// The Ethernet tag.
    pub tag: EthernetTag,
    /// The address of the originating router.
    pub originator: IpAddr,
}

impl InclusiveMulticast {
    /// The number of the route type.
    pub const ROUTE_TYPE: u8 = 3;
}

/// The key of an Ethernet segment route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EthernetSegment {
    /// The route distinguisher of the advertising node.
    pub rd: RouteDistinguisher,
    /// The Ethernet segment.
    pub esi: Esi,
    /// The address of the originating router.
    pub originator: IpAddr,
}

impl EthernetSegment {
    /// The number of the route type.
    pub const ROUTE_TYPE: u8 = 4;
}

/// The key of an IP prefix route. Ethernet segment, gateway and label are not part of it (RFC 9136
/// section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvpnPrefix {
    /// The route distinguisher of the advertising IP-VRF or MAC-VRF.
    pub rd: RouteDistinguisher,
    /// The Ethernet tag.
    pub tag: EthernetTag,
    /// The prefix.
    pub prefix: Prefix,
}

impl EvpnPrefix {
    /// The number of the route type.
    pub const ROUTE_TYPE: u8 = 5;
}
