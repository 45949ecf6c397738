//! Sets of prefixes with ranges of lengths, as prefix lists have them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chanter_types::{ParseError, Prefix};

/// A prefix, and the lengths that those within it may have: `10.0.0.0/8 ge 16 le 24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixRange {
    prefix: Prefix,
    from: u8,
    to: u8,
}

impl PrefixRange {
    /// Only `prefix` itself.
    pub fn exact(prefix: Prefix) -> Self {
        Self {
            prefix,
            from: prefix.len(),
            to: prefix.len(),
        }
    }

    /// Those within `prefix` of at least `ge` and at most `le` bits. Without `le`, `ge` alone means
    /// up to hosts; without both, only `prefix` itself. `None` unless
    /// prefix length ≤ `ge` ≤ `le` ≤ bits of an address.
    pub fn new(prefix: Prefix, ge: Option<u8>, le: Option<u8>) -> Option<Self> {
        let bits = bits(prefix);
        let from = ge.unwrap_or(prefix.len());
        let to = le.unwrap_or(if ge.is_some() { bits } else { prefix.len() });
        (prefix.len() <= from && from <= to && to <= bits).then_some(Self { prefix, from, to })
    }

    /// The prefix itself.
    pub fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// Whether `prefix` is within it and has one of its lengths.
    pub fn matches(&self, prefix: Prefix) -> bool {
        covers(self.prefix, prefix) && (self.from..=self.to).contains(&prefix.len())
    }
}

impl fmt::Display for PrefixRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)?;
        if self.from != self.prefix.len() {
            write!(f, " ge {}", self.from)?;
        }
        let implied = match self.from == self.prefix.len() {
            true => self.prefix.len(),
            false => bits(self.prefix),
        };
        if self.to != implied {
            write!(f, " le {}", self.to)?;
        }
        Ok(())
    }
}

impl FromStr for PrefixRange {
    type Err = ParseError;

    /// Reads `10.0.0.0/8`, `10.0.0.0/8 ge 16`, `10.0.0.0/8 le 24`, `10.0.0.0/8 ge 16 le 24`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || {
            ParseError::new(
                text,
                "an entry of a prefix list",
                "PREFIX [ge LENGTH] [le LENGTH] such as `10.0.0.0/8 ge 16 le 24`, with \
                 prefix length <= ge <= le",
            )
        };
        let mut words = text.split_whitespace();
        let prefix: Prefix = words.next().ok_or_else(error)?.parse()?;
        let (mut ge, mut le) = (None, None);
        while let Some(word) = words.next() {
            let length = words.next().and_then(|length| length.parse::<u8>().ok());
            let length = Some(length.ok_or_else(error)?);
            match word {
                "ge" if ge.is_none() && le.is_none() => ge = length,
                "le" if le.is_none() => le = length,
                _ => return Err(error()),
            }
        }
        Self::new(prefix, ge, le).ok_or_else(error)
    }
}

fn bits(prefix: Prefix) -> u8 {
    match prefix {
        Prefix::V4(_) => 32,
        Prefix::V6(_) => 128,
    }
}

fn covers(outer: Prefix, inner: Prefix) -> bool {
    outer.len() <= inner.len() && outer.contains(inner.addr())
}

/// Lengths from 0 to 128, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lengths([u64; 3]);

impl Lengths {
    fn contains(self, length: u8) -> bool {
        self.0[usize::from(length / 64)] & (1 << (length % 64)) != 0
    }

    fn insert(&mut self, length: u8) {
        self.0[usize::from(length / 64)] |= 1 << (length % 64);
    }

    fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }
}

/// Many [`PrefixRange`]s, compiled: a look-up takes a binary search, however many there are.
///
/// The prefixes stand in the order of address and length, so that each stands after those that
/// cover it. Each knows the next one that covers it, and all lengths that it and those allow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefixSet {
    nodes: Vec<Node>,
    ranges: Vec<PrefixRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    prefix: Prefix,
    parent: Option<u32>,
    lengths: Lengths,
}

impl PrefixSet {
    /// Whether `prefix` is matched by one of the ranges.
    pub fn matches(&self, prefix: Prefix) -> bool {
        let key = (prefix.addr(), prefix.len());
        let after = self
            .nodes
            .partition_point(|node| (node.prefix.addr(), node.prefix.len()) <= key);
        let mut at = after.checked_sub(1);
        while let Some(node) = at.and_then(|at| self.nodes.get(at)) {
            if covers(node.prefix, prefix) {
                return node.lengths.contains(prefix.len());
            }
            at = node.parent.and_then(|parent| usize::try_from(parent).ok());
        }
        false
    }

    /// Whether the host `addr` is.
    pub fn matches_host(&self, addr: IpAddr) -> bool {
        self.matches(Prefix::host(addr))
    }

