//! A session with a peer that the test plays.

use std::time::Duration;

use chanter_bfd::session::{Session, Timers};
use chanter_bfd::{BfdState, Diagnostic, Packet};
use chanter_types::Instant;

pub(crate) const OURS: u32 = 0x1001;
pub(crate) const THEIRS: u32 = 0x2002;

pub(crate) fn timers(millis: u64, multiplier: u8) -> Timers {
    let interval = Duration::from_millis(millis);
    Timers::new(interval, interval, multiplier)
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// What a peer in `state` would send that wants 3 times 100 ms.
pub(crate) fn from_peer(state: BfdState) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        authentication: None,
        demand: false,
        detect_mult: 3,
        my_discriminator: THEIRS,
        your_discriminator: OURS,
        desired_min_tx: 100_000,
        required_min_rx: 100_000,
        required_min_echo_rx: 0,
    }
}

/// All that the session sends at once.
pub(crate) fn sent(session: &mut Session, now: Instant) -> Vec<Packet> {
    std::iter::from_fn(|| session.poll_transmit(now)).collect()
}

/// A session in `state` at `at(0)`, its outputs drained and its polls answered.
pub(crate) fn in_state(state: BfdState, timers: Timers) -> Session {
    let mut session = Session::new(OURS, timers, 7, at(0));
    match state {
        BfdState::AdminDown => session.take_down(at(0)),
        BfdState::Down => {}
        BfdState::Init => session.receive(&from_peer(BfdState::Down), at(0)).unwrap(),
        BfdState::Up => session.receive(&from_peer(BfdState::Init), at(0)).unwrap(),
    }
    settle(&mut session, at(0));
    assert_eq!(session.state(), state);
    session
}

/// Drains the outputs, and answers polls as the peer would, in the state that it last said.
pub(crate) fn settle(session: &mut Session, now: Instant) {
    while sent(session, now).iter().any(|packet| packet.poll) {
        let answer = Packet {
            is_final: true,
            ..from_peer(session.remote().state)
        };
        session.receive(&answer, now).unwrap();
    }
    while session.poll_transition().is_some() {}
}
