//! What a route is about: the key of each family's table, apart from what else its NLRI carries.

mod evpn;
mod flowspec;
mod rt_membership;
mod text;
mod vpn;
pub(crate) mod wire;

use std::net::IpAddr;

use chanter_types::{Esi, Ipv4Prefix, Ipv6Prefix};

pub use evpn::{EthernetAd, EthernetSegment, EvpnNlri, EvpnPrefix, InclusiveMulticast, MacIp};
pub use flowspec::{
    BitmaskMatch, FlowSpecComponent, FlowSpecError, FlowSpecNlri, FlowSpecPrefix, FlowSpecType,
    NumericMatch, fragment, tcp_flags,
};
pub use rt_membership::RtMembership;
pub use vpn::{Vpnv4Prefix, Vpnv6Prefix};

use crate::family::Family;

/// The key of a route: two NLRI that are equal name the same destination, whatever their labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nlri {
    /// IPv4 unicast.
    Ipv4(Ipv4Prefix),
    /// IPv6 unicast.
    Ipv6(Ipv6Prefix),
    /// EVPN.
    Evpn(EvpnNlri),
    /// Route target membership.
    Rtc(RtMembership),
    /// VPNv4.
    Vpn4(Vpnv4Prefix),
    /// VPNv6.
    Vpn6(Vpnv6Prefix),
    /// FlowSpec, in any of its four families.
    FlowSpec(FlowSpecNlri),
}

impl Nlri {
    /// The family of whose table it is a key.
    pub fn family(&self) -> Family {
        match self {
            Nlri::Ipv4(_) => Family::IPV4_UNICAST,
            Nlri::Ipv6(_) => Family::IPV6_UNICAST,
            Nlri::Evpn(_) => Family::L2VPN_EVPN,
            Nlri::Rtc(_) => Family::IPV4_RTC,
            Nlri::Vpn4(_) => Family::IPV4_VPN,
            Nlri::Vpn6(_) => Family::IPV6_VPN,
            Nlri::FlowSpec(nlri) => nlri.family(),
        }
    }
}

impl From<EvpnNlri> for Nlri {
    fn from(nlri: EvpnNlri) -> Self {
        Nlri::Evpn(nlri)
    }
}

impl From<MacIp> for Nlri {
    fn from(route: MacIp) -> Self {
        Nlri::Evpn(EvpnNlri::MacIp(route))
    }
}

impl From<InclusiveMulticast> for Nlri {
    fn from(route: InclusiveMulticast) -> Self {
        Nlri::Evpn(EvpnNlri::InclusiveMulticast(route))
    }
}

impl From<RtMembership> for Nlri {
    fn from(membership: RtMembership) -> Self {
        Nlri::Rtc(membership)
    }
}

impl From<EthernetAd> for Nlri {
    fn from(route: EthernetAd) -> Self {
        Nlri::Evpn(EvpnNlri::EthernetAd(route))
    }
}

impl From<EthernetSegment> for Nlri {
    fn from(route: EthernetSegment) -> Self {
        Nlri::Evpn(EvpnNlri::EthernetSegment(route))
    }
}

impl From<EvpnPrefix> for Nlri {
    fn from(route: EvpnPrefix) -> Self {
        Nlri::Evpn(EvpnNlri::IpPrefix(route))
    }
}

impl From<Vpnv4Prefix> for Nlri {
    fn from(route: Vpnv4Prefix) -> Self {
        Nlri::Vpn4(route)
    }
}

impl From<Vpnv6Prefix> for Nlri {
    fn from(route: Vpnv6Prefix) -> Self {
        Nlri::Vpn6(route)
    }
}

impl From<FlowSpecNlri> for Nlri {
    fn from(nlri: FlowSpecNlri) -> Self {
        Nlri::FlowSpec(nlri)
    }
}

/// What the NLRI of a route carries beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PathData {
    /// The label field, 24 bits as they stand: a VNI where the encapsulation is VXLAN (RFC 8365
    /// section 5.1.3), else label, traffic class and bottom-of-stack bit. 0 where there is none.
    pub label: u32,
    /// The path identifier (RFC 7911); 0 where ADD-PATH is not in use.
    pub path_id: u32,
    /// What only EVPN routes have.
    pub overlay: Overlay,
}

/// What an EVPN route carries beside key and label. A gateway excludes a segment (RFC 9136 section
/// 3.1), and a second label is only where there is no gateway, so that they share room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overlay {
    /// An Ethernet segment, or zero.
    Segment {
        /// The segment, where it is not part of the key.
        esi: Esi,
        /// The second label field of a MAC/IP advertisement (RFC 9135 section 3.2.1).
        label2: Option<[u8; 3]>,
    },
    /// The overlay index of an IP prefix route that is an address (RFC 9136 section 3.1).
    Gateway(IpAddr),
}

impl Default for Overlay {
    fn default() -> Self {
        Overlay::Segment {
            esi: Esi::ZERO,
            label2: None,
        }
    }
}

impl PathData {
    /// No Ethernet segment, one label field.
    pub fn with_label(label: u32) -> Self {
        Self {
            label,
            ..Self::default()
        }
    }

    /// With an Ethernet segment, and a second label field of 24 bits if there is one.
    pub fn segment(self, esi: Esi, label2: Option<u32>) -> Self {
        let label2 = label2.map(u32::to_be_bytes);
        let label2 = label2.map(|[_, octets @ ..]| octets);
        Self {
            overlay: Overlay::Segment { esi, label2 },
            ..self
        }
    }

    /// With a gateway, if there is one, in place of an Ethernet segment.
    pub fn via(self, gateway: Option<IpAddr>) -> Self {
        match gateway {
            Some(gateway) => Self {
                overlay: Overlay::Gateway(gateway),
                ..self
            },
            None => self,
        }
    }

    /// The Ethernet segment, where it is not part of the key.
    pub fn esi(&self) -> Esi {
        match self.overlay {
            Overlay::Segment { esi, .. } => esi,
            Overlay::Gateway(_) => Esi::ZERO,
        }
    }

    /// The second label field of a MAC/IP advertisement, 24 bits.
    pub fn label2(&self) -> Option<u32> {
        match self.overlay {
            Overlay::Segment { label2, .. } => {
                label2.map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
            }
            Overlay::Gateway(_) => None,
        }
    }

    /// The gateway of an IP prefix route.
    pub fn gateway(&self) -> Option<IpAddr> {
        match self.overlay {
            Overlay::Segment { .. } => None,
            Overlay::Gateway(gateway) => Some(gateway),
        }
    }
}
