//! Two connections at once (RFC 4271 section 6.8, RFC 6286 section 2.3).

use std::net::Ipv4Addr;

use chanter_bgp::session::{Input, LocalAs, SessionConfig, State};
use chanter_bgp::{Capability, OpenMessage};
use chanter_types::Asn;

use crate::support::{
    Bench, HIGHER_ID, IN, LOCAL_AS, LOCAL_ID, LOWER_ID, OUT, config, open, open_plain, secs,
};

/// Both connections in OpenSent.
fn both(config: SessionConfig) -> Bench {
    let mut bench = Bench::started(config);
    bench.say(Input::Connected(OUT));
    assert_eq!(bench.accept(0), "OPEN in0");
    bench
}

#[test]
fn the_connection_of_the_higher_identifier_is_kept_whichever_open_comes_first() {
    // The peer's identifier, whose OPEN comes first, what happens on it and on the other one.
    let table: [(Ipv4Addr, [_; 2], [&str; 2]); 4] = [
        (
            HIGHER_ID,
            [IN, OUT],
            ["6/7, close, lost, KEEPALIVE in0", ""],
        ),
        (
            HIGHER_ID,
            [OUT, IN],
            ["", "6/7, close, lost, KEEPALIVE in0"],
        ),
        (
            LOWER_ID,
            [OUT, IN],
            ["6/7 in0, close in0, lost in0, KEEPALIVE", ""],
        ),
        (
            LOWER_ID,
            [IN, OUT],
            ["", "6/7 in0, close in0, lost in0, KEEPALIVE"],
        ),
    ];
    for (router_id, order, outputs) in table {
        let mut bench = both(config());
        for (conn, outputs) in order.into_iter().zip(outputs) {
            assert_eq!(
                bench.open(conn, open(router_id)),
                outputs,
                "{router_id} {conn}"
            );
        }
        let winner = if router_id == HIGHER_ID { IN } else { OUT };
        bench.say(Input::Keepalive(winner));
        let established = bench.session.established().map(|(conn, _)| conn);
        assert_eq!(established, Some(winner));
    }
}

#[test]
fn among_equal_identifiers_of_two_ases_the_as_decides() {
    for (peer_as, winner) in [(Asn(64513), IN), (Asn(64511), OUT)] {
        let mut config = config();
        config.remote_as = Some(peer_as);
        let mut bench = both(config);
        let offer = || OpenMessage {
            asn: peer_as,
            capabilities: vec![
                Capability::MultiProtocol(chanter_bgp::Family::L2VPN_EVPN),
                Capability::FourOctetAs(peer_as),
            ],
            ..open(LOCAL_ID)
        };
        bench.open(OUT, offer());
        bench.open(IN, offer());
        bench.say(Input::Keepalive(winner));
        assert_eq!(
            bench.session.established().map(|(conn, _)| conn),
            Some(winner)
        );
    }
}

#[test]
fn a_connection_that_stays_silent_does_not_win() {
    // By identifier the peer's connection is preferred, but nothing comes on it.
    let mut bench = both(config());
    assert_eq!(bench.open(OUT, open(HIGHER_ID)), "", "it waits");
    assert_eq!(bench.say(Input::Keepalive(OUT)), "", "the peer did not");
    assert_eq!(
        bench.next_due(),
        "KEEPALIVE, 6/7 in0, close in0, lost in0, up"
    );
}

#[test]
fn a_connection_goes_on_when_the_one_that_would_have_won_ends() {
    let closed = |conn| Input::Closed { conn, error: None };
    let mut bench = both(config());
    bench.open(OUT, open(HIGHER_ID));
    assert_eq!(bench.say(closed(IN)), "failed closed-by-peer, KEEPALIVE");
    assert_eq!(bench.say(Input::Keepalive(OUT)), "up");
    // The other way round: ours would have won.
    let mut bench = both(config());
    bench.open(IN, open(LOWER_ID));
    assert_eq!(bench.say(Input::Keepalive(IN)), "");
    assert_eq!(
        bench.say(closed(OUT)),
        "failed closed-by-peer, KEEPALIVE in0, up in0"
    );
}

