//! Timers, by moving the time.

use chanter_bgp::session::{DownReason, Input, SessionTimes, State};
use chanter_types::Instant;

use crate::support::{Bench, HIGHER_ID, IN, OUT, config, open, secs};

/// Lets the time pass until `deadline` or until something else than KEEPALIVE happens; returns how
/// many KEEPALIVEs were sent and what else happened.
fn pass_until(bench: &mut Bench, deadline: Instant) -> (usize, String) {
    let mut keepalives = 0;
    while bench
        .session
        .next_deadline()
        .is_some_and(|at| at <= deadline)
    {
        match bench.next_due().as_str() {
            "KEEPALIVE" => keepalives += 1,
            other => return (keepalives, other.to_owned()),
        }
    }
    bench.now = deadline;
    (keepalives, String::new())
}

#[test]
fn silence_for_the_hold_time_ends_the_session_and_routes_are_kept() {
    // The peer offers 30 s, we 90 s: the smaller counts.
    let mut bench = Bench::established(config());
    let start = bench.now;
    let (_, rest) = pass_until(&mut bench, start + secs(29));
    assert_eq!(rest, "");
    bench.session.handle_deadline(start + secs(30));
    let down = bench.take_down();
    assert_eq!(down.reason, DownReason::HoldTimerExpired(secs(30)));
    assert_eq!(down.restart_time, secs(77));
    assert!(!down.retain.is_empty());
}

#[test]
fn the_peer_is_told_that_the_hold_timer_expired() {
    let mut bench = Bench::established(config());
    bench.session.handle_deadline(bench.now + secs(30));
    assert_eq!(bench.outputs(), "4/0, close, down hold-timer-expired");
}

#[test]
fn keepalives_and_updates_and_unread_octets_restart_the_hold_timer_others_do_not() {
    let refresh = Input::RouteRefresh {
        conn: OUT,
        refresh: chanter_bgp::RouteRefreshMessage::request(chanter_bgp::Family::IPV6_UNICAST),
    };
    for (input, restarts) in [
        (Input::Keepalive(OUT), true),
        (Input::Update(OUT), true),
        (Input::Unread(OUT), true),
        (Input::Written(OUT), false),
        (refresh, false),
    ] {
        let mut bench = Bench::established(config());
        let start = bench.now;
        assert_eq!(pass_until(&mut bench, start + secs(25)).1, "");
        bench.say(input.clone());
        let (_, rest) = pass_until(&mut bench, start + secs(54));
        assert_eq!(rest.is_empty(), restarts, "{input:?}: {rest}");
    }
}

