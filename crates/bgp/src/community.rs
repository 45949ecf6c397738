//! Communities (RFC 1997) and large communities (RFC 8092).

use std::fmt;
use std::str::FromStr;

use chanter_types::ParseError;

use crate::text::serde_as_text;

/// A community: an AS number and a number of its choice, or a well-known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

/// The names in IANA's "BGP Well-known Communities".
const NAMES: [(Community, &str); 15] = [
    (Community::GRACEFUL_SHUTDOWN, "graceful-shutdown"),
    (Community::ACCEPT_OWN, "accept-own"),
    (Community(0xffff_0002), "route-filter-translated-v4"),
    (Community(0xffff_0003), "route-filter-v4"),
    (Community(0xffff_0004), "route-filter-translated-v6"),
    (Community(0xffff_0005), "route-filter-v6"),
    (Community::LLGR_STALE, "llgr-stale"),
    (Community::NO_LLGR, "no-llgr"),
    (Community(0xffff_0008), "accept-own-nexthop"),
    (Community(0xffff_0009), "standby-pe"),
    (Community::BLACKHOLE, "blackhole"),
    (Community::NO_EXPORT, "no-export"),
    (Community::NO_ADVERTISE, "no-advertise"),
    (Community::NO_EXPORT_SUBCONFED, "no-export-subconfed"),
    (Community::NO_PEER, "no-peer"),
];

impl Community {
    /// GRACEFUL_SHUTDOWN (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// ACCEPT_OWN (RFC 7611).
    pub const ACCEPT_OWN: Self = Self(0xffff_0001);
    /// LLGR_STALE (RFC 9494).
    pub const LLGR_STALE: Self = Self(0xffff_0006);
    /// NO_LLGR (RFC 9494).
    pub const NO_LLGR: Self = Self(0xffff_0007);
    /// BLACKHOLE (RFC 7999).
    pub const BLACKHOLE: Self = Self(0xffff_029a);
    /// NO_EXPORT (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// NO_ADVERTISE (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// NO_EXPORT_SUBCONFED (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);
    /// NOPEER (RFC 3765).
    pub const NO_PEER: Self = Self(0xffff_ff04);

    /// The community `asn:number`.
    pub const fn new(asn: u16, number: u16) -> Self {
        Self((asn as u32) << 16 | number as u32)
    }

    /// The AS number, the first half.
    pub fn asn(self) -> u16 {
        let [a, b, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([a, b])
    }

    /// The second half.
    pub fn number(self) -> u16 {
        let [.., a, b] = self.0.to_be_bytes();
        u16::from_be_bytes([a, b])
    }
}

impl From<u32> for Community {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

impl fmt::Display for Community {
    /// The name of a well-known one, else `64512:1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(community, _)| community == self) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "{}:{}", self.asn(), self.number()),
        }
    }
}

impl FromStr for Community {
    type Err = ParseError;

    /// Accepts `64512:1`, the well-known names, and FRR's `local-AS` for no-export-subconfed.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let named = NAMES.iter().find(|(_, name)| *name == text);
        if let Some((community, _)) = named {
            return Ok(*community);
        }
        if text == "local-AS" {
            return Ok(Self::NO_EXPORT_SUBCONFED);
        }
        let parse = || {
            let (asn, number) = text.split_once(':')?;
            Some(Self::new(decimal(asn)?, decimal(number)?))
        };
        parse().ok_or_else(|| {
            ParseError::new(
                text,
                "a community",
                "AS:NUMBER with two numbers up to 65535, or a well-known name such as no-export, \
                 no-advertise, blackhole, graceful-shutdown, llgr-stale, no-llgr",
            )
        })
    }
}

serde_as_text!(Community);

/// A large community (RFC 8092).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// The AS that gives the rest its meaning.
    pub admin: u32,
    /// The first number.
    pub data1: u32,
    /// The second number.
    pub data2: u32,
}

impl LargeCommunity {
    /// The community `admin:data1:data2`.
    pub const fn new(admin: u32, data1: u32, data2: u32) -> Self {
        Self {
            admin,
            data1,
            data2,
        }
    }

    /// The octets on the wire.
    pub(crate) fn octets(&self) -> [u8; 12] {
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) = (
            self.admin.to_be_bytes(),
            self.data1.to_be_bytes(),
            self.data2.to_be_bytes(),
        );
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    pub(crate) fn from_octets(octets: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = octets;
        Self {
            admin: u32::from_be_bytes([a, b, c, d]),
            data1: u32::from_be_bytes([e, f, g, h]),
            data2: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.admin, self.data1, self.data2)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseError;

    /// Accepts `64512:1:2` (RFC 8092 section 4).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let mut parts = text.split(':').map(decimal);
            let community = Self::new(parts.next()??, parts.next()??, parts.next()??);
            parts.next().is_none().then_some(community)
        };
        parse().ok_or_else(|| {
            ParseError::new(
                text,
                "a large community",
                "AS:NUMBER:NUMBER with three numbers up to 4294967295",
            )
        })
    }
}

serde_as_text!(LargeCommunity);

/// A number in digits only: the parsers of the standard library take a sign.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_communities_have_names() {
        for (community, name) in NAMES {
            assert_eq!(community.to_string(), name);
            assert_eq!(name.parse(), Ok(community));
        }
        // RFC 1997, 3765, 7611, 7999, 8326, 9494.
        for (value, name) in [
            (0xffff_ff01, "no-export"),
            (0xffff_ff02, "no-advertise"),
            (0xffff_ff03, "no-export-subconfed"),
            (0xffff_ff04, "no-peer"),
            (0xffff_0001, "accept-own"),
            (0xffff_029a, "blackhole"),
            (0xffff_0000, "graceful-shutdown"),
            (0xffff_0006, "llgr-stale"),
            (0xffff_0007, "no-llgr"),
        ] {
            assert_eq!(name.parse(), Ok(Community(value)));
        }
        assert_eq!("local-AS".parse(), Ok(Community::NO_EXPORT_SUBCONFED));
        assert_eq!("65535:666".parse(), Ok(Community::BLACKHOLE));
    }

    #[test]
    fn numbers_are_read_and_printed() {
        let community = Community::new(64512, 100);
        assert_eq!(community, Community(0xfc00_0064));
        assert_eq!(community.to_string(), "64512:100");
        assert_eq!("64512:100".parse(), Ok(community));
        for bad in [
            "",
            "64512",
            "64512:",
            ":1",
            "65536:1",
            "1:65536",
            "1:2:3",
            "+1:2",
            "NO-EXPORT",
        ] {
            let error = bad.parse::<Community>().unwrap_err();
            assert!(error.to_string().contains("AS:NUMBER"), "{error}");
        }
        let large = LargeCommunity::new(4_200_000_000, 0, 4_294_967_295);
        assert_eq!(large.to_string(), "4200000000:0:4294967295");
        assert_eq!(large.to_string().parse(), Ok(large));
        assert_eq!(LargeCommunity::from_octets(large.octets()), large);
        for bad in [
            "",
            "1:2",
            "1:2:3:4",
            "1::3",
            "4294967296:0:0",
            "1:-2:3",
            "1:+2:3",
        ] {
            let error = bad.parse::<LargeCommunity>().unwrap_err();
            assert!(error.to_string().contains("AS:NUMBER:NUMBER"), "{error}");
        }
    }
}
