//! ROUTE-REFRESH, both ways (RFC 2918, RFC 7313).

use chanter_bgp::session::{ConnectionId, Input, State};
use chanter_bgp::{
    Capability, Family, MESSAGE_LEN_EXTENDED, Message, NotificationMessage, RefreshKind,
    RouteRefreshMessage, decode_message, frame_len,
};

use crate::support::{Bench, HIGHER_ID, OUT, config, open_plain};

const EVPN: Family = Family::L2VPN_EVPN;

fn say(bench: &mut Bench, family: Family, kind: RefreshKind) -> String {
    let refresh = RouteRefreshMessage { family, kind };
    bench.say(Input::RouteRefresh { conn: OUT, refresh })
}

#[test]
fn marks_are_passed_on_in_pairs() {
    let mut bench = Bench::rich();
    assert_eq!(
        say(&mut bench, EVPN, RefreshKind::End),
        "ignored: no BoRR came before"
    );
    assert_eq!(
        say(&mut bench, EVPN, RefreshKind::Begin),
        "begin l2vpn-evpn"
    );
    // Anew, before the first answer was over.
    assert_eq!(
        say(&mut bench, EVPN, RefreshKind::Begin),
        "begin l2vpn-evpn"
    );
    assert_eq!(say(&mut bench, EVPN, RefreshKind::End), "end l2vpn-evpn");
    assert_eq!(
        say(&mut bench, EVPN, RefreshKind::End),
        "ignored: no BoRR came before"
    );
    assert_eq!(
        say(&mut bench, EVPN, RefreshKind::Request),
        "refresh l2vpn-evpn"
    );
}

#[test]
fn marks_do_not_outlive_the_session() {
    let mut bench = Bench::rich();
    say(&mut bench, EVPN, RefreshKind::Begin);
    bench.say(Input::Closed {
        conn: OUT,
        error: None,
    });
    bench.next_due();
    let next = ConnectionId::outgoing(1);
    bench.say(Input::Connected(next));
    bench.open(next, crate::support::open_rich(HIGHER_ID));
    bench.say(Input::Keepalive(next));
    assert_eq!(bench.session.state(), State::Established);
    let refresh = RouteRefreshMessage::end(EVPN);
    let end = bench.say(Input::RouteRefresh {
        conn: next,
        refresh,
    });
    assert_eq!(end, "ignored: no BoRR came before");
}

#[test]
fn what_was_not_agreed_on_is_ignored_and_told() {
    let mut bench = Bench::established(config());
    for (family, kind, because) in [
        (
            EVPN,
            RefreshKind::Begin,
            "enhanced route refresh was not negotiated",
        ),
        (
            EVPN,
            RefreshKind::End,
            "enhanced route refresh was not negotiated",
        ),
        (EVPN, RefreshKind::Unknown(3), "the subtype is not known"),
        (EVPN, RefreshKind::Unknown(255), "the subtype is not known"),
        (
            Family::IPV6_UNICAST,
            RefreshKind::Request,
            "the family was not negotiated",
        ),
        (
            Family::IPV6_UNICAST,
            RefreshKind::Begin,
            "the family was not negotiated",
        ),
    ] {
        let heard = say(&mut bench, family, kind);
        assert_eq!(heard, format!("ignored: {because}"));
        assert_eq!(bench.session.state(), State::Established);
    }
}

#[test]
fn routes_are_asked_for_where_the_peer_understands_it() {
    let mut bench = Bench::rich();
    assert_eq!(
        bench.say(Input::Refresh(EVPN)),
        "ROUTE-REFRESH request of l2vpn-evpn"
    );
    assert_eq!(bench.say(Input::Refresh(Family::IPV6_UNICAST)), "");
    let mut bench = Bench::started(config());
    bench.say(Input::Connected(OUT));
    let mut offer = open_plain(HIGHER_ID);
    offer
        .capabilities
        .retain(|capability| *capability != Capability::RouteRefresh);
    bench.open(OUT, offer);
    bench.say(Input::Keepalive(OUT));
    assert_eq!(bench.say(Input::Refresh(EVPN)), "no refresh of l2vpn-evpn");
}

fn message(subtype: u8, more: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    let len = u16::try_from(23 + more.len()).unwrap();
    octets.extend(len.to_be_bytes());
    octets.extend([5, 0, 25, subtype, 70]);
    octets.extend(more);
    octets
}

#[test]
fn messages_and_their_octets() {
    for (subtype, refresh, text) in [
        (
            0,
            RouteRefreshMessage::request(EVPN),
            "ROUTE-REFRESH request of l2vpn-evpn",
        ),
        (
            1,
            RouteRefreshMessage::begin(EVPN),
            "ROUTE-REFRESH BoRR of l2vpn-evpn",
        ),
        (
            2,
            RouteRefreshMessage::end(EVPN),
            "ROUTE-REFRESH EoRR of l2vpn-evpn",
        ),
        (
            7,
            RouteRefreshMessage {
                family: EVPN,
                kind: RefreshKind::Unknown(7),
            },
            "ROUTE-REFRESH subtype 7 of l2vpn-evpn",
        ),
    ] {
        let octets = message(subtype, &[]);
        assert_eq!(decode_message(&octets), Ok(Message::RouteRefresh(refresh)));
        let mut out = Vec::new();
        refresh.encode(&mut out);
        assert_eq!(out, octets);
        assert_eq!(refresh.to_string(), text);
    }
}

#[test]
fn a_mark_of_another_length_ends_the_session_and_is_sent_back() {
    for subtype in [1, 2] {
        for more in [&[0][..], &[1, 2, 3, 4, 5]] {
            let octets = message(subtype, more);
            // RFC 7313 section 5.
            let expected = NotificationMessage::new(7, 1, octets.clone());
            assert_eq!(decode_message(&octets), Err(expected.clone()));
            assert!(
                expected
                    .to_string()
                    .starts_with("ROUTE-REFRESH Message Error/Invalid Message Length")
            );
        }
    }
    // A request with outbound route filters (RFC 5291), and a subtype of the future.
    for subtype in [0, 3] {
        let octets = message(subtype, &[1, 64, 0, 0]);
        assert!(matches!(
            decode_message(&octets),
            Ok(Message::RouteRefresh(_))
        ));
    }
    // Less than there must be is a matter of the header (RFC 4271 section 6.1).
    let mut short = message(1, &[]);
    short.pop();
    short[17] = 22;
    let header = short.first_chunk().unwrap();
    let refused = frame_len(header, MESSAGE_LEN_EXTENDED);
    assert_eq!(refused, Err(NotificationMessage::new(1, 2, vec![0, 22])));
}