#[test]
fn keepalives_are_sent_every_third_of_the_hold_time_with_jitter() {
    let mut bench = Bench::established(config());
    let start = bench.now;
    let mut sent = 0;
    for minute in 0..60 {
        for part in [20, 40, 60] {
            let (keepalives, rest) = pass_until(&mut bench, start + secs(minute * 60 + part));
            assert_eq!(rest, "");
            sent += keepalives;
            bench.say(Input::Keepalive(OUT));
            bench.say(Input::Written(OUT));
        }
    }
    // 10 s times 0.75 to 1.0: 360 to 480 in an hour.
    assert!((380..=460).contains(&sent), "{sent}");
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_though_it_talks() {
    let mut bench = Bench::established(config());
    let start = bench.now;
    bench.say(Input::Written(OUT));
    let mut rest = String::new();
    for step in 1..100 {
        rest = pass_until(&mut bench, start + secs(step * 10)).1;
        if !rest.is_empty() {
            break;
        }
        bench.say(Input::Keepalive(OUT));
    }
    assert_eq!(rest, "8/0, close, down send-hold-timer-expired");
    assert_eq!(bench.now, start + secs(480));
}

#[test]
fn a_hold_time_of_zero_means_no_timers_once_established() {
    let mut bench = Bench::started(config());
    bench.say(Input::Connected(OUT));
    let mut offer = open(HIGHER_ID);
    offer.hold_time = 0;
    bench.open(OUT, offer);
    // The wait for the first KEEPALIVE has an end all the same.
    assert!(bench.session.next_deadline().is_some());
    bench.say(Input::Keepalive(OUT));
    assert_eq!(bench.session.state(), State::Established);
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn a_peer_that_says_nothing_is_given_up_after_four_minutes() {
    let mut bench = Bench::in_state(State::OpenSent);
    let start = bench.now;
    assert_eq!(bench.next_due(), "4/0, close, failed no-open");
    assert_eq!(bench.now, start + secs(240));
}

#[test]
fn a_peer_that_does_not_confirm_is_given_up_after_the_hold_time() {
    let mut bench = Bench::in_state(State::OpenConfirm);
    let start = bench.now;
    let (_, rest) = pass_until(&mut bench, start + secs(30));
    assert_eq!(rest, "4/0, close, failed no-keepalive");
}

#[test]
fn connecting_has_a_limit() {
    let mut bench = Bench::started(config());
    let start = bench.now;
    assert_eq!(bench.next_due(), "close, failed connect-timeout");
    assert_eq!(bench.now, start + secs(10));
    assert_eq!(bench.session.state(), State::Active);
    assert_eq!(bench.next_due(), "connect out1");
}

#[test]
fn attempts_become_rarer_and_start_anew_after_a_session() {
    let mut bench = Bench::started(config());
    let mut number = 0;
    let mut waits = Vec::new();
    let fail = |bench: &mut Bench, number: u32| {
        let conn = chanter_bgp::session::ConnectionId::outgoing(number);
        let error = "refused".to_owned();
        bench.say(Input::ConnectFailed { conn, error });
        let before = bench.now;
        bench.next_due();
        bench.now.saturating_since(before)
    };
    for _ in 0..8 {
        waits.push(fail(&mut bench, number));
        number += 1;
    }
    for (wait, full) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30, 30]) {
        assert!(
            *wait <= secs(full) && *wait >= secs(full) * 3 / 4,
            "{waits:?}"
        );
    }
    // The first wait after a session: that it is up makes good for failed attempts, short sessions in
    // a row are damped, and longer ones take that back.
    for (lasted, first_wait) in [(5, 1), (5, 2), (5, 4), (31, 2), (5, 4), (90, 1)] {
        let conn = chanter_bgp::session::ConnectionId::outgoing(number);
        bench.say(Input::Connected(conn));
        bench.open(conn, open(HIGHER_ID));
        bench.say(Input::Keepalive(conn));
        for _ in 0..lasted {
            bench.wait(secs(1));
            bench.say(Input::Keepalive(conn));
        }
        let down = bench.down_by(Input::Closed { conn, error: None });
        let wait = down.retry_in.expect("it connects again");
        assert!(
            wait <= secs(first_wait) && wait >= secs(first_wait) / 2,
            "{wait:?}"
        );
        bench.next_due();
        number += 1;
    }
}

#[test]
fn seeds_differ_and_repeat() {
    let wait = |seed| {
        let mut config = config();
        config.seed = seed;
        let mut bench = Bench::started(config);
        let error = "refused".to_owned();
        bench.say(Input::ConnectFailed { conn: OUT, error });
        bench.session.next_deadline()
    };
    assert_eq!(wait(1), wait(1));
    assert_ne!(wait(1), wait(2));
}

#[test]
fn a_passive_session_never_connects() {
    let mut config = config();
    config.passive = true;
    config.times = SessionTimes::default();
    let mut bench = Bench::started(config);
    assert_eq!(bench.session.state(), State::Active);
    assert_eq!(bench.session.next_deadline(), None);
    assert_eq!(bench.accept(0), "OPEN in0");
    assert_eq!(bench.open(IN, open(HIGHER_ID)), "KEEPALIVE in0");
    assert_eq!(bench.say(Input::Keepalive(IN)), "up in0");
    let down = bench.down_by(Input::Closed {
        conn: IN,
        error: None,
    });
    assert_eq!(down.retry_in, None);
    assert_eq!(bench.session.next_deadline(), None);
}
