//! The codec, and the checks of RFC 5880 section 6.8.6 in their order.

use chanter_bfd::{BfdState, Diagnostic, Discard, Packet};
use proptest::prelude::*;

/// A session that is Up, 3 times 300 ms; by hand from section 4.1.
const VECTOR: [u8; 24] = [
    0x20, 0xc0, 0x03, 0x18, 0x8a, 0x2b, 0x4f, 0x11, 0x00, 0x00, 0x10, 0x01, 0x00, 0x04, 0x93, 0xe0,
    0x00, 0x04, 0x93, 0xe0, 0x00, 0x00, 0xc3, 0x50,
];

#[test]
fn a_packet_is_read_field_by_field() {
    let packet = Packet::decode(&VECTOR).unwrap();
    assert_eq!(packet.state, BfdState::Up);
    assert_eq!(packet.diagnostic, Diagnostic::NONE);
    assert_eq!(
        (packet.poll, packet.is_final, packet.demand),
        (false, false, false)
    );
    assert_eq!(packet.detect_mult, 3);
    assert_eq!(packet.my_discriminator, 0x8a2b_4f11);
    assert_eq!(packet.your_discriminator, 0x1001);
    assert_eq!(
        (packet.desired_min_tx, packet.required_min_rx),
        (300_000, 300_000)
    );
    assert_eq!(packet.required_min_echo_rx, 50_000);
    assert_eq!(packet.encode(), VECTOR);
}

/// Each line spoils one more field, so that several checks fail at once and the first one counts.
#[test]
fn the_first_check_that_fails_is_named() {
    let mut octets = VECTOR.to_vec();
    octets[8..12].fill(0);
    let mut spoilt = vec![(
        octets.clone(),
        Discard::StateWithoutDiscriminator(BfdState::Up),
    )];
    let mut spoil = |at: usize, value: &[u8], expected| {
        octets[at..at + value.len()].copy_from_slice(value);
        spoilt.push((octets.clone(), expected));
    };
    spoil(4, &[0; 4], Discard::MyDiscriminatorZero);
    spoil(1, &[0xc1], Discard::Multipoint);
    spoil(2, &[0], Discard::DetectMultZero);
    spoil(3, &[25], Discard::LengthTooHigh(25));
    spoil(3, &[23], Discard::LengthTooLow(23));
    spoil(0, &[0x40], Discard::Version(2));
    for (octets, expected) in spoilt {
        assert_eq!(Packet::decode(&octets), Err(expected), "{octets:x?}");
    }
    for len in 0..24 {
        let expected = Discard::Short(len);
        assert_eq!(Packet::decode(&VECTOR[..len]), Err(expected));
    }
}

#[test]
fn authentication_is_recognised_and_needs_room() {
    let mut octets = VECTOR.to_vec();
    octets[1] |= 0x04;
    assert_eq!(Packet::decode(&octets), Err(Discard::LengthTooLow(24)));
    octets.extend([4, 28]);
    octets[3] = 26;
    let packet = Packet::decode(&octets).unwrap();
    assert_eq!(packet.authentication, Some(4));
    let text = Discard::Authenticated(4).to_string();
    assert!(
        text.contains("keyed SHA1") && text.contains("not supported"),
        "{text}"
    );
}

/// Section 6.8.6: what follows the length that the header says is not looked at.
#[test]
fn octets_behind_the_packet_are_ignored() {
    let mut octets = VECTOR.to_vec();
    octets.extend([0xff; 100]);
    assert_eq!(Packet::decode(&octets), Packet::decode(&VECTOR));
}

proptest! {
    #[test]
    fn what_is_accepted_is_written_as_it_was_read(
        mut octets in prop::collection::vec(any::<u8>(), 24),
        state in 0u8..4,
    ) {
        octets[0] = 0x20 | (octets[0] & 0x1f);
        octets[1] = state << 6 | (octets[1] & 0x3a);
        octets[2] = octets[2].max(1);
        octets[3] = 24;
        octets[4] |= 1;
        octets[8] |= 1;
        let packet = Packet::decode(&octets).unwrap();
        prop_assert_eq!(packet.encode().to_vec(), octets);
    }

    #[test]
    fn nothing_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(packet) = Packet::decode(&octets) {
            prop_assert!(packet.detect_mult != 0 && packet.my_discriminator != 0);
        }
    }
}
