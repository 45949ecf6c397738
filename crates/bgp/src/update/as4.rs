//! AS numbers of four octets with peers that know only two (RFC 6793).

use chanter_types::Asn;
use smallvec::SmallVec;

use crate::attributes::{AsPath, SegmentKind};

/// The value of an AS_PATH or AGGREGATOR.
pub(super) type Value = SmallVec<[u8; 128]>;

/// Whether `path` is an AS_PATH whose AS numbers have `width` octets (RFC 7606 section 7.2); else
/// what is wrong with it.
pub(super) fn check_path(path: &[u8], width: usize, confederation: bool) -> Result<(), String> {
    let mut rest = path;
    while let Some((kind, tail)) = rest.split_first() {
        match SegmentKind::from_code(*kind) {
            None => return Err(format!("segment type {kind}")),
            Some(SegmentKind::ConfedSequence | SegmentKind::ConfedSet) if !confederation => {
                return Err("confederation segment from another AS".to_owned());
            }
            Some(_) => {}
        }
        let (count, tail) = match tail.split_first() {
            Some((0, _)) => return Err("segment without AS numbers".to_owned()),
            Some((count, tail)) => (usize::from(*count), tail),
            None => return Err("segment cut off".to_owned()),
        };
        let Some((asns, tail)) = tail.split_at_checked(count * width) else {
            return Err(format!("segment of {count} AS numbers cut off"));
        };
        // RFC 7607: AS 0 names nobody.
        if asns
            .chunks_exact(width)
            .any(|asn| asn.iter().all(|octet| *octet == 0))
        {
            return Err("AS 0".to_owned());
        }
        rest = tail;
    }
    Ok(())
}

/// The kind of the first set in a valid path whose AS numbers have `width` octets.
pub(super) fn set_in(path: &[u8], width: usize) -> Option<&'static str> {
    let mut rest = path;
    while let Some(([kind, count], tail)) = rest.split_first_chunk::<2>() {
        match SegmentKind::from_code(*kind) {
            Some(SegmentKind::Set) => return Some("AS_SET"),
            Some(SegmentKind::ConfedSet) => return Some("AS_CONFED_SET"),
            _ => {}
        }
        rest = tail.get(usize::from(*count) * width..).unwrap_or_default();
    }
    None
}

/// A valid path with two-octet AS numbers, with four.
pub(super) fn widen_path(path: &[u8]) -> Value {
    let mut wide = Value::new();
    let mut rest = path;
    while let Some((head @ [_, count], tail)) = rest.split_first_chunk::<2>() {
        let (asns, tail) = tail
            .split_at_checked(usize::from(*count) * 2)
            .unwrap_or((tail, &[]));
        wide.extend_from_slice(head);
        for asn in asns.as_chunks::<2>().0 {
            wide.extend_from_slice(&[0, 0, asn[0], asn[1]]);
        }
        rest = tail;
    }
    wide
}

/// A two-octet AGGREGATOR with four octets.
pub(super) fn widen_aggregator(aggregator: &[u8]) -> Value {
    let mut wide = Value::from_slice(&[0, 0]);
    wide.extend_from_slice(aggregator);
    wide
}

/// Whether a two-octet AGGREGATOR names AS_TRANS, which stands for the one in AS4_AGGREGATOR. If it
/// does not, a speaker that knows only two octets has aggregated since, and AS4_PATH and
/// AS4_AGGREGATOR are outdated (RFC 6793 section 4.2.3).
pub(super) fn is_as_trans(aggregator: &[u8]) -> bool {
    let trans = Asn::TRANS.two_octet().map(u16::to_be_bytes);
    aggregator.first_chunk::<2>().copied() == trans
}

/// The path that `path` (from AS_PATH) and `as4_path` (from AS4_PATH), both with four-octet numbers,
/// tell together (RFC 6793 section 4.2.3).
pub(super) fn merge(path: &[u8], as4_path: &[u8]) -> Value {
    let newer = without_confederation(as4_path);
    let (len, newer_len) = (AsPath::new(path).path_len(), AsPath::new(&newer).path_len());
    let Some(mut missing) = len.checked_sub(newer_len) else {
        return Value::from_slice(path);
    };
    let mut merged = Value::new();
    for segment in AsPath::new(path).segments() {
        let asns: SmallVec<[Asn; 16]> = segment.asns().collect();
        let count = u32::try_from(asns.len()).unwrap_or(u32::MAX);
        match segment.kind() {
            // Those at the front, or next to a segment that was taken.
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => {
                push_segment(&mut merged, segment.kind(), &asns);
            }
            _ if missing == 0 => break,
            SegmentKind::Set => {
                push_segment(&mut merged, SegmentKind::Set, &asns);
                missing -= 1;
            }
            SegmentKind::Sequence => {
                let taken = count.min(missing);
                let end = usize::try_from(taken).unwrap_or(usize::MAX).min(asns.len());
                push_segment(&mut merged, SegmentKind::Sequence, &asns[..end]);
                missing -= taken;
                if taken < count {
                    break;
                }
            }
        }
    }
    merged.extend_from_slice(&newer);
    merged
}

