//! EVPN route keys (RFC 7432 section 7).

use std::net::IpAddr;

use chanter_types::{EthernetTag, MacAddr, RouteDistinguisher};

/// The key of an EVPN route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvpnNlri {
    /// Type 2, MAC/IP advertisement.
    MacIp(MacIp),
    /// Type 3, inclusive multicast Ethernet tag.
    InclusiveMulticast(InclusiveMulticast),
    /// A type whose inside we do not look at: all of it is the key, and it is passed on as it is.
    ///
    /// Types 2 and 3 never stand here.
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
            EvpnNlri::MacIp(_) => MacIp::ROUTE_TYPE,
            EvpnNlri::InclusiveMulticast(_) => InclusiveMulticast::ROUTE_TYPE,
            EvpnNlri::Other { route_type, .. } => *route_type,
        }
    }

    /// The route distinguisher; opaque types have none that we know.
    pub fn rd(&self) -> Option<RouteDistinguisher> {
        match self {
            EvpnNlri::MacIp(route) => Some(route.rd),
            EvpnNlri::InclusiveMulticast(route) => Some(route.rd),
            EvpnNlri::Other { .. } => None,
        }
    }
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
