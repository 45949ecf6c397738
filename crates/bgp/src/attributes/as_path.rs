//! AS_PATH (RFC 4271 section 5.1.2, RFC 5065), always with four-octet AS numbers.

use std::fmt;

use chanter_types::Asn;

/// What a segment of an AS_PATH means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// AS_SET: no order.
    Set,
    /// AS_SEQUENCE: the AS that was passed last comes first.
    Sequence,
    /// AS_CONFED_SEQUENCE.
    ConfedSequence,
    /// AS_CONFED_SET.
    ConfedSet,
}

impl SegmentKind {
    /// The value on the wire.
    pub fn code(self) -> u8 {
        match self {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => 2,
            SegmentKind::ConfedSequence => 3,
            SegmentKind::ConfedSet => 4,
        }
    }

    /// The kind of that value on the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(SegmentKind::Set),
            2 => Some(SegmentKind::Sequence),
            3 => Some(SegmentKind::ConfedSequence),
            4 => Some(SegmentKind::ConfedSet),
            _ => None,
        }
    }
}

/// An AS_PATH.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AsPath<'a>(&'a [u8]);

/// A segment of an AS_PATH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsPathSegment<'a> {
    kind: SegmentKind,
    octets: &'a [[u8; 4]],
}

impl<'a> AsPath<'a> {
    /// The path in `octets`, the attribute's value with four-octet AS numbers.
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn octets(self) -> &'a [u8] {
        self.0
    }

    /// The segments.
    pub fn segments(self) -> impl Iterator<Item = AsPathSegment<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&[kind, count], tail) = rest.split_first_chunk()?;
            let kind = SegmentKind::from_code(kind)?;
            let (octets, tail) = tail.split_at_checked(usize::from(count) * 4)?;
            rest = tail;
            Some(AsPathSegment {
                kind,
                octets: octets.as_chunks().0,
            })
        })
    }

    /// Whether there is no segment: the route originates in the own AS.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The length as path selection counts it: a set counts one (RFC 4271 section 9.1.2.2),
    /// confederation segments do not count (RFC 5065 section 5.3).
    pub fn path_len(self) -> u32 {
        self.segments()
            .map(|segment| match segment.kind {
                SegmentKind::Set => 1,
                SegmentKind::Sequence => u32::try_from(segment.octets.len()).unwrap_or(u32::MAX),
                SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
            })
            .sum()
    }

    /// All AS numbers, of whatever segment.
    pub fn asns(self) -> impl Iterator<Item = Asn> + 'a {
        self.segments().flat_map(AsPathSegment::asns)
    }

    /// Whether the route has been through `asn` (loop detection, RFC 4271 section 9.1.2).
    pub fn contains(self, asn: Asn) -> bool {
        self.asns().any(|other| other == asn)
    }

    /// The neighbouring AS: the first of the path, if the path begins with a sequence.
    pub fn first_as(self) -> Option<Asn> {
        let segment = self.segments().next()?;
        match segment.kind {
            SegmentKind::Sequence | SegmentKind::ConfedSequence => segment.asns().next(),
            SegmentKind::Set | SegmentKind::ConfedSet => None,
        }
    }
}

impl<'a> AsPathSegment<'a> {
    /// What it means.
    pub fn kind(self) -> SegmentKind {
        self.kind
    }

    /// Its AS numbers.
    pub fn asns(self) -> impl Iterator<Item = Asn> + 'a {
        self.octets
            .iter()
            .map(|octets| Asn(u32::from_be_bytes(*octets)))
    }
}

impl fmt::Display for AsPath<'_> {
    /// `64512 65000 {65001 65002}`; confederation segments in `( )` and `[ ]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments().enumerate() {
            let (open, close) = match segment.kind {
                SegmentKind::Sequence => ("", ""),
                SegmentKind::Set => ("{", "}"),
                SegmentKind::ConfedSequence => ("(", ")"),
                SegmentKind::ConfedSet => ("[", "]"),
            };
            f.write_str(if index > 0 { " " } else { "" })?;
            f.write_str(open)?;
            for (index, asn) in segment.asns().enumerate() {
                f.write_str(if index > 0 { " " } else { "" })?;
                asn.fmt(f)?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AsPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsPath({self})")
    }
}
