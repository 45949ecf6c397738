//! Router Advertisements and Solicitations (RFC 4861 section 4.1, 4.2).

/// ICMPv6 types.
pub(super) const SOLICITATION: u8 = 133;
pub(super) const ADVERTISEMENT: u8 = 134;

/// Other packets than this come from beyond the link (RFC 4861 section 6.1).
pub(super) const HOP_LIMIT: i32 = 255;

const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

/// The octets of an advertisement, and of a solicitation, before its options.
const ADVERTISEMENT_LEN: usize = 16;
const SOLICITATION_LEN: usize = 8;

/// An advertisement that only says that we are there: we are nobody's default router (lifetime 0),
/// and have nothing to say of the link. The kernel fills the checksum in.
pub(super) fn advertisement(mac: Option<[u8; 6]>) -> Vec<u8> {
    let mut octets = vec![ADVERTISEMENT, 0, 0, 0];
    // Hop limit unspecified, no flags, router lifetime 0, reachable and retransmission time
    // unspecified.
    octets.extend([0; ADVERTISEMENT_LEN - 4]);
    push_mac(mac, &mut octets);
    octets
}

/// Asks routers to advertise themselves at once.
pub(super) fn solicitation(mac: Option<[u8; 6]>) -> Vec<u8> {
    let mut octets = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    push_mac(mac, &mut octets);
    octets
}

fn push_mac(mac: Option<[u8; 6]>, octets: &mut Vec<u8>) {
    if let Some(mac) = mac {
        octets.extend([SOURCE_LINK_LAYER_ADDRESS, 1]);
        octets.extend(mac);
    }
}

/// The type of a message that is an advertisement or a solicitation in order (RFC 4861 section
/// 6.1.1, 6.1.2); the kernel has looked at its checksum.
pub(super) fn kind(octets: &[u8]) -> Option<u8> {
    let [kind, 0, ..] = *octets else {
        return None;
    };
    let start = match kind {
        SOLICITATION => SOLICITATION_LEN,
        ADVERTISEMENT => ADVERTISEMENT_LEN,
        _ => return None,
    };
    let mut options = octets.get(start..)?;
    while let [_, len, ..] = *options {
        let len = usize::from(len) * 8;
        if len == 0 {
            return None;
        }
        options = options.get(len..)?;
    }
    options.is_empty().then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_send_is_in_order_and_makes_us_nobodys_default_router() {
        for mac in [None, Some([2, 0, 0, 0, 0, 1])] {
            let octets = advertisement(mac);
            assert_eq!(kind(&octets), Some(ADVERTISEMENT));
            assert_eq!(octets[6..8], [0, 0], "router lifetime");
            assert_eq!(kind(&solicitation(mac)), Some(SOLICITATION));
        }
    }

    #[test]
    fn what_is_not_in_order_is_ignored() {
        let good = advertisement(Some([2, 0, 0, 0, 0, 1]));
        for len in (0..good.len()).filter(|len| *len != ADVERTISEMENT_LEN) {
            assert_eq!(kind(&good[..len]), None, "cut to {len}");
        }
        let mut bad = good.clone();
        bad[1] = 1;
        assert_eq!(kind(&bad), None, "a code");
        let mut bad = good.clone();
        bad[17] = 0;
        assert_eq!(kind(&bad), None, "an option without length");
        let mut bad = good;
        bad[0] = 135;
        assert_eq!(kind(&bad), None, "another type");
    }
}
