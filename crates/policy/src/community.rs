//! Communities of the three kinds (RFC 1997, 4360, 8092): lists of them, and patterns.

use std::fmt;
use std::str::FromStr;

use chanter_bgp::{Attributes, Community, ExtendedCommunity, LargeCommunity};
use chanter_types::ParseError;
use smallvec::SmallVec;

use crate::rd::{Masked, admin_number};

const EXPECTED: &str = "64512:1 or a well-known name (no-export, graceful-shutdown, blackhole, ...), \
     64512:1:2 (large), or target:64512:1 and the like (extended); in patterns parts may be *";

/// Communities of the three kinds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Communities {
    /// Of RFC 1997.
    pub standard: Vec<Community>,
    /// Of RFC 8092.
    pub large: Vec<LargeCommunity>,
    /// Of RFC 4360.
    pub extended: Vec<ExtendedCommunity>,
}

impl Communities {
    /// Adds the one that `text` names, in the notation of its kind: `64512:1` or a well-known name,
    /// `64512:1:2`, `target:64512:1`.
    pub fn push(&mut self, text: &str) -> Result<(), ParseError> {
        match text.parse::<CommunityPattern>()?.form {
            Form::Standard {
                value,
                mask: u32::MAX,
            } => self.standard.push(Community(value)),
            Form::Large([Some(admin), Some(data1), Some(data2)]) => {
                self.large.push(LargeCommunity {
                    admin,
                    data1,
                    data2,
                });
            }
            Form::Extended(ref forms) if matches!(forms[..], [Masked { mask: u64::MAX, .. }]) => {
                let octets = forms[0].value.to_be_bytes();
                self.extended.push(ExtendedCommunity(octets));
            }
            _ => return Err(ParseError::new(text, "one community", EXPECTED)),
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.standard.is_empty() && self.large.is_empty() && self.extended.is_empty()
    }
}

/// A community of which parts may be any: `64512:*`, `64512:*:7`, `target:64512:*`, `encap:*`.
#[derive(Debug, Clone)]
pub struct CommunityPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Standard { value: u32, mask: u32 },
    Large([Option<u32>; 3]),
    Extended(SmallVec<[Masked; 3]>),
}

impl PartialEq for CommunityPattern {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form
    }
}

impl Eq for CommunityPattern {}

impl CommunityPattern {
    /// The pattern of route targets: `64512:1`, `64512:*`, `*:1`.
    pub fn route_target(text: &str) -> Result<Self, ParseError> {
        let body = text.strip_prefix("target:").unwrap_or(text);
        extended("target", body)
            .map(|form| Self {
                text: format!("target:{body}"),
                form,
            })
            .ok_or_else(|| {
                ParseError::new(
                    text,
                    "a route target or a pattern of some",
                    "64512:100, 192.0.2.1:100, 64512:* or *:100",
                )
            })
    }

    /// Whether it matches that community.
    pub fn matches_standard(&self, community: Community) -> bool {
        matches!(self.form, Form::Standard { value, mask } if community.0 & mask == value)
    }

    /// Whether it matches that large community.
    pub fn matches_large(&self, community: LargeCommunity) -> bool {
        let Form::Large([admin, data1, data2]) = self.form else {
            return false;
        };
        admin.is_none_or(|admin| admin == community.admin)
            && data1.is_none_or(|data1| data1 == community.data1)
            && data2.is_none_or(|data2| data2 == community.data2)
    }

    /// Whether it matches that extended community.
    pub fn matches_extended(&self, community: ExtendedCommunity) -> bool {
        match &self.form {
            Form::Extended(forms) => forms.iter().any(|form| form.matches(community.0)),
            _ => false,
        }
    }
}

impl fmt::Display for CommunityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for CommunityPattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text)
            .map(|form| Self {
                text: text.to_owned(),
                form,
            })
            .ok_or_else(|| ParseError::new(text, "a community", EXPECTED))
    }
}

fn parse(text: &str) -> Option<Form> {
    if let Ok(Community(value)) = text.parse() {
        let mask = u32::MAX;
        return Some(Form::Standard { value, mask });
    }
    if let Ok(community) = text.parse::<ExtendedCommunity>() {
        return Some(Form::Extended(SmallVec::from_iter([Masked::exact(
            community.0,
        )])));
    }
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [kind, ..] if kind.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            extended(kind, text.strip_prefix(kind)?.strip_prefix(':')?)
        }
        [a, b] => {
            let (a, a_mask) = half(a)?;
            let (b, b_mask) = half(b)?;
            Some(Form::Standard {
                value: a << 16 | b,
                mask: a_mask << 16 | b_mask,
            })
        }
        [a, b, c] => Some(Form::Large([part(a)?, part(b)?, part(c)?])),
        _ => None,
    }
}

