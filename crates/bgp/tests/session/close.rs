//! How the shell and operators end a session, and when it begins again.

use chanter_bgp::session::{
    CloseCause, ConnectionId, ControlMessage, Hold, Input, Output, State, StopMode,
};
use chanter_bgp::{Capability, Family, NotificationMessage};

use crate::support::{Bench, HIGHER_ID, IN, OUT, config, open, secs};

const EVPN: Family = Family::L2VPN_EVPN;

fn close(cause: CloseCause, hold: Hold) -> Input {
    Input::Close { cause, hold }
}

fn prefix_limit(hold: Hold) -> Input {
    let family = EVPN;
    close(
        CloseCause::PrefixLimit {
            family,
            limit: 70_000,
        },
        hold,
    )
}

/// The NOTIFICATION that goes out on `input`.
fn sent(bench: &mut Bench, input: Input) -> NotificationMessage {
    bench.session.handle(input, bench.now);
    let outputs = bench.take();
    let sent = outputs.iter().find_map(|output| match output {
        Output::Send {
            message: ControlMessage::Notification(sent),
            ..
        } => Some(sent.clone()),
        _ => None,
    });
    sent.unwrap_or_else(|| panic!("{outputs:?}"))
}

fn causes() -> Vec<(Input, u8, &'static [u8], &'static str)> {
    let because = || "more VNIs".to_owned();
    let text = || "bye".to_owned();
    vec![
        (
            prefix_limit(Hold::No),
            1,
            // RFC 4486 section 4: AFI, SAFI, upper bound.
            &[0, 25, 70, 0, 1, 0x11, 0x70],
            "Cease/Maximum Number of Prefixes Reached (l2vpn-evpn, limit 70000)",
        ),
        (
            Input::Stop(StopMode::Cease { text: text() }),
            2,
            b"\x03bye",
            "Cease/Administrative Shutdown: \"bye\"",
        ),
        (
            Input::Stop(StopMode::Deconfigured),
            3,
            b"",
            "Cease/Peer De-configured",
        ),
        (
            Input::Reset { text: text() },
            4,
            b"\x03bye",
            "Cease/Administrative Reset: \"bye\"",
        ),
        (
            close(
                CloseCause::ConfigurationChange { because: because() },
                Hold::No,
            ),
            6,
            b"",
            "Cease/Other Configuration Change",
        ),
        (
            close(CloseCause::OutOfResources { because: because() }, Hold::No),
            8,
            b"",
            "Cease/Out of Resources",
        ),
        (
            close(CloseCause::BfdDown, Hold::No),
            10,
            b"",
            "Cease/BFD Down",
        ),
    ]
}

#[test]
fn each_cause_has_its_subcode_and_data() {
    for (input, subcode, data, text) in causes() {
        let sent = sent(&mut Bench::established(config()), input);
        assert_eq!(sent, NotificationMessage::new(6, subcode, data.to_vec()));
        assert_eq!(sent.to_string(), text);
    }
}

#[test]
fn with_the_n_bit_what_is_final_goes_within_a_hard_reset() {
    for (input, subcode, data, text) in causes() {
        let mut bench = Bench::rich();
        let sent = sent(&mut bench, input.clone());
        let plain = NotificationMessage::new(6, subcode, data.to_vec());
        let down = Bench::rich().down_by(input);
        if subcode == 6 {
            // The peer is still wanted: routes stay where they are (RFC 8538 section 4).
            assert_eq!(sent, plain);
            assert_eq!(down.retain, [EVPN]);
            assert_eq!(down.restart_time, secs(77));
        } else {
            assert_eq!((sent.code, sent.subcode), (6, 9), "{text}");
            assert_eq!(sent.hard_reset_reason(), Some(plain));
            assert_eq!(sent.to_string(), format!("Cease/Hard Reset ({text})"));
            assert!(down.retain.is_empty(), "{text}");
        }
    }
}

#[test]
fn with_the_n_bit_a_notification_keeps_routes_unless_it_is_a_hard_reset() {
    let notification = |code, subcode| NotificationMessage::new(code, subcode, Vec::new());
    let received = |notification| Input::Notification {
        conn: OUT,
        notification,
    };
    let invalid = Input::Invalid {
        conn: OUT,
        notification: notification(3, 1),
        detail: String::new(),
    };
    for (input, kept) in [
        (received(notification(4, 0)), true),
        (received(notification(3, 9)), true),
        (received(notification(6, 4)), true),
        (received(notification(6, 9)), false),
        (received(notification(6, 2).into_hard_reset()), false),
        (invalid, true),
        (Input::Stop(StopMode::Silent), false),
    ] {
        let mut bench = Bench::rich();
        let down = bench.down_by(input.clone());
        assert_eq!(!down.retain.is_empty(), kept, "{input:?}");
    }
}

