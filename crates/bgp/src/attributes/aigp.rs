//! The accumulated IGP metric (RFC 7311).

use crate::reader::Reader;

/// The TLV that holds the metric, and its length, which counts the three octets before the value.
const METRIC: u8 = 1;
const METRIC_LEN: usize = 11;
const HEAD_LEN: usize = 3;

/// The TLVs in the value of the attribute; `None` is where it is cut off.
fn tlvs(value: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    let mut reader = Reader::new(value, 0);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let kind = reader.u8();
        let len = reader.u16().map(usize::from);
        let octets = len
            .and_then(|len| len.checked_sub(HEAD_LEN))
            .and_then(|len| reader.bytes(len));
        if octets.is_none() {
            reader = Reader::new(&[], 0);
        }
        Some(kind.zip(octets))
    })
}

/// Whether `value` is well formed: at least one TLV, all whole, metrics of eight octets.
pub(crate) fn is_aigp(value: &[u8]) -> bool {
    let is_right = |tlv: Option<(u8, &[u8])>| match tlv {
        Some((METRIC, octets)) => octets.len() == METRIC_LEN - HEAD_LEN,
        Some(_) => true,
        None => false,
    };
    !value.is_empty() && tlvs(value).all(is_right)
}

/// The metric: that of the first such TLV.
pub(super) fn metric(value: &[u8]) -> Option<u64> {
    let metric = tlvs(value).flatten().find(|(kind, _)| *kind == METRIC);
    metric.and_then(|(_, octets)| Some(u64::from_be_bytes(octets.try_into().ok()?)))
}

/// The value of an attribute that tells `metric`.
pub(super) fn encode(metric: u64) -> [u8; METRIC_LEN] {
    let [a, b, c, d, e, f, g, h] = metric.to_be_bytes();
    [METRIC, 0, 11, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_metric_counts() {
        let twice = [encode(7), encode(9)].concat();
        assert!(is_aigp(&twice));
        assert_eq!(metric(&twice), Some(7));
        let other_first = [&[9, 0, 4, 1][..], &encode(5)].concat();
        assert!(is_aigp(&other_first));
        assert_eq!(metric(&other_first), Some(5));
        assert_eq!(metric(&[9, 0, 3]), None);
    }

    #[test]
    fn lengths_that_do_not_fit_are_malformed() {
        for value in [
            &[][..],
            &[1],
            &[1, 0],
            &[1, 0, 2],
            &[1, 0, 11, 1, 2, 3, 4, 5, 6, 7],
            &[1, 0, 10, 1, 2, 3, 4, 5, 6, 7],
            &[1, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[2, 0, 4],
        ] {
            assert!(!is_aigp(value), "{value:?}");
        }
    }
}
