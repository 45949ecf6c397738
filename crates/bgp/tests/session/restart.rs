//! Graceful restart (RFC 4724), in both roles.

use chanter_bgp::session::{
    ConnectionId, ControlMessage, Input, Output, RestartConfig, SessionConfig, State, StopMode,
};
use chanter_bgp::{Capability, Family, GracefulRestart, NotificationMessage};

use crate::support::{
    Bench, HIGHER_ID, IN, LOWER_ID, OUT, config, open, open_plain, open_restarting, secs,
};

const NEXT: ConnectionId = ConnectionId::outgoing(1);

fn restarting() -> SessionConfig {
    let mut config = config();
    config.graceful_restart = Some(RestartConfig {
        restart_time: secs(120),
        restarting_until: Some(chanter_types::Instant::from_secs(1120)),
        notification: false,
    });
    config
}

/// The restart capability of the OPEN that is sent on the connection that comes next.
fn sent_restart(bench: &mut Bench, conn: ConnectionId) -> Option<GracefulRestart> {
    bench.session.handle(Input::Connected(conn), bench.now);
    let outputs = bench.take();
    let open = outputs
        .iter()
        .find_map(|output| match output {
            Output::Send {
                message: ControlMessage::Open(open),
                ..
            } => Some(open),
            _ => None,
        })
        .expect("OPEN is sent");
    let mut capabilities = open.capabilities.iter();
    capabilities.find_map(|capability| match capability {
        Capability::GracefulRestart(restart) => Some(restart.clone()),
        _ => None,
    })
}

#[test]
fn a_first_start_has_preserved_nothing() {
    let mut bench = Bench::started(config());
    let restart = sent_restart(&mut bench, OUT).expect("offered");
    assert!(!restart.restarting);
    assert_eq!(restart.restart_time, 120);
    let families = vec![(Family::IPV4_RTC, false), (Family::L2VPN_EVPN, false)];
    assert_eq!(restart.families, families);
}

#[test]
fn after_a_restart_the_r_bit_is_set_until_the_first_session() {
    let mut bench = Bench::started(restarting());
    let restart = sent_restart(&mut bench, OUT).expect("offered");
    assert!(restart.restarting);
    assert!(restart.families.iter().all(|(_, preserved)| *preserved));
    bench.open(OUT, open(HIGHER_ID));
    bench.say(Input::Keepalive(OUT));
    bench.say(Input::Closed {
        conn: OUT,
        error: None,
    });
    bench.next_due();
    let restart = sent_restart(&mut bench, NEXT).expect("offered");
    assert!(!restart.restarting, "the peer knows");
    assert!(restart.families.iter().all(|(_, preserved)| *preserved));
}

#[test]
fn the_r_bit_is_set_only_within_the_restart_time() {
    let mut bench = Bench::started(restarting());
    bench.wait(secs(120));
    let restart = sent_restart(&mut bench, OUT).expect("offered");
    assert!(!restart.restarting);
}

#[test]
fn graceful_restart_that_is_not_wanted_is_neither_offered_nor_done() {
    let mut config = config();
    config.graceful_restart = None;
    let mut bench = Bench::started(config);
    assert_eq!(sent_restart(&mut bench, OUT), None);
    bench.open(OUT, open(HIGHER_ID));
    bench.say(Input::Keepalive(OUT));
    let (_, negotiated) = bench.session.established().expect("it is up");
    assert_eq!(negotiated.peer_restart, None);
    let down = bench.down_by(Input::Closed {
        conn: OUT,
        error: None,
    });
    assert!(down.retain.is_empty());
}

#[test]
fn a_restart_time_beyond_what_the_wire_has_is_cut() {
    let mut config = config();
    config.graceful_restart = Some(RestartConfig {
        restart_time: secs(100_000),
        restarting_until: None,
        notification: false,
    });
    let restart = sent_restart(&mut Bench::started(config), OUT).expect("offered");
    assert_eq!(restart.restart_time, 4095);
}

