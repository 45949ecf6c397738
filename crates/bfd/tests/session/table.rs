//! Every state with every event (RFC 5880 sections 6.2 and 6.8.6).

use chanter_bfd::BfdState::{self, AdminDown, Down, Init, Up};
use chanter_bfd::{Diagnostic, Discard, Packet};

use crate::support::{at, from_peer, in_state, sent, timers};

const STATES: [BfdState; 4] = [AdminDown, Down, Init, Up];

/// The state after a packet of a peer in the state of the column.
#[rustfmt::skip]
const AFTER_PACKET: [(BfdState, [BfdState; 4]); 4] = [
    //           AdminDown  Down       Init       Up
    (AdminDown, [AdminDown, AdminDown, AdminDown, AdminDown]),
    (Down,      [Down,      Init,      Up,        Down]),
    (Init,      [Down,      Init,      Up,        Up]),
    (Up,        [Down,      Down,      Up,        Up]),
];

#[test]
fn every_state_with_every_packet() {
    for (state, expected) in AFTER_PACKET {
        for (remote, expected) in STATES.into_iter().zip(expected) {
            let mut session = in_state(state, timers(100, 3));
            let result = session.receive(&from_peer(remote), at(50));
            let discarded = (state == AdminDown).then_some(Discard::AdminDown);
            assert_eq!(result.err(), discarded);
            assert_eq!(session.state(), expected, "{state}, peer {remote}");
            let transition = session.poll_transition();
            assert_eq!(transition.is_some(), state != expected);
            if expected == Down && state != Down {
                let diagnostic = Diagnostic::NEIGHBOR_SIGNALED_DOWN;
                assert_eq!(session.diagnostic(), diagnostic, "{state}, peer {remote}");
            }
            // Section 6.8.7: what is to be said has changed, so it is said at once.
            let packets = sent(&mut session, at(50));
            assert_eq!(
                packets.is_empty(),
                state == expected,
                "{state}, peer {remote}"
            );
        }
    }
}

#[test]
fn every_state_after_the_detection_time() {
    for state in STATES {
        let mut session = in_state(state, timers(100, 3));
        session.handle_deadline(at(299));
        assert_eq!(session.state(), state);
        session.handle_deadline(at(300));
        let expected = match state {
            AdminDown => AdminDown,
            _ => Down,
        };
        assert_eq!(session.state(), expected, "{state}");
        if matches!(state, Init | Up) {
            assert_eq!(session.diagnostic(), Diagnostic::DETECTION_TIME_EXPIRED);
            // Section 6.8.1: forgotten, so that whoever comes next is found by address.
            let packets = sent(&mut session, at(300));
            assert_eq!(packets[0].your_discriminator, 0);
            assert_eq!(packets[0].state, Down);
            assert_eq!(packets[0].diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
        }
    }
}

#[test]
fn every_state_taken_down_and_brought_up() {
    for state in STATES {
        let mut session = in_state(state, timers(100, 3));
        session.take_down(at(50));
        assert_eq!(session.state(), AdminDown);
        if state != AdminDown {
            let packets = sent(&mut session, at(50));
            assert_eq!(packets[0].state, AdminDown);
            assert_eq!(packets[0].diagnostic, Diagnostic::ADMINISTRATIVELY_DOWN);
        }
        session.bring_up();
        assert_eq!(session.state(), Down);
    }
}

#[test]
fn authentication_is_refused_and_changes_nothing() {
    for state in [Down, Init, Up] {
        let mut session = in_state(state, timers(100, 3));
        let before = *session.remote();
        let packet = Packet {
            authentication: Some(5),
            my_discriminator: 99,
            ..from_peer(Down)
        };
        let result = session.receive(&packet, at(50));
        assert_eq!(result, Err(Discard::Authenticated(5)));
        assert_eq!((session.state(), *session.remote()), (state, before));
    }
}

/// A peer that has restarted knows nothing of us and is another number.
#[test]
fn a_peer_that_restarted_is_noticed_at_its_first_packet() {
    let mut session = in_state(Up, timers(100, 3));
    let first = Packet {
        my_discriminator: 77,
        your_discriminator: 0,
        ..from_peer(Down)
    };
    session.receive(&first, at(50)).unwrap();
    assert_eq!(session.state(), Down);
    session.receive(&first, at(60)).unwrap();
    let second = Packet {
        my_discriminator: 77,
        ..from_peer(Init)
    };
    session.receive(&second, at(70)).unwrap();
    assert_eq!((session.state(), session.remote().discriminator), (Up, 77));
}
