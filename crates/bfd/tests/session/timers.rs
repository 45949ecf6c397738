//! When packets go out, when silence is a failure, and how both change (RFC 5880 sections 6.5 and
//! 6.8.2 to 6.8.7).

use std::time::Duration;

use chanter_bfd::BfdState::{AdminDown, Down, Init, Up};
use chanter_bfd::Packet;
use chanter_bfd::session::{Session, Timers};

use crate::support::{OURS, at, from_peer, in_state, sent, settle, timers};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs the timers until `end`, the peer's packets coming every 50 ms, and returns when periodic
/// packets went out.
fn run(session: &mut Session, start: u64, end: u64) -> Vec<u64> {
    let mut times = Vec::new();
    for now in start..end {
        if now % 50 == 0 {
            session.receive(&from_peer(Up), at(now)).unwrap();
        }
        if session.next_deadline().is_some_and(|due| due <= at(now)) {
            session.handle_deadline(at(now));
        }
        times.extend(sent(session, at(now)).iter().map(|_| now));
    }
    times
}

#[test]
fn not_up_is_slow_and_up_is_as_asked_for() {
    for (state, interval) in [(Down, 1000), (Init, 1000), (AdminDown, 1000), (Up, 100)] {
        let session = in_state(state, timers(20, 3));
        assert_eq!(
            session.transmit_interval(),
            Some(millis(interval)),
            "{state}"
        );
    }
    // Slower than a second stays what it is.
    let session = in_state(Down, timers(5000, 3));
    assert_eq!(session.transmit_interval(), Some(millis(5000)));
}

#[test]
fn intervals_are_jittered_by_at_most_a_quarter() {
    for (multiplier, most) in [(3, 100), (1, 90)] {
        let mut session = in_state(Up, timers(100, multiplier));
        let times = run(&mut session, 1, 60_000);
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (least, longest) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        // The test's clock ticks in milliseconds, so a gap may be one longer.
        assert!(*least >= 75 && *longest <= most + 1, "{least} to {longest}");
        assert!(gaps.len() > 600, "{}", gaps.len());
    }
}

#[test]
fn the_detection_time_is_the_peers_multiplier_times_the_slower_interval() {
    for (ours, theirs, multiplier, expected) in
        [(100, 100, 3, 300), (300, 50, 3, 900), (50, 400, 5, 2000)]
    {
        let mut session = in_state(Up, timers(ours, 9));
        let packet = Packet {
            desired_min_tx: theirs * 1000,
            detect_mult: multiplier,
            ..from_peer(Up)
        };
        session.receive(&packet, at(10)).unwrap();
        assert_eq!(session.detection_time(), Some(millis(expected)));
        while let Some(due) = session.next_deadline()
            && due < at(10 + expected)
        {
            session.handle_deadline(due);
            settle(&mut session, due);
        }
        assert_eq!(session.state(), Up);
        session.handle_deadline(at(10 + expected));
        assert_eq!(session.state(), Down);
    }
}

#[test]
fn a_poll_is_answered_at_once_whatever_the_timer_says() {
    let mut session = in_state(Up, timers(100, 3));
    let poll = Packet {
        poll: true,
        ..from_peer(Up)
    };
    session.receive(&poll, at(50)).unwrap();
    let packets = sent(&mut session, at(50));
    assert_eq!(packets.len(), 1);
    assert!(packets[0].is_final && !packets[0].poll);
}

#[test]
fn coming_up_polls_until_the_answer() {
    let mut session = Session::new(OURS, timers(100, 3), 1, at(0));
    session.receive(&from_peer(Init), at(0)).unwrap();
    let first = sent(&mut session, at(0));
    assert!(
        first[0].poll && first[0].desired_min_tx == 100_000,
        "{first:?}"
    );
    session.receive(&from_peer(Up), at(50)).unwrap();
    session.handle_deadline(at(100));
    assert!(sent(&mut session, at(100))[0].poll);
    let answer = Packet {
        is_final: true,
        ..from_peer(Up)
    };
    session.receive(&answer, at(110)).unwrap();
    session.handle_deadline(at(250));
    assert!(!sent(&mut session, at(250))[0].poll);
}

/// Section 6.8.3: an increase of ours waits for the answer, a decrease does not.
#[test]
fn a_slower_transmission_waits_for_the_final_bit() {
    let mut session = in_state(Up, timers(100, 3));
    let slower = Timers {
        min_tx: 400_000,
        ..timers(100, 3)
    };
    session.set_timers(slower, at(50));
    let asked = sent(&mut session, at(50));
    assert!(asked[0].poll && asked[0].desired_min_tx == 400_000);
    assert_eq!(session.transmit_interval(), Some(millis(100)));
    settle_answer(&mut session);
    assert_eq!(session.transmit_interval(), Some(millis(400)));

    session.set_timers(timers(150, 3), at(90));
    assert_eq!(session.transmit_interval(), Some(millis(150)));
}

