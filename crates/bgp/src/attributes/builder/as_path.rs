//! Changes of AS_PATH.

use chanter_types::Asn;

use super::super::{AsPath, SegmentKind};
use super::AttributesBuilder;

/// A segment holds at most so many AS numbers.
const SEGMENT_MAX: usize = u8::MAX as usize;

impl AttributesBuilder {
    /// Puts `asn` in front of AS_PATH (RFC 4271 section 5.1.2).
    pub fn prepend(mut self, asn: Asn) -> Self {
        // A full segment gets another in front of it.
        match self.as_path.first_chunk::<2>() {
            Some([kind, count]) if *kind == SegmentKind::Sequence.code() && *count < u8::MAX => {
                self.as_path[1] += 1;
                self.as_path.splice(2..2, asn.0.to_be_bytes());
            }
            _ => {
                let [a, b, c, d] = asn.0.to_be_bytes();
                self.as_path
                    .splice(0..0, [SegmentKind::Sequence.code(), 1, a, b, c, d]);
            }
        }
        self
    }

    /// Puts `asn` in front of AS_PATH so many times.
    pub fn prepend_times(self, asn: Asn, times: u8) -> Self {
        (0..times).fold(self, |builder, _| builder.prepend(asn))
    }

    /// Puts a segment at the end of AS_PATH; at most 255 AS numbers are taken, and none makes no
    /// segment.
    pub fn append_segment(mut self, kind: SegmentKind, asns: &[Asn]) -> Self {
        let asns = asns.get(..SEGMENT_MAX).unwrap_or(asns);
        if let Ok(count @ 1..) = u8::try_from(asns.len()) {
            self.as_path.extend([kind.code(), count]);
            self.as_path
                .extend(asns.iter().flat_map(|asn| asn.0.to_be_bytes()));
        }
        self
    }

    /// Empties AS_PATH.
    pub fn clear_as_path(mut self) -> Self {
        self.as_path.clear();
        self
    }

    /// Replaces each AS number in AS_PATH by what `change` says; `None` takes it out, and segments
    /// that become empty with it. The order and the kinds of segments stay.
    pub fn map_as_path(mut self, mut change: impl FnMut(Asn) -> Option<Asn>) -> Self {
        let octets = std::mem::take(&mut self.as_path);
        AsPath::new(&octets)
            .segments()
            .fold(self, |builder, segment| {
                let asns: Vec<Asn> = segment.asns().filter_map(&mut change).collect();
                builder.append_segment(segment.kind(), &asns)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attributes;

    #[test]
    fn a_full_segment_gets_another_in_front() {
        let set = Attributes::builder()
            .append_segment(SegmentKind::Sequence, &[Asn(1); 300])
            .prepend_times(Asn(2), 2)
            .build();
        let counts: Vec<_> = set
            .as_path()
            .segments()
            .map(|segment| segment.asns().count())
            .collect();
        assert_eq!(counts, [2, 255]);
        assert_eq!(set.as_path_len(), 257);
        assert_eq!(set.as_path().first_as(), Some(Asn(2)));
    }

    #[test]
    fn as_numbers_are_replaced_and_taken_out() {
        let set = Attributes::builder()
            .append_segment(SegmentKind::Sequence, &[Asn(1), Asn(64512), Asn(2)])
            .append_segment(SegmentKind::ConfedSequence, &[Asn(64513)])
            .append_segment(SegmentKind::Sequence, &[Asn(3)])
            .build();
        let changed = set
            .to_builder()
            .map_as_path(|asn| match asn.0 {
                64512..=65534 => None,
                2 => Some(Asn(20)),
                _ => Some(asn),
            })
            .build();
        assert_eq!(changed.as_path().to_string(), "1 20 3");
        assert_eq!(set.to_builder().map_as_path(Some).build(), set);
    }
}
