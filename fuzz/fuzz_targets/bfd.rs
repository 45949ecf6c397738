//! A BFD control packet, and sessions that are given it: in every state, at once and later.

#![no_main]

use std::time::Duration;

use chanter_bfd::Packet;
use chanter_bfd::session::{Session, Timers};
use chanter_types::Instant;
use libfuzzer_sys::fuzz_target;

const LEN: usize = chanter_bfd::packet::PACKET_LEN;

fuzz_target!(|octets: &[u8]| {
    let interval = Duration::from_millis(50);
    let timers = Timers::new(interval, interval, 3);
    let mut now = Instant::ZERO;
    let mut session = Session::new(7, timers, 7, now);
    for part in octets.chunks(LEN + 2) {
        let Ok(packet) = Packet::decode(part) else {
            continue;
        };
        if packet.authentication.is_none() {
            assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
        let _ = session.receive(&packet, now);
        // A poll is answered and a change is said: no more than a few at once.
        let sent = std::iter::from_fn(|| session.poll_transmit(now)).take(10).count();
        assert!(sent < 10);
        if let Some(deadline) = session.next_deadline() {
            now = now.max(deadline);
            session.handle_deadline(now);
        }
        let _ = session.poll_transition();
    }
});
