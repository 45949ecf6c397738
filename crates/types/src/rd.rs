//! Route distinguishers (RFC 4364 section 4.2).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::ParseError;
use crate::parse::serde_as_text;

/// An eight-octet route distinguisher, as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteDistinguisher(pub [u8; 8]);

impl RouteDistinguisher {
    /// Type 0: a two-octet AS number and a 32-bit number.
    pub fn from_as2(asn: u16, number: u32) -> Self {
        let [a, b] = asn.to_be_bytes();
        let [c, d, e, f] = number.to_be_bytes();
        Self([0, 0, a, b, c, d, e, f])
    }

    /// Type 1: an IPv4 address and a 16-bit number; the usual form of a per-node distinguisher.
    pub fn from_ipv4(addr: Ipv4Addr, number: u16) -> Self {
        let [a, b, c, d] = addr.octets();
        let [e, f] = number.to_be_bytes();
        Self([0, 1, a, b, c, d, e, f])
    }

    /// Type 2: a four-octet AS number and a 16-bit number.
    pub fn from_as4(asn: u32, number: u16) -> Self {
        let [a, b, c, d] = asn.to_be_bytes();
        let [e, f] = number.to_be_bytes();
        Self([0, 2, a, b, c, d, e, f])
    }
}

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [0, 0, a, b, number @ ..] => {
                write!(
                    out,
                    "{}:{}",
                    u16::from_be_bytes([a, b]),
                    u32::from_be_bytes(number)
                )
            }
            [0, 1, a, b, c, d, e, f] => {
                write!(
                    out,
                    "{}:{}",
                    Ipv4Addr::new(a, b, c, d),
                    u16::from_be_bytes([e, f])
                )
            }
            // `L` tells a small four-octet AS number from type 0 (as routers print it).
            [0, 2, a, b, c, d, e, f] => {
                let asn = u32::from_be_bytes([a, b, c, d]);
                let mark = if asn <= 0xffff { "L" } else { "" };
                write!(out, "{asn}{mark}:{}", u16::from_be_bytes([e, f]))
            }
            octets => {
                out.write_str("0x")?;
                octets
                    .iter()
                    .try_for_each(|octet| write!(out, "{octet:02x}"))
            }
        }
    }
}

impl FromStr for RouteDistinguisher {
    type Err = ParseError;

    /// Accepts `64512:1`, `10.0.0.1:1`, `4200000000:1`, `64512L:1` (four-octet form of a small AS
    /// number) and `0x` with 16 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || {
            ParseError::new(
                text,
                "a route distinguisher",
                "AS:NUMBER or IPV4:NUMBER such as 64512:100 or 192.0.2.1:100",
            )
        };
        if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.len() == 16) {
            return u64::from_str_radix(digits, 16)
                .map(|number| Self(number.to_be_bytes()))
                .map_err(|_| error());
        }
        let (admin, number) = text.split_once(':').ok_or_else(error)?;
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

serde_as_text!(RouteDistinguisher);
