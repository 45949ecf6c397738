//! Ethernet segment identifiers and Ethernet tags (RFC 7432 sections 5 and 7).

use std::fmt;
use std::str::FromStr;

use crate::ParseError;
use crate::parse::serde_as_text;

/// A ten-octet Ethernet segment identifier; all zero for a single-homed site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Esi(pub [u8; 10]);

impl Esi {
    /// The identifier of a single-homed site.
    pub const ZERO: Esi = Esi([0; 10]);

    /// Whether the site is single-homed.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Esi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Esi {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || {
            ParseError::new(
                text,
                "an Ethernet segment identifier",
                "ten octets in hexadecimal, joined by colons",
            )
        };
        let mut octets = [0; 10];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts
                .next()
                .filter(|part| part.len() <= 2)
                .ok_or_else(error)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() {
            Err(error())
        } else {
            Ok(Esi(octets))
        }
    }
}

serde_as_text!(Esi);

/// An Ethernet tag: the broadcast domain within an EVPN instance; 0 where the service is VLAN-based
/// (RFC 7432 section 6.1) or the domain is told by the VNI (RFC 8365 section 5.1.2).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct EthernetTag(pub u32);

impl fmt::Display for EthernetTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
