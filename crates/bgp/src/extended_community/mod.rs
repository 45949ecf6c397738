//! Extended communities (RFC 4360, RFC 5668, RFC 7153) and their IPv6 kind (RFC 5701).

mod flow_action;
mod ipv6;
mod text;

use std::net::Ipv4Addr;

use chanter_types::{MacAddr, RouteTarget};

pub use flow_action::FlowAction;
pub use ipv6::Ipv6ExtendedCommunity;

/// An extended community as its eight octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// Tunnel types of the encapsulation community (RFC 9012, IANA "BGP Tunnel Encapsulation").
pub mod encapsulation {
    /// L2TPv3 over IP.
    pub const L2TPV3: u16 = 1;
    /// GRE.
    pub const GRE: u16 = 2;
    /// IP in IP.
    pub const IP_IN_IP: u16 = 7;
    /// VXLAN.
    pub const VXLAN: u16 = 8;
    /// NVGRE.
    pub const NVGRE: u16 = 9;
    /// MPLS.
    pub const MPLS: u16 = 10;
    /// MPLS in GRE.
    pub const MPLS_IN_GRE: u16 = 11;
    /// VXLAN with the generic protocol extension.
    pub const VXLAN_GPE: u16 = 12;
    /// MPLS in UDP.
    pub const MPLS_IN_UDP: u16 = 13;
    /// A segment routing policy.
    pub const SR_POLICY: u16 = 15;
    /// Geneve.
    pub const GENEVE: u16 = 19;
    /// Any encapsulation.
    pub const ANY: u16 = 20;

    /// Number and name of those that have a name here.
    const NAMES: [(u16, &str); 12] = [
        (L2TPV3, "l2tpv3"),
        (GRE, "gre"),
        (IP_IN_IP, "ip-in-ip"),
        (VXLAN, "vxlan"),
        (NVGRE, "nvgre"),
        (MPLS, "mpls"),
        (MPLS_IN_GRE, "mpls-in-gre"),
        (VXLAN_GPE, "vxlan-gpe"),
        (MPLS_IN_UDP, "mpls-in-udp"),
        (SR_POLICY, "sr-policy"),
        (GENEVE, "geneve"),
        (ANY, "any"),
    ];

    /// The tunnel type as it is printed: its name or its number.
    pub(crate) fn text(tunnel_type: u16) -> String {
        let named = NAMES.iter().find(|(number, _)| *number == tunnel_type);
        named.map_or_else(|| tunnel_type.to_string(), |(_, name)| (*name).to_owned())
    }

    /// The tunnel type of that name or number.
    pub(crate) fn parse(text: &str) -> Option<u16> {
        match NAMES.iter().find(|(_, name)| *name == text) {
            Some((number, _)) => Some(*number),
            None => text.parse().ok(),
        }
    }
}

impl ExtendedCommunity {
    /// A route target (RFC 4360 section 4).
    pub fn route_target(rt: RouteTarget) -> Self {
        Self(rt.octets())
    }

    /// The route target, if it is one.
    pub fn as_route_target(self) -> Option<RouteTarget> {
        RouteTarget::from_extended_community(self.0)
    }

    /// The encapsulation community (RFC 9012 section 4.1); see [`encapsulation`].
    pub fn encapsulation(tunnel_type: u16) -> Self {
        let [a, b] = tunnel_type.to_be_bytes();
        Self([0x03, 0x0c, 0, 0, 0, 0, a, b])
    }

    /// The tunnel type, if it is an encapsulation community. The four octets before it are
    /// reserved and ignored.
    pub fn as_encapsulation(self) -> Option<u16> {
        match self.0 {
            [0x03, 0x0c, _, _, _, _, a, b] => Some(u16::from_be_bytes([a, b])),
            _ => None,
        }
    }

    /// MAC mobility (RFC 7432 section 7.7).
    pub fn mac_mobility(sticky: bool, sequence: u32) -> Self {
        let [a, b, c, d] = sequence.to_be_bytes();
        Self([0x06, 0x00, u8::from(sticky), 0, a, b, c, d])
    }

    /// Whether the MAC is sticky, and the sequence number, if it is a MAC mobility community.
    pub fn as_mac_mobility(self) -> Option<(bool, u32)> {
        match self.0 {
            [0x06, 0x00, flags, _, a, b, c, d] => {
                Some((flags & 1 == 1, u32::from_be_bytes([a, b, c, d])))
            }
            _ => None,
        }
    }

    /// The default gateway community (RFC 7432 section 7.8).
    pub const DEFAULT_GATEWAY: Self = Self([0x03, 0x0d, 0, 0, 0, 0, 0, 0]);

    /// Whether it marks a default gateway.
    pub fn is_default_gateway(self) -> bool {
        matches!(self.0, [0x03, 0x0d, ..])
    }

    /// The router's MAC (RFC 9135 section 6.1).
    pub fn router_mac(mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        Self([0x06, 0x03, a, b, c, d, e, f])
    }

    /// The router's MAC, if it tells one.
    pub fn as_router_mac(self) -> Option<MacAddr> {
        match self.0 {
            [0x06, 0x03, mac @ ..] => Some(MacAddr(mac)),
            _ => None,
        }
    }

    /// The record of a route target that a re-advertised route has been through (`00 13` as
    /// bagpipe-bgp sends it; by type also for the other forms of route targets).
    pub fn rt_record(rt: RouteTarget) -> Self {
        Self::administered(0x13, rt)
    }

