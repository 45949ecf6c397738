//! Which of two connections to one peer is kept (RFC 4271 section 6.8).

use std::net::Ipv4Addr;

use chanter_types::Asn;

use super::event::Direction;

/// What decides a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Speaker {
    // The order of the fields is the order of comparison: the BGP identifier as a number, and
    // among equal ones, which only speakers of different ASes may have, the AS (RFC 6286 section
    // 2.3).
    pub(super) router_id: Ipv4Addr,
    pub(super) asn: Asn,
}

/// Which connections are kept: those opened by the speaker that compares higher. Both sides come to
/// the same answer, whichever OPEN each of them sees first.
pub(super) fn preferred(local: Speaker, remote: Speaker) -> Direction {
    if local > remote {
        Direction::Outgoing
    } else {
        Direction::Incoming
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(router_id: [u8; 4], asn: u32) -> Speaker {
        Speaker {
            router_id: router_id.into(),
            asn: Asn(asn),
        }
    }

    #[test]
    fn both_sides_prefer_the_same_connection() {
        let table = [
            (speaker([1, 0, 0, 1], 1), speaker([1, 0, 0, 2], 1)),
            // As numbers, not octet by octet from the right.
            (speaker([9, 0, 0, 9], 1), speaker([10, 0, 0, 1], 1)),
            (speaker([127, 0, 0, 1], 1), speaker([128, 0, 0, 1], 1)),
            // The AS decides only between equal identifiers.
            (speaker([1, 0, 0, 1], 9), speaker([1, 0, 0, 2], 1)),
            (speaker([1, 0, 0, 1], 1), speaker([1, 0, 0, 1], 65536)),
        ];
        for (lower, higher) in table {
            assert_eq!(preferred(higher, lower), Direction::Outgoing, "{higher:?}");
            assert_eq!(preferred(lower, higher), Direction::Incoming, "{lower:?}");
        }
    }
}
