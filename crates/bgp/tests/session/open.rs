//! OPEN: what is offered, what comes of the peer's, and what is refused (RFC 4271 section 6.2).

use chanter_bgp::session::{
    ControlMessage, DownReason, Input, LocalAs, Negotiated, Output, SessionConfig, State,
};
use chanter_bgp::{
    Capability, Family, FamilySet, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX, Message,
    NotificationMessage, OpenMessage, decode_message,
};
use chanter_types::Asn;

use crate::support::{Bench, HIGHER_ID, LOCAL_AS, LOCAL_ID, OUT, config, open, secs};

fn negotiated(config: SessionConfig, open: OpenMessage) -> Negotiated {
    let mut bench = Bench::started(config);
    bench.say(Input::Connected(OUT));
    assert_eq!(bench.open(OUT, open), "KEEPALIVE");
    bench.say(Input::Keepalive(OUT));
    let (_, negotiated) = bench.session.established().expect("it is up");
    negotiated.clone()
}

fn refused(config: SessionConfig, open: OpenMessage) -> (NotificationMessage, String) {
    let mut bench = Bench::started(config);
    bench.say(Input::Connected(OUT));
    bench
        .session
        .handle(Input::Open { conn: OUT, open }, bench.now);
    assert_eq!(bench.session.state(), State::Active);
    let outputs = bench.take();
    let [
        Output::Send {
            message: ControlMessage::Notification(sent),
            ..
        },
        Output::Close(OUT),
        Output::AttemptFailed {
            reason,
            retry_in: Some(_),
        },
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    let DownReason::OpenRefused { sent: told, .. } = reason else {
        panic!("{reason:?}");
    };
    assert_eq!(told, sent);
    (sent.clone(), reason.to_string())
}

#[test]
fn our_open_says_who_we_are_and_can_be_read() {
    let mut config = config();
    config.local_as = LocalAs::Fixed(Asn(4_200_000_000));
    config.remote_as = None;
    let mut bench = Bench::started(config);
    bench.session.handle(Input::Connected(OUT), bench.now);
    let outputs = bench.take();
    let [Output::Send { message, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    let mut octets = Vec::new();
    message.encode(&mut octets);
    // AS_TRANS in the two octets (RFC 6793 section 4.1).
    assert_eq!(octets[20..22], 23456u16.to_be_bytes());
    let Ok(Message::Open(open)) = decode_message(&octets) else {
        panic!("not an OPEN: {octets:?}");
    };
    assert_eq!(open.asn, Asn(4_200_000_000));
    assert_eq!(open.hold_time, 90);
    assert_eq!(open.router_id, LOCAL_ID);
    let families: FamilySet = open.families().into_iter().collect();
    assert_eq!(
        families,
        FamilySet::from([Family::L2VPN_EVPN, Family::IPV4_RTC])
    );
    assert!(open.capabilities.contains(&Capability::RouteRefresh));
    assert!(open.capabilities.contains(&Capability::ExtendedMessage));
}

#[test]
fn what_both_sides_have_holds() {
    let result = negotiated(config(), open(HIGHER_ID));
    assert_eq!(result.peer_as, LOCAL_AS);
    assert_eq!(result.peer_router_id, HIGHER_ID);
    assert_eq!(result.hold_time, secs(30));
    assert_eq!(result.families, FamilySet::from([Family::L2VPN_EVPN]));
    assert!(result.four_octet_as && result.route_refresh && !result.ebgp());
    assert_eq!(result.message_len_max, MESSAGE_LEN_MAX);
    let mut offer = open(HIGHER_ID);
    offer.capabilities.push(Capability::ExtendedMessage);
    assert_eq!(
        negotiated(config(), offer).message_len_max,
        MESSAGE_LEN_EXTENDED
    );
}

#[test]
fn the_smaller_hold_time_holds_and_zero_means_none() {
    for (ours, theirs, result) in [(90, 180, 90), (90, 3, 3), (0, 180, 0), (90, 0, 0)] {
        let mut config = config();
        config.hold_time = secs(ours);
        let mut offer = open(HIGHER_ID);
        offer.hold_time = theirs;
        assert_eq!(negotiated(config, offer).hold_time, secs(result));
    }
}

#[test]
fn a_peer_without_multiprotocol_has_ipv4_unicast() {
    let mut config = config();
    config.families = FamilySet::from([Family::IPV4_UNICAST, Family::L2VPN_EVPN]);
    let mut offer = open(HIGHER_ID);
    offer.capabilities.clear();
    let result = negotiated(config, offer);
    assert_eq!(result.families, FamilySet::from([Family::IPV4_UNICAST]));
    assert!(!result.four_octet_as);
    assert_eq!(result.peer_restart, None);
}

#[test]
fn another_as_is_an_external_peer() {
    let mut config = config();
    config.remote_as = Some(Asn(65001));
    let mut offer = open(LOCAL_ID);
    offer.asn = Asn(65001);
    offer.capabilities[3] = Capability::FourOctetAs(Asn(65001));
    // RFC 6286 section 2.1: in another AS our own identifier may occur.
    assert!(negotiated(config, offer).ebgp());
}

#[test]
fn any_as_is_accepted_where_none_is_configured() {
    let mut config = config();
    config.remote_as = None;
    for asn in [LOCAL_AS, Asn(7), Asn(70000)] {
        let mut offer = open(HIGHER_ID);
        offer.asn = asn;
        offer.capabilities[3] = Capability::FourOctetAs(asn);
        assert_eq!(negotiated(config.clone(), offer).peer_as, asn);
    }
}

#[test]
fn what_cannot_be_accepted_gets_its_notification() {
    let change = |change: fn(&mut OpenMessage)| {
        let mut offer = open(HIGHER_ID);
        change(&mut offer);
        offer
    };
    let table = [
        (
            change(|open| {
                open.asn = Asn(1);
                open.capabilities.clear();
            }),
            (2, 2),
            "its AS is 1, configured is 64512",
        ),
        (
            // The capability is what counts.
            change(|open| open.capabilities[3] = Capability::FourOctetAs(Asn(65536))),
            (2, 2),
            "its AS is 65536, configured is 64512",
        ),
        (
            change(|open| open.capabilities[3] = Capability::FourOctetAs(Asn(0))),
            (2, 2),
            "its AS is 0, which is reserved",
        ),
        (
            change(|open| {
                open.asn = Asn::TRANS;
                open.capabilities.remove(3);
            }),
            (2, 2),
            "its AS is 23456, which is reserved",
        ),
        (
            change(|open| open.router_id = [0; 4].into()),
            (2, 3),
            "its BGP identifier is 0.0.0.0",
        ),
        (
            change(|open| open.router_id = LOCAL_ID),
            (2, 3),
            "its BGP identifier is 10.0.0.5, which is ours, and it is in our AS",
        ),
        (
            change(|open| open.hold_time = 1),
            (2, 6),
            "its hold time is 1 s, at least 3 s is wanted, or 0 for none",
        ),
        (
            change(|open| open.hold_time = 2),
            (2, 6),
            "its hold time is 2 s, at least 3 s is wanted, or 0 for none",
        ),
        (
            change(|open| {
                open.capabilities.remove(0);
            }),
            (2, 7),
            "no address family in common: it has ipv6-unicast, configured is ipv4-rtc, l2vpn-evpn",
        ),
    ];
    for (offer, codes, detail) in table {
        let (sent, text) = refused(config(), offer);
        assert_eq!((sent.code, sent.subcode), codes, "{detail}");
        let whole = format!("OPEN of the peer refused: {detail}; sent NOTIFICATION {sent}");
        assert_eq!(text, whole);
    }
}

#[test]
fn the_missed_capabilities_are_named_to_the_peer() {
    let mut offer = open(HIGHER_ID);
    offer.capabilities.clear();
    let (sent, _) = refused(config(), offer);
    assert_eq!(sent.data, [1, 4, 0, 1, 0, 132, 1, 4, 0, 25, 0, 70]);
}

#[test]
fn the_operators_words_reach_the_peer() {
    let say = |input: Input| {
        let mut bench = Bench::established(config());
        bench.session.handle(input, bench.now);
        let outputs = bench.take();
        let Output::Send {
            message: ControlMessage::Notification(sent),
            ..
        } = &outputs[0]
        else {
            panic!("{outputs:?}");
        };
        sent.clone()
    };
    let text = || "moving to rack 7".to_owned();
    let stop = say(Input::Stop(chanter_bgp::session::StopMode::Cease {
        text: text(),
    }));
    assert_eq!((stop.code, stop.subcode), (6, 2));
    assert_eq!(stop.text(), Some(text()));
    let reset = say(Input::Reset { text: text() });
    assert_eq!((reset.code, reset.subcode), (6, 4));
    assert_eq!(reset.text(), Some(text()));
    // RFC 9003 section 2: at most 255 octets of UTF-8, no half characters.
    let long = say(Input::Reset {
        text: "ö".repeat(200),
    });
    assert_eq!(long.text(), Some("ö".repeat(127)));
    assert!(
        say(Input::Reset {
            text: String::new()
        })
        .data
        .is_empty()
    );
}
