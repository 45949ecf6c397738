//! Route target membership (RFC 4684): what a speaker asks to be sent.

use std::fmt;
use std::str::FromStr;

use chanter_types::{Asn, ParseError, RouteTarget};

use crate::text::{Hex, parse_hex};

/// A prefix of origin AS (32 bits) and route target (64 bits). The length is 0, which stands for all
/// route targets, or 32 to 96; bits behind it are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RtMembership {
    octets: [u8; 12],
    len: u8,
}

impl RtMembership {
    /// The default membership: every route target.
    pub const DEFAULT: RtMembership = RtMembership {
        octets: [0; 12],
        len: 0,
    };

    /// The bits of origin AS and route target.
    pub const LEN_MAX: u8 = 96;

    /// The membership of one route target.
    pub fn new(origin: Asn, rt: RouteTarget) -> Self {
        let mut octets = [0; 12];
        let (head, tail) = octets.split_at_mut(4);
        head.copy_from_slice(&origin.0.to_be_bytes());
        tail.copy_from_slice(&rt.octets());
        Self {
            octets,
            len: Self::LEN_MAX,
        }
    }

    /// The prefix of `len` bits of `octets`; `None` unless the length is 0 or 32 to 96 (RFC 4684
    /// section 4: the origin AS is there in full or not at all).
    pub fn from_prefix(len: u8, mut octets: [u8; 12]) -> Option<Self> {
        if len != 0 && !(32..=Self::LEN_MAX).contains(&len) {
            return None;
        }
        for (octet, first) in octets.iter_mut().zip((0u8..).step_by(8)) {
            let kept = len.saturating_sub(first).min(8);
            *octet &= 0xff_u8.checked_shl(u32::from(8 - kept)).unwrap_or(0);
        }
        Some(Self { octets, len })
    }

    /// The length in bits.
    #[allow(clippy::len_without_is_empty)] // a length in bits, not a count of elements
    pub fn len(self) -> u8 {
        self.len
    }

    /// The twelve octets of origin AS and route target, zero behind the length.
    pub fn octets(self) -> [u8; 12] {
        self.octets
    }

    /// The AS in which the membership originates; none for the default.
    pub fn origin(self) -> Option<Asn> {
        let [a, b, c, d, ..] = self.octets;
        (self.len > 0).then_some(Asn(u32::from_be_bytes([a, b, c, d])))
    }

    /// The one route target, where it is one in full.
    pub fn rt(self) -> Option<RouteTarget> {
        if self.len == Self::LEN_MAX {
            RouteTarget::from_extended_community(self.rt_octets())
        } else {
            None
        }
    }

    /// Whether it stands for every route target.
    pub fn is_default(self) -> bool {
        self.len == 0
    }

    /// Whether routes with the route target `rt` are asked for.
    pub fn covers(self, rt: RouteTarget) -> bool {
        let bits = u32::from(self.len.saturating_sub(32));
        let differing = u64::from_be_bytes(self.rt_octets()) ^ u64::from_be_bytes(rt.octets());
        differing.checked_shr(64 - bits).unwrap_or(0) == 0
    }

    fn rt_octets(self) -> [u8; 8] {
        let [_, _, _, _, rt @ ..] = self.octets;
        rt
    }
}

impl fmt::Display for RtMembership {
    /// `default`; `64512:target:64512:1/96`; where it is not one route target in full, the eight
    /// octets of the route target in hexadecimal: `64512:0x0002fc0000000000/48`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(origin) = self.origin() else {
            return f.write_str("default");
        };
        match self.rt() {
            Some(rt) => write!(f, "{origin}:target:{rt}/{}", self.len),
            None => write!(f, "{origin}:0x{}/{}", Hex(&self.rt_octets()), self.len),
        }
    }
}

impl FromStr for RtMembership {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new(
                text,
                "a route target membership",
                "`default`, AS:target:RT/96, or AS:0xHEX/LENGTH",
            )
        })
    }
}

fn parse(text: &str) -> Option<RtMembership> {
    if text == "default" {
        return Some(RtMembership::DEFAULT);
    }
    let (origin, rest) = text.split_once(':')?;
    let origin: u32 = origin.parse().ok()?;
    let (rt, len) = rest.rsplit_once('/')?;
    let len: u8 = len.parse().ok()?;
    let rt: [u8; 8] = match rt.strip_prefix("0x") {
        Some(digits) => parse_hex(digits)?.try_into().ok()?,
        None => rt
            .strip_prefix("target:")?
            .parse::<RouteTarget>()
            .ok()?
            .octets(),
    };
    let mut octets = [0; 12];
    let (head, tail) = octets.split_at_mut(4);
    head.copy_from_slice(&origin.to_be_bytes());
    tail.copy_from_slice(&rt);
    RtMembership::from_prefix(len, octets)
        .filter(|membership| membership.octets == octets && membership.len >= 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rt(text: &str) -> RouteTarget {
        text.parse().expect("a route target")
    }

    #[test]
    fn bits_behind_the_length_do_not_count() {
        let mut octets = [0xff; 12];
        let short = RtMembership::from_prefix(44, octets).expect("44 is within 32..=96");
        assert_eq!(
            short.octets(),
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0, 0]
        );
        octets[11] = 0;
        assert_eq!(RtMembership::from_prefix(44, octets), Some(short));
        assert_eq!(
            RtMembership::from_prefix(0, octets),
            Some(RtMembership::DEFAULT)
        );
        for len in [1, 31, 97, 255] {
            assert_eq!(RtMembership::from_prefix(len, octets), None, "{len}");
        }
    }

    #[test]
    fn a_prefix_covers_the_route_targets_that_begin_with_it() {
        let one = RtMembership::new(Asn(64512), rt("64512:1"));
        assert!(one.covers(rt("64512:1")));
        assert!(!one.covers(rt("64512:2")));
        let whole_as: RtMembership = "64512:0x0002fc0000000000/64".parse().expect("a prefix");
        assert!(whole_as.covers(rt("64512:1")));
        assert!(whole_as.covers(rt("64512:4294967295")));
        assert!(!whole_as.covers(rt("64513:1")));
        let origin_only: RtMembership = "64512:0x0000000000000000/32".parse().expect("a prefix");
        assert!(origin_only.covers(rt("10.0.0.1:1")));
        assert!(!origin_only.is_default());
        assert!(RtMembership::DEFAULT.covers(rt("10.0.0.1:1")));
    }

    #[test]
    fn texts_are_read_and_printed() {
        let one = RtMembership::new(Asn(64512), rt("64512:1"));
        assert_eq!(one.to_string(), "64512:target:64512:1/96");
        assert_eq!(RtMembership::DEFAULT.to_string(), "default");
        for bad in [
            "",
            "64512",
            "64512:target:64512:1",
            "64512:0xff/33",
            "1:0x00000000000000ff/33",
            "0:0x0000000000000000/0",
        ] {
            assert!(bad.parse::<RtMembership>().is_err(), "{bad}");
        }
    }
}