#[test]
fn a_second_open_is_an_error_on_a_connection_that_waits_too() {
    let mut bench = both(config());
    bench.open(OUT, open(HIGHER_ID));
    assert_eq!(
        bench.open(OUT, open(HIGHER_ID)),
        "5/1, close, failed unexpected-message"
    );
}

#[test]
fn an_established_session_is_kept() {
    let mut bench = Bench::started(config());
    bench.say(Input::Connected(OUT));
    bench.open(OUT, open_plain(HIGHER_ID));
    bench.say(Input::Keepalive(OUT));
    bench.wait(secs(20));
    bench.say(Input::Keepalive(OUT));
    assert_eq!(bench.accept(0), "OPEN in0");
    // The KEEPALIVE on the old connection finds out whether the peer still knows it.
    assert_eq!(
        bench.open(IN, open_plain(HIGHER_ID)),
        "KEEPALIVE, 6/7 in0, close in0, lost in0"
    );
    assert_eq!(bench.session.state(), State::Established);
}

#[test]
fn an_established_session_yields_by_identifier_where_so_configured() {
    for (router_id, yields) in [(HIGHER_ID, true), (LOWER_ID, false)] {
        let mut config = config();
        config.collision_detect_established = true;
        let mut bench = Bench::started(config);
        bench.say(Input::Connected(OUT));
        bench.open(OUT, open_plain(router_id));
        bench.say(Input::Keepalive(OUT));
        bench.accept(0);
        let outputs = bench.open(IN, open_plain(router_id));
        if yields {
            assert_eq!(outputs, "6/7, close, down collision, KEEPALIVE in0");
        } else {
            assert_eq!(outputs, "KEEPALIVE, 6/7 in0, close in0, lost in0");
        }
    }
}

#[test]
fn connecting_is_given_up_once_the_peer_is_there() {
    let mut bench = Bench::started(config());
    bench.accept(0);
    assert_eq!(bench.open(IN, open(LOWER_ID)), "KEEPALIVE in0, close");
    // Late news of it are ignored.
    assert_eq!(bench.say(Input::Connected(OUT)), "");
    assert_eq!(bench.say(Input::Keepalive(IN)), "up in0");
}

#[test]
fn of_connections_that_the_peer_opened_the_newest_counts() {
    let mut bench = Bench::started(config());
    bench.accept(0);
    assert_eq!(bench.accept(1), "6/7 in0, close in0, lost in0, OPEN in1");
    assert_eq!(bench.open(IN, open(HIGHER_ID)), "", "it is gone");
    for number in 2..100 {
        bench.accept(number);
    }
    let last = chanter_bgp::session::ConnectionId::incoming(99);
    assert_eq!(bench.open(last, open(HIGHER_ID)), "KEEPALIVE in99, close");
}

#[test]
fn the_as_of_the_peer_is_mirrored() {
    let mut config = config();
    config.local_as = LocalAs::MirrorPeer;
    config.remote_as = None;
    config.passive = true;
    for peer_as in [LOCAL_AS, Asn(65536)] {
        let mut bench = Bench::started(config.clone());
        assert_eq!(bench.accept(0), "", "our OPEN waits for the peer's");
        assert_eq!(bench.session.state(), State::Active);
        let mut offer = open(HIGHER_ID);
        offer.asn = peer_as;
        offer.capabilities[3] = Capability::FourOctetAs(peer_as);
        // Event 20.
        assert_eq!(bench.open(IN, offer), "OPEN in0, KEEPALIVE in0");
        bench.say(Input::Keepalive(IN));
        let (_, negotiated) = bench.session.established().expect("it is up");
        assert_eq!(negotiated.local_as, peer_as);
        assert!(!negotiated.ebgp());
    }
    let mut bench = Bench::started(config);
    bench.accept(0);
    assert_eq!(bench.next_due(), "4/0 in0, close in0, failed no-open");
}