    /// The recorded route target, if it is a record of one.
    pub fn as_rt_record(self) -> Option<RouteTarget> {
        self.as_administered(0x13)
    }

    /// bagpipe-bgp's position of a next hop in an ECMP group (`03 14`), so that all order alike.
    pub fn hash_order(order: u32) -> Self {
        let [a, b, c, d] = order.to_be_bytes();
        Self([0x03, 0x14, a, b, c, d, 0, 0])
    }

    /// The position in the ECMP group, if it tells one.
    pub fn as_hash_order(self) -> Option<u32> {
        match self.0 {
            [0x03, 0x14, a, b, c, d, _, _] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// A colour (RFC 9012 section 4.3), no flags set.
    pub fn color(color: u32) -> Self {
        let [a, b, c, d] = color.to_be_bytes();
        Self([0x03, 0x0b, 0, 0, a, b, c, d])
    }

    /// The colour, if it is one. Its flags are left out.
    pub fn as_color(self) -> Option<u32> {
        match self.0 {
            [0x03, 0x0b, _, _, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// A site of origin (RFC 4360 section 5, RFC 5668). A route target has the same value.
    pub fn site_of_origin(origin: RouteTarget) -> Self {
        Self::administered(0x03, origin)
    }

    /// The value of a site of origin, in the form of a route target.
    pub fn as_site_of_origin(self) -> Option<RouteTarget> {
        self.as_administered(0x03)
    }

    /// A route target's administrator and number under another sub-type.
    fn administered(sub_type: u8, value: RouteTarget) -> Self {
        let [kind, _, a, b, c, d, e, f] = value.octets();
        Self([kind, sub_type, a, b, c, d, e, f])
    }

    fn as_administered(self, sub_type: u8) -> Option<RouteTarget> {
        let [kind, found, a, b, c, d, e, f] = self.0;
        let target = RouteTarget::from_extended_community([kind, 0x02, a, b, c, d, e, f]);
        target.filter(|_| found == sub_type)
    }

    /// The ESI label (RFC 7432 section 7.5); the label field in 24 bits as they stand.
    pub fn esi_label(single_active: bool, label: u32) -> Self {
        let [_, a, b, c] = label.to_be_bytes();
        Self([0x06, 0x01, u8::from(single_active), 0, 0, a, b, c])
    }

    /// Whether the segment is single-active, and the label field, if it is an ESI label.
    pub fn as_esi_label(self) -> Option<(bool, u32)> {
        match self.0 {
            [0x06, 0x01, flags, _, _, a, b, c] => {
                Some((flags & 1 == 1, u32::from_be_bytes([0, a, b, c])))
            }
            _ => None,
        }
    }

    /// The route target of an Ethernet segment (RFC 7432 section 7.6).
    pub fn es_import(mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        Self([0x06, 0x02, a, b, c, d, e, f])
    }

    /// The value, if it is the route target of an Ethernet segment.
    pub fn as_es_import(self) -> Option<MacAddr> {
        match self.0 {
            [0x06, 0x02, mac @ ..] => Some(MacAddr(mac)),
            _ => None,
        }
    }

    /// The bandwidth of a link (draft-ietf-idr-link-bandwidth), not transitive, in octets a second.
    pub fn link_bandwidth(asn: u16, octets_per_second: f32) -> Self {
        let ([a, b], [c, d, e, f]) = (asn.to_be_bytes(), octets_per_second.to_be_bytes());
        Self([0x40, 0x04, a, b, c, d, e, f])
    }

    /// The AS and the bandwidth in octets a second, if it is one, transitive or not.
    pub fn as_link_bandwidth(self) -> Option<(u16, f32)> {
        match self.0 {
            [0x40 | 0x00, 0x04, a, b, c, d, e, f] => {
                Some((u16::from_be_bytes([a, b]), f32::from_be_bytes([c, d, e, f])))
            }
            _ => None,
        }
    }

    /// Area, route type and options of an OSPF route (RFC 4577 section 4.2.6).
    pub fn ospf_route_type(area: Ipv4Addr, route_type: u8, options: u8) -> Self {
        let [a, b, c, d] = area.octets();
        Self([0x03, 0x06, a, b, c, d, route_type, options])
    }

    /// Area, route type and options, if it tells of an OSPF route.
    pub fn as_ospf_route_type(self) -> Option<(Ipv4Addr, u8, u8)> {
        match self.0 {
            [0x03, 0x06, a, b, c, d, route_type, options] => {
                Some((Ipv4Addr::new(a, b, c, d), route_type, options))
            }
            _ => None,
        }
    }

    /// What a FlowSpec route asks for (RFC 8955 section 7), if it is one of its actions.
    pub fn as_flow_action(self) -> Option<FlowAction> {
        FlowAction::from_octets(self.0)
    }

    /// Whether it may be passed on to another AS (RFC 4360 section 2, RFC 7153 section 3).
    pub fn is_transitive(self) -> bool {
        self.0[0] & 0x40 == 0
    }
}

impl From<RouteTarget> for ExtendedCommunity {
    fn from(rt: RouteTarget) -> Self {
        Self::route_target(rt)
    }
}

impl From<FlowAction> for ExtendedCommunity {
    fn from(action: FlowAction) -> Self {
        Self(action.octets())
    }
}
