//! Extended communities that hold an IPv6 address (RFC 5701).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use chanter_types::ParseError;

use crate::text::{Hex, parse_hex, serde_as_text};

/// An IPv6-address-specific extended community as its twenty octets: type, sub-type, address, and
/// two octets of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv6ExtendedCommunity(pub [u8; 20]);

/// Sub-types of the transitive kind (IANA "Transitive IPv6-Address-Specific Extended Community
/// Types").
const ROUTE_TARGET: u8 = 0x02;
const ORIGIN: u8 = 0x03;
const VRF_ROUTE_IMPORT: u8 = 0x0b;
const REDIRECT_TO_IP: u8 = 0x0c;
const REDIRECT: u8 = 0x0d;

const NAMES: [(u8, &str); 5] = [
    (ROUTE_TARGET, "target"),
    (ORIGIN, "origin"),
    (VRF_ROUTE_IMPORT, "vrf-route-import"),
    (REDIRECT_TO_IP, "redirect-to-ip"),
    (REDIRECT, "redirect"),
];

impl Ipv6ExtendedCommunity {
    fn new(sub_type: u8, addr: Ipv6Addr, number: u16) -> Self {
        let mut octets = [0; 20];
        octets[1] = sub_type;
        octets[2..18].copy_from_slice(&addr.octets());
        octets[18..].copy_from_slice(&number.to_be_bytes());
        Self(octets)
    }

    /// A route target (RFC 5701 section 2).
    pub fn route_target(addr: Ipv6Addr, number: u16) -> Self {
        Self::new(ROUTE_TARGET, addr, number)
    }

    /// The address and the number of a route target.
    pub fn as_route_target(self) -> Option<(Ipv6Addr, u16)> {
        self.value_of(ROUTE_TARGET)
    }

    /// A site of origin (RFC 5701 section 2).
    pub fn site_of_origin(addr: Ipv6Addr, number: u16) -> Self {
        Self::new(ORIGIN, addr, number)
    }

    /// The address and the number of a site of origin.
    pub fn as_site_of_origin(self) -> Option<(Ipv6Addr, u16)> {
        self.value_of(ORIGIN)
    }

    /// FlowSpec's rt-redirect-ipv6 (RFC 8956 section 6.1): into the VRF that imports this route
    /// target.
    pub fn redirect(addr: Ipv6Addr, number: u16) -> Self {
        Self::new(REDIRECT, addr, number)
    }

    /// The route target of FlowSpec's rt-redirect-ipv6.
    pub fn as_redirect(self) -> Option<(Ipv6Addr, u16)> {
        self.value_of(REDIRECT)
    }

    /// FlowSpec's redirect to an address (draft-ietf-idr-flowspec-redirect-ip); with `copy` a copy
    /// goes there.
    pub fn redirect_to_ip(addr: Ipv6Addr, copy: bool) -> Self {
        Self::new(REDIRECT_TO_IP, addr, u16::from(copy))
    }

    /// The address of FlowSpec's redirect, and whether a copy goes there.
    pub fn as_redirect_to_ip(self) -> Option<(Ipv6Addr, bool)> {
        let (addr, flags) = self.value_of(REDIRECT_TO_IP)?;
        Some((addr, flags & 1 != 0))
    }

    /// Whether it may be passed on to another AS (RFC 4360 section 2).
    pub fn is_transitive(self) -> bool {
        self.0[0] & 0x40 == 0
    }

    fn value_of(self, sub_type: u8) -> Option<(Ipv6Addr, u16)> {
        let ([kind, found], rest) = self.0.split_first_chunk()?;
        let (addr, number) = rest.split_first_chunk::<16>()?;
        let number = u16::from_be_bytes(number.try_into().ok()?);
        ([*kind, *found] == [0, sub_type]).then(|| (Ipv6Addr::from(*addr), number))
    }
}

impl fmt::Display for Ipv6ExtendedCommunity {
    /// `target:[2001:db8::1]:5`, or `0x` and 40 digits of one that is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find_map(|(sub_type, name)| {
            let (addr, number) = self.value_of(*sub_type)?;
            Some((name, addr, number))
        });
        match named {
            Some((name, addr, number)) => write!(f, "{name}:[{addr}]:{number}"),
            None => write!(f, "0x{}", Hex(&self.0)),
        }
    }
}

impl FromStr for Ipv6ExtendedCommunity {
    type Err = ParseError;

    /// Reads what `Display` prints.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new(
                text,
                "an IPv6 extended community",
                "target:[IPV6]:NUMBER, also with origin, redirect, redirect-to-ip or \
                 vrf-route-import, or 0x with 40 hexadecimal digits",
            )
        })
    }
}

fn parse(text: &str) -> Option<Ipv6ExtendedCommunity> {
    if let Some(digits) = text.strip_prefix("0x") {
        return Some(Ipv6ExtendedCommunity(parse_hex(digits)?.try_into().ok()?));
    }
    let (name, value) = text.split_once(":[")?;
    let (sub_type, _) = NAMES.iter().find(|(_, known)| *known == name)?;
    let (addr, number) = value.split_once("]:")?;
    let (addr, number) = (addr.parse().ok()?, number.parse().ok()?);
    Some(Ipv6ExtendedCommunity::new(*sub_type, addr, number))
}

serde_as_text!(Ipv6ExtendedCommunity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_text_agree() {
        let addr = "2001:db8::1".parse().unwrap();
        for (community, octets, text) in [
            (
                Ipv6ExtendedCommunity::route_target(addr, 5),
                "000220010db80000000000000000000000010005",
                "target:[2001:db8::1]:5",
            ),
            (
                Ipv6ExtendedCommunity::site_of_origin(addr, 7),
                "000320010db80000000000000000000000010007",
                "origin:[2001:db8::1]:7",
            ),
            (
                Ipv6ExtendedCommunity::redirect(addr, 100),
                "000d20010db80000000000000000000000010064",
                "redirect:[2001:db8::1]:100",
            ),
            (
                Ipv6ExtendedCommunity::redirect_to_ip(addr, true),
                "000c20010db80000000000000000000000010001",
                "redirect-to-ip:[2001:db8::1]:1",
            ),
        ] {
            assert_eq!(format!("0x{octets}").parse(), Ok(community));
            assert_eq!(community.to_string(), text);
            assert_eq!(text.parse(), Ok(community));
            assert!(community.is_transitive());
        }
        let unknown = "0x400220010db80000000000000000000000010005";
        let community: Ipv6ExtendedCommunity = unknown.parse().unwrap();
        assert_eq!(community.to_string(), unknown);
        assert!(!community.is_transitive());
        assert_eq!(community.as_route_target(), None);
        for bad in [
            "",
            "target:2001:db8::1:5",
            "target:[2001:db8::1]",
            "0x00",
            "nonsense:[::]:1",
        ] {
            let error = bad.parse::<Ipv6ExtendedCommunity>().unwrap_err();
            assert!(
                error.to_string().contains("target:[IPV6]:NUMBER"),
                "{error}"
            );
        }
    }
}