/// RFC 6793 section 6: confederation segments in AS4_PATH do not count.
fn without_confederation(path: &[u8]) -> Value {
    let mut kept = Value::new();
    for segment in AsPath::new(path).segments() {
        if matches!(segment.kind(), SegmentKind::Set | SegmentKind::Sequence) {
            let asns: SmallVec<[Asn; 16]> = segment.asns().collect();
            push_segment(&mut kept, segment.kind(), &asns);
        }
    }
    kept
}

fn push_segment(path: &mut Value, kind: SegmentKind, asns: &[Asn]) {
    path.push(kind.code());
    path.push(u8::try_from(asns.len()).unwrap_or(u8::MAX));
    for asn in asns {
        path.extend_from_slice(&asn.0.to_be_bytes());
    }
}

/// A path for a peer that knows only two octets: its AS_PATH, and its AS4_PATH if that says more
/// (RFC 6793 section 4.2.2).
pub(super) fn narrow_path(path: AsPath<'_>) -> (Value, Option<Value>) {
    let mut narrow = Value::new();
    for segment in path.segments() {
        let count = u8::try_from(segment.asns().count()).unwrap_or(u8::MAX);
        narrow.extend_from_slice(&[segment.kind().code(), count]);
        for asn in segment.asns() {
            narrow.extend_from_slice(&narrow_asn(asn));
        }
    }
    let needs_four = path.asns().any(|asn| asn.two_octet().is_none());
    (
        narrow,
        needs_four.then(|| without_confederation(path.octets())),
    )
}

/// An AGGREGATOR for a peer that knows only two octets, and its AS4_AGGREGATOR if that says more.
pub(super) fn narrow_aggregator(aggregator: &[u8]) -> (Value, Option<Value>) {
    let (asn, router_id) = aggregator
        .split_first_chunk::<4>()
        .unwrap_or((&[0; 4], &[]));
    let asn = Asn(u32::from_be_bytes(*asn));
    let mut narrow = Value::from_slice(&narrow_asn(asn));
    narrow.extend_from_slice(router_id);
    let wide = asn
        .two_octet()
        .is_none()
        .then(|| Value::from_slice(aggregator));
    (narrow, wide)
}

fn narrow_asn(asn: Asn) -> [u8; 2] {
    let trans = u16::try_from(Asn::TRANS.0).unwrap_or_default();
    asn.two_octet().unwrap_or(trans).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use SegmentKind::{ConfedSequence, Sequence, Set};

    fn wide(segments: &[(SegmentKind, &[u32])]) -> Value {
        let mut path = Value::new();
        for (kind, asns) in segments {
            let asns: Vec<Asn> = asns.iter().copied().map(Asn).collect();
            push_segment(&mut path, *kind, &asns);
        }
        path
    }

    #[test]
    fn the_newer_path_replaces_the_tail_of_the_older() {
        let trans = Asn::TRANS.0;
        for (path, as4_path, expected) in [
            // As in RFC 6793 section 4.2.3: a two-octet speaker has put itself in front.
            (
                wide(&[(Sequence, &[275, trans, trans])]),
                wide(&[(Sequence, &[70000, 80000])]),
                wide(&[(Sequence, &[275]), (Sequence, &[70000, 80000])]),
            ),
            // Longer than AS_PATH: not to be used.
            (
                wide(&[(Sequence, &[275])]),
                wide(&[(Sequence, &[70000, 80000])]),
                wide(&[(Sequence, &[275])]),
            ),
            // A set counts one.
            (
                wide(&[(Sequence, &[1, trans]), (Set, &[trans, 3])]),
                wide(&[(Sequence, &[70000]), (Set, &[80000, 3])]),
                wide(&[(Sequence, &[1]), (Sequence, &[70000]), (Set, &[80000, 3])]),
            ),
            // Confederation segments: those in front stay, those in AS4_PATH go.
            (
                wide(&[(ConfedSequence, &[65001]), (Sequence, &[1, trans])]),
                wide(&[(ConfedSequence, &[65009]), (Sequence, &[70000])]),
                wide(&[
                    (ConfedSequence, &[65001]),
                    (Sequence, &[1]),
                    (Sequence, &[70000]),
                ]),
            ),
        ] {
            assert_eq!(
                merge(&path, &as4_path),
                expected,
                "{:?}",
                AsPath::new(&path)
            );
        }
    }

    #[test]
    fn narrowing_and_merging_restores_the_path() {
        let path = wide(&[(Sequence, &[70000, 275, 4_200_000_000]), (Set, &[5, 70001])]);
        let (narrow, as4_path) = narrow_path(AsPath::new(&path));
        let as4_path = as4_path.expect("70000 needs four octets");
        assert_eq!(check_path(&narrow, 2, true), Ok(()));
        assert_eq!(merge(&widen_path(&narrow), &as4_path), path);
        let small = wide(&[(Sequence, &[1, 2])]);
        assert_eq!(narrow_path(AsPath::new(&small)).1, None);
    }
}
