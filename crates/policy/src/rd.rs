//! Conditions on route distinguishers, and octets of which some do not matter.

use std::fmt;
use std::str::FromStr;

use chanter_types::{ParseError, RouteDistinguisher};
use smallvec::SmallVec;

/// Eight octets of which only those bits count that the mask has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) value: u64,
    pub(crate) mask: u64,
}

impl Masked {
    pub(crate) fn exact(octets: [u8; 8]) -> Self {
        Self {
            value: u64::from_be_bytes(octets),
            mask: u64::MAX,
        }
    }

    pub(crate) fn matches(self, octets: [u8; 8]) -> bool {
        u64::from_be_bytes(octets) & self.mask == self.value
    }
}

/// `ADMIN:NUMBER` in the three forms of route targets and distinguishers, of which either half may
/// be `*`. `head` makes the first two octets of each form (0: AS, 1: IPv4 address, 2: four-octet
/// AS) from its number.
pub(crate) fn admin_number(
    text: &str,
    head: impl Fn(u8) -> [u8; 2],
) -> Option<SmallVec<[Masked; 3]>> {
    const HEAD: u64 = 0xffff_0000_0000_0000;
    let (admin, number) = text.split_once(':')?;
    let number: Option<u32> = match number {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    let form = |kind: u8, admin: Option<u32>| {
        let [a, b] = head(kind);
        let head = u64::from(u16::from_be_bytes([a, b])) << 48;
        let number_bits = if kind == 0 { 32 } else { 16 };
        let number_mask = (1u64 << number_bits) - 1;
        let number = number.map(u64::from);
        if number.is_some_and(|number| number > number_mask) {
            return None;
        }
        Some(Masked {
            value: head
                | admin.map_or(0, |admin| u64::from(admin) << number_bits)
                | number.unwrap_or(0),
            mask: HEAD
                | admin.map_or(0, |_| !HEAD & !number_mask)
                | number.map_or(0, |_| number_mask),
        })
    };
    if admin == "*" {
        return Some((0..=2).filter_map(|kind| form(kind, None)).collect());
    }
    let (kind, admin) = if let Ok(addr) = admin.parse::<std::net::Ipv4Addr>() {
        (1, addr.to_bits())
    } else if let Some(asn) = admin.strip_suffix('L') {
        (2, asn.parse().ok()?)
    } else {
        let asn: u32 = admin.parse().ok()?;
        (if asn > u32::from(u16::MAX) { 2 } else { 0 }, asn)
    };
    Some(SmallVec::from_iter([form(kind, Some(admin))?]))
}

/// A route distinguisher of which either half may be any: `64512:*`, `10.0.0.1:*`, `*:100`.
#[derive(Debug, Clone)]
pub struct RdPattern {
    text: String,
    forms: SmallVec<[Masked; 3]>,
}

impl PartialEq for RdPattern {
    fn eq(&self, other: &Self) -> bool {
        self.forms == other.forms
    }
}

impl Eq for RdPattern {}

impl RdPattern {
    /// Whether `rd` is one of those.
    pub fn matches(&self, rd: RouteDistinguisher) -> bool {
        self.forms.iter().any(|form| form.matches(rd.0))
    }
}

impl fmt::Display for RdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for RdPattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let forms = match text.parse::<RouteDistinguisher>() {
            Ok(rd) => Some(SmallVec::from_iter([Masked::exact(rd.0)])),
            Err(_) => admin_number(text, |kind| [0, kind]),
        };
        let forms = forms.ok_or_else(|| {
            ParseError::new(
                text,
                "a route distinguisher or a pattern of some",
                "64512:100, 192.0.2.1:100, 64512:*, 192.0.2.1:* or *:100",
            )
        })?;
        Ok(Self {
            text: text.to_owned(),
            forms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_may_be_any() {
        for (pattern, yes, no) in [
            (
                "64512:*",
                vec!["64512:1", "64512:4294967295"],
                vec!["64513:1", "64512L:1", "0.0.252.0:1"],
            ),
            ("64512L:*", vec!["64512L:1"], vec!["64512:1"]),
            (
                "4200000000:*",
                vec!["4200000000:65535"],
                vec!["4200000001:1"],
            ),
            ("10.0.0.1:*", vec!["10.0.0.1:7"], vec!["10.0.0.2:7"]),
            (
                "*:7",
                vec!["10.0.0.1:7", "64512:7", "64512L:7"],
                vec!["10.0.0.1:8", "64512:65543"],
            ),
            ("*:70000", vec!["64512:70000"], vec!["10.0.0.1:4464"]),
            (
                "*:*",
                vec!["10.0.0.1:7", "64512:70000"],
                vec!["0x0003000000000000"],
            ),
            ("64512:7", vec!["64512:7"], vec!["64512:8", "64512L:7"]),
        ] {
            let parsed: RdPattern = pattern.parse().unwrap();
            for (texts, expected) in [(yes, true), (no, false)] {
                for text in texts {
                    assert_eq!(
                        parsed.matches(text.parse().unwrap()),
                        expected,
                        "{pattern} {text}"
                    );
                }
            }
        }
        for bad in ["", "*", "64512", "x:*", "64512:x", "10.0.0.1:70000"] {
            assert!(bad.parse::<RdPattern>().is_err(), "{bad}");
        }
    }
}