/// How a session ends, and whether routes are kept then.
#[test]
fn routes_are_kept_when_the_peer_goes_away_and_not_when_one_side_says_why() {
    let notification = |code, subcode| NotificationMessage::new(code, subcode, Vec::new());
    let text = String::new;
    let table = [
        (
            Input::Closed {
                conn: OUT,
                error: None,
            },
            true,
        ),
        (
            Input::Closed {
                conn: OUT,
                error: Some("reset".to_owned()),
            },
            true,
        ),
        (
            Input::Notification {
                conn: OUT,
                notification: notification(6, 2),
            },
            false,
        ),
        (
            Input::Notification {
                conn: OUT,
                notification: notification(4, 0),
            },
            false,
        ),
        (
            Input::Invalid {
                conn: OUT,
                notification: notification(3, 1),
                detail: text(),
            },
            false,
        ),
        (
            Input::Open {
                conn: OUT,
                open: open(HIGHER_ID),
            },
            false,
        ),
        (Input::Stop(StopMode::Silent), false),
        (Input::Stop(StopMode::Cease { text: text() }), false),
        (Input::Reset { text: text() }, false),
    ];
    for (input, kept) in table {
        let mut bench = Bench::established(config());
        let down = bench.down_by(input.clone());
        // Of the families that both sides have.
        let families = if kept {
            vec![Family::L2VPN_EVPN]
        } else {
            vec![]
        };
        assert_eq!(down.retain, families, "{input:?}");
        assert_eq!(
            down.restart_time,
            secs(if kept { 77 } else { 0 }),
            "{input:?}"
        );
    }
}

#[test]
fn a_peer_with_a_restart_time_of_zero_keeps_nothing() {
    let mut bench = Bench::started(config());
    bench.say(Input::Connected(OUT));
    let mut offer = open_plain(HIGHER_ID);
    offer
        .capabilities
        .push(Capability::GracefulRestart(GracefulRestart {
            notification: false,
            restarting: false,
            restart_time: 0,
            families: vec![(Family::L2VPN_EVPN, true)],
        }));
    bench.open(OUT, offer);
    bench.say(Input::Keepalive(OUT));
    let down = bench.down_by(Input::Closed {
        conn: OUT,
        error: None,
    });
    assert!(down.retain.is_empty());
}

#[test]
fn a_peer_that_comes_back_takes_the_place_of_its_old_session_and_loses_no_route() {
    for router_id in [LOWER_ID, HIGHER_ID] {
        let mut bench = Bench::established(config());
        bench.accept(0);
        assert_eq!(
            bench.session.state(),
            State::Established,
            "until OPEN comes"
        );
        bench.session.handle(
            Input::Open {
                conn: IN,
                open: open_restarting(router_id),
            },
            bench.now,
        );
        let outputs = bench.take();
        let [
            Output::Close(OUT),
            Output::Down(down),
            Output::Send { conn: IN, .. },
        ] = &outputs[..]
        else {
            panic!("{outputs:?}");
        };
        // Closed without a word: the peer would take a NOTIFICATION for the new session.
        assert_eq!(down.reason.name(), "peer-reconnected");
        assert_eq!(down.retain, [Family::L2VPN_EVPN]);
        assert_eq!(down.retry_in, None);
        assert_eq!(bench.say(Input::Keepalive(IN)), "up in0");
        let (_, negotiated) = bench.session.established().expect("it is up");
        let restart = negotiated.peer_restart.as_ref().expect("it has restarted");
        assert!(restart.restarting);
        assert!(restart.forwarding_preserved.contains(Family::L2VPN_EVPN));
    }
}

#[test]
fn a_peer_that_comes_back_without_the_r_bit_is_told_from_a_collision_by_time() {
    for (age, replaced) in [(2, false), (11, true)] {
        let mut bench = Bench::established(config());
        bench.wait(secs(age));
        bench.accept(0);
        let outputs = bench.open(IN, open(HIGHER_ID));
        if replaced {
            assert_eq!(outputs, "close, down peer-reconnected, KEEPALIVE in0");
        } else {
            assert_eq!(outputs, "KEEPALIVE, 6/7 in0, close in0, lost in0");
        }
    }
}

#[test]
fn two_connections_of_one_restart_are_a_collision() {
    let mut bench = Bench::started(config());
    bench.say(Input::Connected(OUT));
    bench.open(OUT, open_restarting(LOWER_ID));
    bench.say(Input::Keepalive(OUT));
    bench.accept(0);
    assert_eq!(
        bench.open(IN, open_restarting(LOWER_ID)),
        "KEEPALIVE, 6/7 in0, close in0, lost in0"
    );
}

#[test]
fn a_peer_that_comes_back_twice_before_it_is_up_still_gets_through() {
    let mut bench = Bench::established(config());
    bench.accept(0);
    bench.open(IN, open_restarting(HIGHER_ID));
    let again = ConnectionId::incoming(1);
    assert_eq!(
        bench.accept(1),
        "6/7 in0, close in0, lost in0, OPEN in1",
        "no second end of the session that ended already"
    );
    assert_eq!(
        bench.open(again, open_restarting(HIGHER_ID)),
        "KEEPALIVE in1"
    );
    assert_eq!(bench.say(Input::Keepalive(again)), "up in1");
}