/// Section 6.8.3: a shorter detection waits until the peer has answered, a longer one does not.
#[test]
fn a_faster_reception_waits_for_the_final_bit() {
    let mut session = in_state(Up, timers(500, 3));
    assert_eq!(session.detection_time(), Some(millis(1500)));
    let faster = Timers {
        min_rx: 200_000,
        ..timers(500, 3)
    };
    session.set_timers(faster, at(50));
    let asked = sent(&mut session, at(50));
    assert!(asked[0].poll && asked[0].required_min_rx == 200_000);
    assert_eq!(session.detection_time(), Some(millis(1500)));
    settle_answer(&mut session);
    assert_eq!(session.detection_time(), Some(millis(600)));

    session.set_timers(timers(700, 3), at(90));
    assert_eq!(session.detection_time(), Some(millis(2100)));
}

/// The answer may be about the first change: the second one asks again.
#[test]
fn a_change_during_a_poll_polls_again() {
    let mut session = in_state(Up, timers(100, 3));
    for min_tx in [300_000, 600_000] {
        let slower = Timers {
            min_tx,
            ..timers(100, 3)
        };
        session.set_timers(slower, at(50));
    }
    assert!(sent(&mut session, at(50))[0].poll);
    settle_answer(&mut session);
    assert_eq!(session.transmit_interval(), Some(millis(100)));
    assert!(sent(&mut session, at(75))[0].poll);
    settle_answer(&mut session);
    assert_eq!(session.transmit_interval(), Some(millis(600)));
    assert_eq!(session.state(), Up);
}

fn settle_answer(session: &mut Session) {
    let answer = Packet {
        is_final: true,
        ..from_peer(Up)
    };
    session.receive(&answer, at(75)).unwrap();
}

/// Section 6.8.7: a peer that cannot receive is sent nothing, but still answered.
#[test]
fn required_min_rx_zero_silences_us() {
    let mut session = in_state(Up, timers(100, 3));
    let deaf = Packet {
        required_min_rx: 0,
        poll: true,
        ..from_peer(Up)
    };
    session.receive(&deaf, at(50)).unwrap();
    assert_eq!(session.transmit_interval(), None);
    assert!(sent(&mut session, at(50))[0].is_final);
    session.handle_deadline(at(250));
    assert!(sent(&mut session, at(250)).is_empty());
    // The peer is still watched, and one that comes back after a silence is spoken to again.
    session.handle_deadline(at(350));
    assert_eq!(session.state(), Down);
    assert!(session.transmit_interval().is_some());
}

/// Section 6.6: Demand mode of the peer stops periodic packets while both are Up.
#[test]
fn demand_mode_of_the_peer_is_honoured() {
    let mut session = in_state(Up, timers(100, 3));
    let demand = Packet {
        demand: true,
        ..from_peer(Up)
    };
    session.receive(&demand, at(50)).unwrap();
    assert_eq!(session.transmit_interval(), None);
    session.set_timers(timers(200, 3), at(75));
    assert!(
        sent(&mut session, at(75))[0].poll,
        "a poll sequence is sent all the same"
    );
    let not_up = Packet {
        demand: true,
        ..from_peer(Init)
    };
    session.receive(&not_up, at(90)).unwrap();
    assert!(session.transmit_interval().is_some());
}

#[test]
fn echo_is_never_offered() {
    let mut session = in_state(Up, timers(100, 3));
    let poll = Packet {
        poll: true,
        ..from_peer(Up)
    };
    session.receive(&poll, at(50)).unwrap();
    assert_eq!(sent(&mut session, at(50))[0].required_min_echo_rx, 0);
}

/// What has changed is said at once, but not again within 20 ms: late packets that look like changes
/// of the peer make no storm.
#[test]
fn changes_are_not_said_faster_than_they_can_be_answered() {
    let mut session = in_state(Up, timers(100, 3));
    let mut times = Vec::new();
    for now in 30..1030 {
        let state = if now % 2 == 0 { Down } else { Init };
        session.receive(&from_peer(state), at(now)).unwrap();
        if session.next_deadline().is_some_and(|due| due <= at(now)) {
            session.handle_deadline(at(now));
        }
        times.extend(sent(&mut session, at(now)).iter().map(|_| now));
    }
    assert_eq!(times[0], 30);
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 20),
        "{times:?}"
    );
    assert!(times.len() >= 40, "{times:?}");
}