/// RFC 9494 section 4.2: without a part in graceful restart, a long-lived family has no restart time.
#[test]
fn a_family_that_is_long_lived_only_has_no_restart_time() {
    const IPV4: Family = Family::IPV4_UNICAST;
    let restart = |time: u16, families: &[Family]| -> (u16, Vec<(Family, bool)>) {
        (
            time,
            families.iter().map(|family| (*family, true)).collect(),
        )
    };
    let evpn_for_7200_s: &[(Family, u64)] = &[(EVPN, 7200)];
    for ((restart_time, families), long_lived, retain, times) in [
        (restart(0, &[EVPN]), evpn_for_7200_s, &[EVPN][..], (0, 7200)),
        (restart(77, &[]), evpn_for_7200_s, &[EVPN], (0, 7200)),
        (restart(77, &[IPV4]), evpn_for_7200_s, &[IPV4], (77, 7200)),
        (restart(77, &[EVPN]), evpn_for_7200_s, &[EVPN], (77, 7277)),
        (restart(77, &[IPV4]), &[], &[IPV4], (77, 77)),
        (restart(77, &[]), &[], &[], (0, 0)),
    ] {
        let mut config = crate::support::rich();
        config.families.insert(IPV4);
        let mut offer = crate::support::open_rich(HIGHER_ID);
        offer.capabilities.push(Capability::MultiProtocol(IPV4));
        for capability in &mut offer.capabilities {
            match capability {
                Capability::GracefulRestart(restart) => {
                    restart.restart_time = restart_time;
                    restart.families = families.clone();
                }
                Capability::LongLivedGracefulRestart(list) => {
                    list.retain(|one| {
                        let wanted = (one.family, one.time.as_secs());
                        long_lived.contains(&wanted)
                    });
                }
                _ => {}
            }
        }
        let mut bench = Bench::started(config);
        bench.say(Input::Connected(OUT));
        bench.open(OUT, offer);
        bench.say(Input::Keepalive(OUT));
        let down = bench.down_by(Input::Closed {
            conn: OUT,
            error: None,
        });
        let (restart_time, retain_time) = times;
        assert_eq!(down.retain, retain);
        assert_eq!(down.restart_time, secs(restart_time), "{retain:?}");
        assert_eq!(down.retain_time, secs(retain_time), "{retain:?}");
    }
}

#[test]
fn after_too_many_prefixes_the_session_rests_and_then_tries_again() {
    let mut bench = Bench::established(config());
    let start = bench.now;
    assert_eq!(
        bench.say(prefix_limit(Hold::For(secs(300)))),
        "6/1, close, down ceased"
    );
    assert_eq!(bench.session.state(), State::Idle);
    assert_eq!(bench.session.idle_until(), Some(start + secs(300)));
    let why = bench.session.held().expect("it is held").to_string();
    assert_eq!(
        why,
        "closed by this speaker: the peer has more routes of l2vpn-evpn than the 70000 that are \
         allowed; sent NOTIFICATION Cease/Maximum Number of Prefixes Reached (l2vpn-evpn, limit \
         70000)"
    );
    // The peer is told, and nothing is tried meanwhile.
    bench.wait(secs(10));
    assert_eq!(bench.accept(0), "6/5 in0, close in0");
    assert_eq!(bench.next_due(), "connect out1");
    assert_eq!(bench.now, start + secs(300));
    assert_eq!(bench.session.held(), None);
    assert_eq!(bench.session.state(), State::Connect);
}

#[test]
fn a_passive_session_that_rested_lets_the_peer_in_again() {
    let mut config = config();
    config.passive = true;
    let mut bench = Bench::started(config);
    bench.accept(0);
    bench.open(IN, open(HIGHER_ID));
    bench.say(Input::Keepalive(IN));
    bench.say(prefix_limit(Hold::For(secs(60))));
    assert_eq!(bench.next_due(), "");
    assert_eq!(bench.session.state(), State::Active);
    assert_eq!(bench.accept(1), "OPEN in1");
}

#[test]
fn without_a_time_only_an_operator_ends_the_rest() {
    for (word, outputs, state) in [
        (Input::Start, "connect out1", State::Connect),
        (
            Input::Reset {
                text: String::new(),
            },
            "connect out1",
            State::Connect,
        ),
        (Input::Stop(StopMode::Silent), "", State::Idle),
    ] {
        let mut bench = Bench::established(config());
        bench.say(prefix_limit(Hold::UntilStarted));
        assert_eq!(bench.session.next_deadline(), None);
        assert_eq!(bench.session.state(), State::Idle);
        assert_eq!(bench.say(word), outputs);
        assert_eq!(bench.session.state(), state);
        assert_eq!(bench.session.held(), None);
    }
}

