//! What a route is about: the key of each family's table, apart from what else its NLRI carries.

mod evpn;
mod rt_membership;
mod text;
pub(crate) mod wire;

use chanter_types::{Esi, Ipv4Prefix, Ipv6Prefix};

pub use evpn::{EvpnNlri, InclusiveMulticast, MacIp};
pub use rt_membership::RtMembership;

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
}

impl Nlri {
    /// The family of whose table it is a key.
    pub fn family(&self) -> Family {
        match self {
            Nlri::Ipv4(_) => Family::IPV4_UNICAST,
            Nlri::Ipv6(_) => Family::IPV6_UNICAST,
            Nlri::Evpn(_) => Family::L2VPN_EVPN,
            Nlri::Rtc(_) => Family::IPV4_RTC,
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

/// What the NLRI of a route carries beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PathData {
    /// The label field, 24 bits as they stand: a VNI where the encapsulation is VXLAN (RFC 8365
    /// section 5.1.3), else label, traffic class and bottom-of-stack bit. 0 where there is none.
    pub label: u32,
    /// The second label field of a MAC/IP advertisement (RFC 9135 section 3.2.1), 24 bits.
    pub label2: Option<u32>,
    /// The Ethernet segment.
    pub esi: Esi,
}

impl PathData {
    /// No Ethernet segment, one label field.
    pub fn with_label(label: u32) -> Self {
        Self {
            label,
            ..Self::default()
        }
    }
}
