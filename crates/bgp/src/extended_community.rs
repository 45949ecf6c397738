//! Extended communities (RFC 4360) that VPNs use.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use chanter_types::{MacAddr, ParseError, RouteTarget};

use crate::text::{Hex, parse_hex, serde_as_text};

/// An extended community as its eight octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// Tunnel types of the encapsulation community (RFC 9012, IANA "BGP Tunnel Encapsulation").
pub mod encapsulation {
    /// GRE.
    pub const GRE: u16 = 2;
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
    /// Geneve.
    pub const GENEVE: u16 = 19;

    /// Number and name of those that have a name here.
    pub(super) const NAMES: [(u16, &str); 8] = [
        (GRE, "gre"),
        (VXLAN, "vxlan"),
        (NVGRE, "nvgre"),
        (MPLS, "mpls"),
        (MPLS_IN_GRE, "mpls-in-gre"),
        (VXLAN_GPE, "vxlan-gpe"),
        (MPLS_IN_UDP, "mpls-in-udp"),
        (GENEVE, "geneve"),
    ];
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
        let [kind, _, rest @ ..] = rt.octets();
        let [a, b, c, d, e, f] = rest;
        Self([kind, 0x13, a, b, c, d, e, f])
    }

    /// The recorded route target, if it is a record of one.
    pub fn as_rt_record(self) -> Option<RouteTarget> {
        match self.0 {
            [kind, 0x13, a, b, c, d, e, f] => {
                RouteTarget::from_extended_community([kind, 0x02, a, b, c, d, e, f])
            }
            _ => None,
        }
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

    /// Whether it may be passed on to another AS (RFC 4360 section 2).
    pub fn is_transitive(self) -> bool {
        self.0[0] & 0x40 == 0
    }
}

impl From<RouteTarget> for ExtendedCommunity {
    fn from(rt: RouteTarget) -> Self {
        Self::route_target(rt)
    }
}

impl fmt::Display for ExtendedCommunity {
    /// In the field's words where every octet is told by them, else `0x` and 16 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rt) = self.as_route_target() {
            return write!(f, "target:{rt}");
        }
        if let Some(rt) = self.as_rt_record() {
            return write!(f, "rt-record:{rt}");
        }
        if let Some(tunnel_type) = self.exactly(self.as_encapsulation(), Self::encapsulation) {
            let named = encapsulation::NAMES
                .iter()
                .find(|(number, _)| *number == tunnel_type);
            return match named {
                Some((_, name)) => write!(f, "encap:{name}"),
                None => write!(f, "encap:{tunnel_type}"),
            };
        }
        let mobility = self.exactly(self.as_mac_mobility(), |(sticky, sequence)| {
            Self::mac_mobility(sticky, sequence)
        });
        if let Some((sticky, sequence)) = mobility {
            return write!(
                f,
                "mac-mobility:{sequence}{}",
                if sticky { ":sticky" } else { "" }
            );
        }
        if *self == Self::DEFAULT_GATEWAY {
            return f.write_str("default-gateway");
        }
        if let Some(mac) = self.as_router_mac() {
            return write!(f, "router-mac:{mac}");
        }
        if let Some(order) = self.exactly(self.as_hash_order(), Self::hash_order) {
            return write!(f, "hash-order:{order}");
        }
        if let Some(color) = self.exactly(self.as_color(), Self::color) {
            return write!(f, "color:{color}");
        }
        match self.0 {
            [0x00, 0x03, a, b, number @ ..] => {
                let asn = u16::from_be_bytes([a, b]);
                write!(f, "origin:{asn}:{}", u32::from_be_bytes(number))
            }
            [0x01, 0x03, a, b, c, d, e, g] => {
                let addr = Ipv4Addr::new(a, b, c, d);
                write!(f, "origin:{addr}:{}", u16::from_be_bytes([e, g]))
            }
            octets => write!(f, "0x{}", Hex(&octets)),
        }
    }
}

impl ExtendedCommunity {
    /// The value if making the community anew from it gives the same octets: reserved ones are
    /// zero, and the text therefore tells all.
    fn exactly<T: Copy>(self, value: Option<T>, make: impl Fn(T) -> Self) -> Option<T> {
        value.filter(|value| make(*value) == self)
    }
}

impl FromStr for ExtendedCommunity {
    type Err = ParseError;

    /// Reads what `Display` prints.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new(
                text,
                "an extended community",
                "such as target:64512:1, encap:vxlan, mac-mobility:3:sticky, default-gateway, \
                 router-mac:MAC, or 0x with 16 hexadecimal digits",
            )
        })
    }
}