#[test]
fn a_close_without_a_rest_tries_again() {
    let mut bench = Bench::established(config());
    let down = bench.down_by(close(CloseCause::BfdDown, Hold::No));
    assert!(down.retry_in.is_some_and(|wait| wait <= secs(1)));
    assert_eq!(bench.session.state(), State::Active);
    // Nothing there: nothing to close.
    assert_eq!(bench.say(close(CloseCause::BfdDown, Hold::No)), "");
}

#[test]
fn a_peer_that_is_shut_down_is_told_when_it_connects_and_can_be_started_again() {
    for (mode, rejection) in [
        (StopMode::Silent, "close in0"),
        (
            StopMode::Cease {
                text: String::new(),
            },
            "6/5 in0, close in0",
        ),
        (StopMode::Deconfigured, "6/5 in0, close in0"),
    ] {
        let mut bench = Bench::established(config());
        bench.say(Input::Stop(mode));
        assert_eq!(bench.accept(0), rejection);
        assert_eq!(bench.session.state(), State::Idle);
        assert_eq!(bench.say(Input::Start), "connect out1");
    }
}

/// A session that is Established on incoming connection `number`.
fn up(bench: &mut Bench, number: u32) -> bool {
    let conn = ConnectionId::incoming(number);
    if bench.accept(number).starts_with("6/5") {
        return false;
    }
    bench.open(conn, open(HIGHER_ID));
    bench.say(Input::Keepalive(conn));
    assert_eq!(bench.session.state(), State::Established);
    true
}

#[test]
fn a_peer_that_sends_errors_again_and_again_is_kept_out_for_a_while() {
    let mut config = config();
    config.passive = true;
    let mut bench = Bench::started(config);
    for number in 0..4 {
        assert!(up(&mut bench, number), "{number}");
        let conn = ConnectionId::incoming(number);
        bench.say(Input::Invalid {
            conn,
            notification: NotificationMessage::new(3, 1, Vec::new()),
            detail: String::new(),
        });
    }
    assert!(!up(&mut bench, 4));
    bench.wait(secs(7));
    assert!(!up(&mut bench, 5));
    bench.wait(secs(1));
    assert!(up(&mut bench, 6), "after 8 s");
    // One that only goes away is always let in.
    for number in 7..20 {
        bench.say(Input::Closed {
            conn: ConnectionId::incoming(number - 1),
            error: None,
        });
        assert!(up(&mut bench, number));
    }
}

#[test]
fn rejection_ends_with_an_operators_word() {
    let mut config = config();
    config.passive = true;
    let mut bench = Bench::started(config);
    for number in 0..4 {
        up(&mut bench, number);
        let conn = ConnectionId::incoming(number);
        bench.open(conn, open(HIGHER_ID));
    }
    assert!(!up(&mut bench, 4));
    bench.say(Input::Reset {
        text: String::new(),
    });
    assert!(up(&mut bench, 5));
}

#[test]
fn the_peers_words_are_made_fit_for_a_terminal() {
    let shutdown = |data: &[u8]| NotificationMessage::new(6, 2, data.to_vec());
    for (data, text) in [
        (&b"\x03bye"[..], Some("bye")),
        // RFC 9003 section 2: not UTF-8 is the sender's fault, and no reason to hide the rest.
        (b"\x04a\xff\x1bb", Some("a\u{fffd}\u{fffd}b")),
        // Octets behind the text do not count; a length that is wrong is no text.
        (b"\x01xyz", Some("x")),
        (b"\x05xyz", None),
        (b"\x00", None),
        (b"", None),
    ] {
        let notification = shutdown(data);
        assert_eq!(notification.text().as_deref(), text);
        assert_eq!(notification.into_hard_reset().text().as_deref(), text);
    }
    let long = [&[255][..], &[b'x'; 255]].concat();
    assert_eq!(shutdown(&long).text(), Some("x".repeat(255)));
    // A limit is told by a sender that knows it (RFC 4486 section 4).
    let limit = |data: &[u8]| NotificationMessage::new(6, 1, data.to_vec()).prefix_limit();
    let evpn = Some((EVPN, 70_000));
    assert_eq!(limit(&[0, 25, 70, 0, 1, 0x11, 0x70]), evpn);
    assert_eq!(limit(&[0, 25, 70, 0, 1, 0x11]), None);
    assert_eq!(limit(&[]), None);
}