    /// The ranges, sorted.
    pub fn ranges(&self) -> &[PrefixRange] {
        &self.ranges
    }
}

impl FromIterator<PrefixRange> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = PrefixRange>>(ranges: I) -> Self {
        let mut ranges: Vec<PrefixRange> = ranges.into_iter().collect();
        ranges.sort_unstable_by_key(|range| {
            (
                range.prefix.addr(),
                range.prefix.len(),
                range.from,
                range.to,
            )
        });
        ranges.dedup();
        let mut nodes: Vec<Node> = Vec::new();
        // The nodes that cover the last one, itself included.
        let mut open: Vec<usize> = Vec::new();
        for range in &ranges {
            while open
                .last()
                .is_some_and(|at| !covers(nodes[*at].prefix, range.prefix))
            {
                open.pop();
            }
            if open
                .last()
                .is_none_or(|at| nodes[*at].prefix != range.prefix)
            {
                let parent = open.last().copied();
                nodes.push(Node {
                    prefix: range.prefix,
                    parent: parent.and_then(|parent| u32::try_from(parent).ok()),
                    lengths: parent.map_or_else(Lengths::default, |parent| nodes[parent].lengths),
                });
                open.push(nodes.len() - 1);
            }
            if let Some(node) = nodes.last_mut() {
                let mut own = Lengths::default();
                (range.from..=range.to).for_each(|length| own.insert(length));
                node.lengths = node.lengths.union(own);
            }
        }
        Self { nodes, ranges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix() -> impl Strategy<Value = Prefix> {
        // Few bits, so that prefixes cover each other often.
        let v4 = (any::<u32>(), 0..=32u8).prop_filter_map("a prefix", |(bits, len)| {
            Prefix::new(IpAddr::V4((bits & 0xc300_00c1).into()), len)
        });
        let v6 = (any::<u128>(), 0..=128u8).prop_filter_map("a prefix", |(bits, len)| {
            Prefix::new(IpAddr::V6((bits & (0b1011 << 122 | 0b11)).into()), len)
        });
        prop_oneof![v4, v6]
    }

    fn range() -> impl Strategy<Value = PrefixRange> {
        let length = proptest::option::of(0..=128u8);
        (prefix(), length.clone(), length).prop_map(|(prefix, ge, le)| {
            PrefixRange::new(prefix, ge, le).unwrap_or(PrefixRange::exact(prefix))
        })
    }

    proptest! {
        #[test]
        fn the_compiled_set_is_the_list(
            ranges in prop::collection::vec(range(), 0..40),
            asked in prop::collection::vec(prefix(), 1..40),
        ) {
            let set: PrefixSet = ranges.iter().copied().collect();
            for prefix in asked.into_iter().chain(ranges.iter().map(|range| range.prefix)) {
                let naive = ranges.iter().any(|range| range.matches(prefix));
                prop_assert_eq!(set.matches(prefix), naive, "{}", prefix);
            }
        }

        #[test]
        fn texts_are_read_back(range in range()) {
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }

    #[test]
    fn ranges_mean_what_prefix_lists_mean() {
        for (range, yes, no) in [
            (
                "10.0.0.0/8",
                vec!["10.0.0.0/8"],
                vec!["10.0.0.0/9", "0.0.0.0/0"],
            ),
            (
                "10.0.0.0/8 le 24",
                vec!["10.0.0.0/8", "10.1.1.0/24"],
                vec!["10.1.1.1/32"],
            ),
            (
                "10.0.0.0/8 ge 24",
                vec!["10.1.1.0/24", "10.1.1.1/32"],
                vec!["10.0.0.0/8"],
            ),
            (
                "0.0.0.0/0 ge 32",
                vec!["10.1.1.1/32"],
                vec!["10.1.1.0/24", "::1/128"],
            ),
            (
                "::/0 le 128",
                vec!["::/0", "::1/128", "2001:db8::/32"],
                vec!["0.0.0.0/0"],
            ),
        ] {
            let range: PrefixRange = range.parse().unwrap();
            for (texts, expected) in [(yes, true), (no, false)] {
                for text in texts {
                    let set: PrefixSet = [range].into_iter().collect();
                    assert_eq!(
                        set.matches(text.parse().unwrap()),
                        expected,
                        "{range} {text}"
                    );
                }
            }
        }
        for bad in [
            "10.0.0.0/8 le",
            "10.0.0.0/8 ge 7",
            "10.0.0.0/8 le 7",
            "10.0.0.0/8 ge 20 le 10",
            "10.0.0.0/8 le 33",
            "10.0.0.0/8 ge 9 ge 9",
            "10.0.0.0/8 eq 9",
            "10.0.0.1/8",
            "",
        ] {
            assert!(bad.parse::<PrefixRange>().is_err(), "{bad}");
        }
    }
}
