//! ATTR_SET (RFC 6368 section 5): the attributes of a customer's iBGP, carried through the
//! provider's network as they are.

use super::AttributeCode;
use super::block;

/// Whether `value` is well formed: the origin AS, then attributes, none cut off, none twice, and no
/// MP_REACH_NLRI or MP_UNREACH_NLRI.
pub(crate) fn is_attr_set(value: &[u8]) -> bool {
    let Some((_, octets)) = value.split_first_chunk::<4>() else {
        return false;
    };
    let mut seen = [false; 256];
    let mut len = 0;
    for attribute in block::attributes(octets) {
        let is_nlri = matches!(
            attribute.code,
            AttributeCode::MP_REACH_NLRI | AttributeCode::MP_UNREACH_NLRI
        );
        if is_nlri || std::mem::replace(&mut seen[usize::from(attribute.code.0)], true) {
            return false;
        }
        len += attribute.head_len() + attribute.value.len();
    }
    len == octets.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_inside_are_whole_and_carry_no_routes() {
        let set = |octets: &[u8]| [&[0, 0, 0xfc, 1][..], octets].concat();
        for octets in [
            &[][..],
            &[0x40, 1, 1, 0],
            &[0x40, 1, 1, 0, 0x50, 2, 0, 6, 2, 1, 0, 0, 0xfc, 1],
        ] {
            assert!(is_attr_set(&set(octets)), "{octets:?}");
        }
        for octets in [
            &[0x40][..],
            &[0x40, 1, 2, 0],
            &[0x40, 1, 1, 0, 0x40, 1, 1, 0],
            &[0x80, 14, 0],
            &[0x80, 15, 3, 0, 1, 1],
        ] {
            assert!(!is_attr_set(&set(octets)), "{octets:?}");
        }
        assert!(!is_attr_set(&[0, 0, 1]));
    }
}