/// A half of a standard community and its mask.
fn half(text: &str) -> Option<(u32, u32)> {
    match text {
        "*" => Some((0, 0)),
        text => Some((u32::from(text.parse::<u16>().ok()?), 0xffff)),
    }
}

/// A part of a large community; the inner `None`: any.
#[allow(clippy::option_option)] // the outer one is the answer of a parser
fn part(text: &str) -> Option<Option<u32>> {
    match text {
        "*" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

/// Types and sub-types of extended communities by the names that they have in texts.
const KINDS: [(&str, &[[u8; 2]]); 15] = [
    ("target", &[[0, 2], [1, 2], [2, 2]]),
    ("origin", &[[0, 3], [1, 3], [2, 3]]),
    ("soo", &[[0, 3], [1, 3], [2, 3]]),
    ("rt-record", &[[0, 0x13], [1, 0x13], [2, 0x13]]),
    ("redirect", &[[0x80, 8], [0x81, 8], [0x82, 8]]),
    ("encap", &[[3, 0x0c]]),
    ("color", &[[3, 0x0b]]),
    ("mac-mobility", &[[6, 0]]),
    ("esi-label", &[[6, 1]]),
    ("es-import", &[[6, 2]]),
    ("router-mac", &[[6, 3]]),
    ("hash-order", &[[3, 0x14]]),
    ("link-bandwidth", &[[0, 4], [0x40, 4]]),
    ("traffic-rate-bytes", &[[0x80, 6]]),
    ("traffic-marking", &[[0x80, 9]]),
];

fn extended(kind: &str, value: &str) -> Option<Form> {
    if !value.contains('*') {
        let community: ExtendedCommunity = format!("{kind}:{value}").parse().ok()?;
        return Some(Form::Extended(SmallVec::from_iter([Masked::exact(
            community.0,
        )])));
    }
    let (_, heads) = KINDS.iter().find(|(name, _)| *name == kind)?;
    if value == "*" {
        let forms = heads.iter().map(|[a, b]| Masked {
            value: u64::from(u16::from_be_bytes([*a, *b])) << 48,
            mask: 0xffff << 48,
        });
        return Some(Form::Extended(forms.collect()));
    }
    // Only those of an administrator and a number have parts.
    let [_, _, _] = **heads else { return None };
    let forms = admin_number(value, |form| heads[usize::from(form % 3)])?;
    Some(Form::Extended(forms))
}

/// Many patterns, compiled: exact ones are looked up by a binary search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommunitySet {
    standard: Vec<Community>,
    large: Vec<LargeCommunity>,
    extended: Vec<ExtendedCommunity>,
    /// Those with parts that may be any.
    wild: Vec<CommunityPattern>,
    patterns: Vec<CommunityPattern>,
}

impl CommunitySet {
    /// Whether one of the route's communities is in the set.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.wants_standard() && attributes.communities().any(|one| self.has_standard(one))
            || self.wants_large()
                && attributes
                    .large_communities()
                    .any(|one| self.has_large(one))
            || self.wants_extended()
                && attributes
                    .extended_communities()
                    .any(|one| self.has_extended(one))
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[CommunityPattern] {
        &self.patterns
    }

    /// Whether the community is in the set.
    pub fn has_standard(&self, community: Community) -> bool {
        self.standard.binary_search(&community).is_ok()
            || self.wild.iter().any(|one| one.matches_standard(community))
    }

    /// Whether the large community is in the set.
    pub fn has_large(&self, community: LargeCommunity) -> bool {
        self.large.binary_search(&community).is_ok()
            || self.wild.iter().any(|one| one.matches_large(community))
    }

    /// Whether the extended community is in the set.
    pub fn has_extended(&self, community: ExtendedCommunity) -> bool {
        self.extended.binary_search(&community).is_ok()
            || self.wild.iter().any(|one| one.matches_extended(community))
    }

    fn wants(&self, wild: impl Fn(&Form) -> bool) -> bool {
        self.wild.iter().any(|pattern| wild(&pattern.form))
    }

    pub(crate) fn wants_standard(&self) -> bool {
        !self.standard.is_empty() || self.wants(|form| matches!(form, Form::Standard { .. }))
    }

    pub(crate) fn wants_large(&self) -> bool {
        !self.large.is_empty() || self.wants(|form| matches!(form, Form::Large(_)))
    }

    pub(crate) fn wants_extended(&self) -> bool {
        !self.extended.is_empty() || self.wants(|form| matches!(form, Form::Extended(_)))
    }
}

impl FromIterator<CommunityPattern> for CommunitySet {
    fn from_iter<I: IntoIterator<Item = CommunityPattern>>(patterns: I) -> Self {
        let mut exact = Communities::default();
        let patterns: Vec<CommunityPattern> = patterns.into_iter().collect();
        let wild = patterns
            .iter()
            .filter(|pattern| exact.push(&pattern.text).is_err())
            .cloned()
            .collect();
        exact.standard.sort_unstable();
        exact.large.sort_unstable();
        exact.extended.sort_unstable();
        Self {
            standard: exact.standard,
            large: exact.large,
            extended: exact.extended,
            wild,
            patterns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(text: &str) -> Attributes {
        let mut one = Communities::default();
        one.push(text).unwrap();
        Attributes::builder()
            .communities(one.standard)
            .large_communities(one.large)
            .extended_communities(one.extended)
            .build()
    }

    #[test]
    fn patterns_of_all_kinds() {
        for (pattern, yes, no) in [
            (
                "64512:1",
                vec!["64512:1"],
                vec!["64512:2", "64512:1:0", "target:64512:1"],
            ),
            (
                "64512:*",
                vec!["64512:1"],
                vec!["64513:1", "target:64512:1"],
            ),
            ("*:666", vec!["64512:666", "blackhole"], vec!["64512:667"]),
            ("no-export", vec!["65535:65281"], vec!["no-advertise"]),
            ("64512:*:7", vec!["64512:1:7"], vec!["64512:1:8", "64512:7"]),
            ("*:*:*", vec!["64512:1:7"], vec!["64512:7"]),
            (
                "target:64512:*",
                vec!["target:64512:1"],
                vec!["origin:64512:1", "target:64513:1"],
            ),
            (
                "target:*:100",
                vec!["target:10.0.0.1:100", "target:64512:100"],
                vec!["target:1:1"],
            ),
            ("target:*", vec!["target:10.0.0.1:100"], vec!["encap:vxlan"]),
            ("encap:*", vec!["encap:vxlan"], vec!["color:8"]),
            ("encap:vxlan", vec!["encap:8"], vec!["encap:mpls"]),
            (
                "0x8008fc00000000a0",
                vec!["0x8008fc00000000a0"],
                vec!["0x8008fc00000000a1"],
            ),
        ] {
            let set: CommunitySet = [pattern.parse().unwrap()].into_iter().collect();
            for text in yes {
                assert!(set.matches(&with(text)), "{pattern} {text}");
            }
            for text in no {
                assert!(!set.matches(&with(text)), "{pattern} {text}");
            }
        }
        for bad in [
            "",
            "*",
            "64512",
            "65536:1",
            "1:2:3:4",
            "color:*:1",
            "targets:1:*",
            "target:x:*",
        ] {
            assert!(bad.parse::<CommunityPattern>().is_err(), "{bad}");
        }
        assert!(
            Communities::default().push("64512:*").is_err(),
            "not one community"
        );
    }

    proptest! {
        #[test]
        fn the_compiled_set_is_the_list(
            patterns in prop::collection::vec((0..4u16, prop::option::of(0..4u16)), 0..12),
            asked in prop::collection::vec((0..4u16, 0..4u16), 1..12),
        ) {
            let patterns: Vec<CommunityPattern> = patterns
                .into_iter()
                .map(|(a, b)| match b {
                    Some(b) => format!("{a}:{b}"),
                    None => format!("{a}:*"),
                })
                .map(|text| text.parse().unwrap())
                .collect();
            let set: CommunitySet = patterns.iter().cloned().collect();
            for (a, b) in asked {
                let community = Community::new(a, b);
                let naive = patterns.iter().any(|one| one.matches_standard(community));
                prop_assert_eq!(set.has_standard(community), naive);
            }
        }
    }
}
