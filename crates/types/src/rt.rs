//! Route targets (RFC 4360 section 4, RFC 5668).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::ParseError;
use crate::parse::serde_as_text;

/// A route target: an extended community of sub-type 2, kept as its eight octets on the wire.
///
/// Equality is that of the octets, so `64512:1` of the two-octet and of the four-octet type differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget([u8; 8]);

impl RouteTarget {
    /// The sub-type of all route targets.
    const SUB_TYPE: u8 = 2;

    /// Two-octet AS specific.
    pub fn from_as2(asn: u16, number: u32) -> Self {
        let [a, b] = asn.to_be_bytes();
        let [c, d, e, f] = number.to_be_bytes();
        Self([0, Self::SUB_TYPE, a, b, c, d, e, f])
    }

    /// IPv4 address specific.
    pub fn from_ipv4(addr: Ipv4Addr, number: u16) -> Self {
        let [a, b, c, d] = addr.octets();
        let [e, f] = number.to_be_bytes();
        Self([1, Self::SUB_TYPE, a, b, c, d, e, f])
    }

    /// Four-octet AS specific (RFC 5668).
    pub fn from_as4(asn: u32, number: u16) -> Self {
        let [a, b, c, d] = asn.to_be_bytes();
        let [e, f] = number.to_be_bytes();
        Self([2, Self::SUB_TYPE, a, b, c, d, e, f])
    }

    /// The route target in an extended community, if it is one (types 0, 1, 2 with sub-type 2).
    pub fn from_extended_community(octets: [u8; 8]) -> Option<Self> {
        (octets[0] <= 2 && octets[1] == Self::SUB_TYPE).then_some(Self(octets))
    }

    /// The extended community.
    pub fn octets(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, _, a, b, c, d, e, f] = self.0;
        match kind {
            0 => {
                let number = u32::from_be_bytes([c, d, e, f]);
                write!(out, "{}:{number}", u16::from_be_bytes([a, b]))
            }
            1 => write!(
                out,
                "{}:{}",
                Ipv4Addr::new(a, b, c, d),
                u16::from_be_bytes([e, f])
            ),
            _ => {
                let asn = u32::from_be_bytes([a, b, c, d]);
                let mark = if asn <= 0xffff { "L" } else { "" };
                write!(out, "{asn}{mark}:{}", u16::from_be_bytes([e, f]))
            }
        }
    }
}

impl FromStr for RouteTarget {
    type Err = ParseError;

    /// Accepts `64512:1`, `192.0.2.1:1`, `4200000000:1`, `64512L:1` (four-octet form of a small AS
    /// number), each also with `target:` in front as looking glasses print it.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || {
            ParseError::new(
                text,
                "a route target",
                "AS:NUMBER or IPV4:NUMBER such as 64512:100 or 192.0.2.1:100",
            )
        };
        let body = text.strip_prefix("target:").unwrap_or(text);
        let (admin, number) = body.split_once(':').ok_or_else(error)?;
        let number: u32 = number.parse().map_err(|_| error())?;
        let short = || u16::try_from(number).map_err(|_| error());
        if let Ok(addr) = admin.parse::<Ipv4Addr>() {
            return Ok(Self::from_ipv4(addr, short()?));
        }
        if let Some(asn) = admin.strip_suffix('L') {
            return Ok(Self::from_as4(asn.parse().map_err(|_| error())?, short()?));
        }
        let asn: u32 = admin.parse().map_err(|_| error())?;
        match u16::try_from(asn) {
            Ok(asn) => Ok(Self::from_as2(asn, number)),
            Err(_) => Ok(Self::from_as4(asn, short()?)),
        }
    }
}

serde_as_text!(RouteTarget);