fn parse(text: &str) -> Option<ExtendedCommunity> {
    if text == "default-gateway" {
        return Some(ExtendedCommunity::DEFAULT_GATEWAY);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return Some(ExtendedCommunity(parse_hex(digits)?.try_into().ok()?));
    }
    let (kind, value) = text.split_once(':')?;
    match kind {
        "target" => Some(ExtendedCommunity::route_target(value.parse().ok()?)),
        "rt-record" => Some(ExtendedCommunity::rt_record(value.parse().ok()?)),
        "encap" => {
            let named = encapsulation::NAMES.iter().find(|(_, name)| *name == value);
            let tunnel_type = match named {
                Some((number, _)) => *number,
                None => value.parse().ok()?,
            };
            Some(ExtendedCommunity::encapsulation(tunnel_type))
        }
        "mac-mobility" => {
            let (sequence, sticky) = match value.strip_suffix(":sticky") {
                Some(sequence) => (sequence, true),
                None => (value, false),
            };
            Some(ExtendedCommunity::mac_mobility(
                sticky,
                sequence.parse().ok()?,
            ))
        }
        "router-mac" => Some(ExtendedCommunity::router_mac(value.parse().ok()?)),
        "hash-order" => Some(ExtendedCommunity::hash_order(value.parse().ok()?)),
        "color" => Some(ExtendedCommunity::color(value.parse().ok()?)),
        "origin" => parse_origin(value),
        _ => None,
    }
}

/// A route origin (RFC 4360 section 5) of a two-octet AS or an IPv4 address.
fn parse_origin(text: &str) -> Option<ExtendedCommunity> {
    let (admin, number) = text.split_once(':')?;
    if let Ok(addr) = admin.parse::<Ipv4Addr>() {
        let [a, b, c, d] = addr.octets();
        let [e, f] = number.parse::<u16>().ok()?.to_be_bytes();
        return Some(ExtendedCommunity([0x01, 0x03, a, b, c, d, e, f]));
    }
    let [a, b] = admin.parse::<u16>().ok()?.to_be_bytes();
    let [c, d, e, f] = number.parse::<u32>().ok()?.to_be_bytes();
    Some(ExtendedCommunity([0x00, 0x03, a, b, c, d, e, f]))
}

serde_as_text!(ExtendedCommunity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_text_agree() {
        for (octets, text) in [
            ([0, 2, 0xfc, 0, 0, 0, 0, 12], "target:64512:12"),
            ([1, 2, 10, 0, 0, 1, 0, 5], "target:10.0.0.1:5"),
            ([2, 2, 0, 1, 0, 0, 0, 5], "target:65536:5"),
            ([3, 0x0c, 0, 0, 0, 0, 0, 8], "encap:vxlan"),
            ([3, 0x0c, 0, 0, 0, 0, 0, 99], "encap:99"),
            ([3, 0x0c, 1, 0, 0, 0, 0, 8], "0x030c010000000008"),
            ([6, 0, 0, 0, 0, 0, 0, 3], "mac-mobility:3"),
            ([6, 0, 1, 0, 0, 0, 0, 0], "mac-mobility:0:sticky"),
            ([3, 0x0d, 0, 0, 0, 0, 0, 0], "default-gateway"),
            ([6, 3, 2, 0, 0, 0, 0, 1], "router-mac:02:00:00:00:00:01"),
            ([0, 0x13, 0xfc, 0, 0, 0, 0, 12], "rt-record:64512:12"),
            ([3, 0x14, 0, 0, 0, 7, 0, 0], "hash-order:7"),
            ([3, 0x0b, 0, 0, 0, 0, 0, 100], "color:100"),
            ([0, 3, 0xfc, 0, 0, 0, 0, 1], "origin:64512:1"),
            ([1, 3, 10, 0, 0, 1, 0, 1], "origin:10.0.0.1:1"),
            ([0x80, 8, 0xfc, 0, 0, 0, 0, 0xa0], "0x8008fc00000000a0"),
        ] {
            let community = ExtendedCommunity(octets);
            assert_eq!(community.to_string(), text);
            assert_eq!(text.parse(), Ok(community));
        }
    }

    #[test]
    fn reserved_octets_do_not_hide_a_value() {
        assert_eq!(
            ExtendedCommunity([3, 0x0c, 1, 2, 3, 4, 0, 8]).as_encapsulation(),
            Some(8)
        );
        assert_eq!(
            ExtendedCommunity([6, 0, 3, 9, 0, 0, 0, 1]).as_mac_mobility(),
            Some((true, 1))
        );
    }
}
