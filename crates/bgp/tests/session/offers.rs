//! What comes of offers of both sides: each capability is used only as its RFC says.

use chanter_bgp::session::{
    ControlMessage, DownReason, Input, LocalAs, Negotiated, Offers, Output, RestartConfig,
    SessionConfig,
};
use chanter_bgp::{
    AddPathMode, BgpRole, Capability, ExtendedNextHop, Family, FamilySet, GracefulRestart,
    Hostname, LongLivedFamily, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX, OpenMessage,
};
use chanter_types::Asn;

use crate::support::{Bench, HIGHER_ID, LOCAL_AS, OUT, config, open, open_plain, rich, secs};

const EVPN: Family = Family::L2VPN_EVPN;
const IPV4: Family = Family::IPV4_UNICAST;
const IPV6: Family = Family::IPV6_UNICAST;

/// With IPv4, IPv6 and EVPN.
fn three_families() -> SessionConfig {
    let mut config = config();
    config.families = FamilySet::from([EVPN, IPV4, IPV6]);
    config
}

/// The peer's OPEN with the same and with `more`.
fn offering(more: impl IntoIterator<Item = Capability>) -> OpenMessage {
    let mut open = open_plain(HIGHER_ID);
    open.capabilities.push(Capability::MultiProtocol(IPV4));
    open.capabilities.extend(more);
    open
}

fn negotiated(config: SessionConfig, open: OpenMessage) -> Negotiated {
    let mut bench = Bench::started(config);
    bench.say(Input::Connected(OUT));
    assert_eq!(bench.open(OUT, open), "KEEPALIVE");
    bench.say(Input::Keepalive(OUT));
    let (_, negotiated) = bench.session.established().expect("it is up");
    negotiated.clone()
}

/// The capabilities of our OPEN.
fn offered(config: SessionConfig) -> Vec<Capability> {
    let mut bench = Bench::started(config);
    bench.session.handle(Input::Connected(OUT), bench.now);
    match &bench.take()[..] {
        [
            Output::Send {
                message: ControlMessage::Open(open),
                ..
            },
        ] => open.capabilities.clone(),
        outputs => panic!("{outputs:?}"),
    }
}

#[test]
fn add_path_is_used_in_a_direction_that_both_sides_want() {
    use AddPathMode::{Both, Receive, Send};
    for (ours, theirs, receive, send) in [
        (None, Some(Both), false, false),
        (Some(Both), None, false, false),
        (Some(Receive), Some(Receive), false, false),
        (Some(Send), Some(Send), false, false),
        (Some(Receive), Some(Send), true, false),
        (Some(Send), Some(Receive), false, true),
        (Some(Both), Some(Receive), false, true),
        (Some(Both), Some(Send), true, false),
        (Some(Send), Some(Both), false, true),
        (Some(Receive), Some(Both), true, false),
        (Some(Both), Some(Both), true, true),
    ] {
        let mut config = three_families();
        config.offers.add_path = ours.map(|mode| (IPV4, mode)).into_iter().collect();
        let theirs = theirs.map(|mode| Capability::AddPath(vec![(IPV4, mode), (EVPN, Both)]));
        let result = negotiated(config, offering(theirs));
        let set = |has: bool| has.then_some(IPV4).into_iter().collect::<FamilySet>();
        assert_eq!(result.add_path_receive, set(receive), "{ours:?}");
        assert_eq!(result.add_path_send, set(send), "{ours:?}");
        let codec = result.codec_context();
        assert_eq!(codec.add_path_receive, result.add_path_receive);
        assert_eq!(codec.add_path_send, result.add_path_send);
    }
}

#[test]
fn add_path_needs_the_family() {
    let mut config = config();
    config.offers.add_path = vec![(IPV4, AddPathMode::Both), (EVPN, AddPathMode::Send)];
    let sent = Capability::AddPath(vec![(EVPN, AddPathMode::Send)]);
    assert!(offered(config.clone()).contains(&sent), "IPv4 is not on");
    let theirs = Capability::AddPath(vec![
        (IPV4, AddPathMode::Both),
        (EVPN, AddPathMode::Receive),
    ]);
    let result = negotiated(config, offering([theirs]));
    assert_eq!(result.add_path_send, FamilySet::from([EVPN]));
    assert!(result.add_path_receive.is_empty());
}

#[test]
fn extended_messages_and_enhanced_refresh_need_both_sides() {
    for (ours, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut config = config();
        config.offers.extended_message = ours;
        config.offers.enhanced_refresh = ours;
        let capabilities = [
            Capability::ExtendedMessage,
            Capability::EnhancedRouteRefresh,
        ];
        let sent = offered(config.clone());
        for capability in &capabilities {
            assert_eq!(sent.contains(capability), ours);
        }
        let more = capabilities.into_iter().filter(|_| theirs);
        let result = negotiated(config, offering(more));
        let both = ours && theirs;
        let len = if both {
            MESSAGE_LEN_EXTENDED
        } else {
            MESSAGE_LEN_MAX
        };
        assert_eq!(result.message_len_max, len);
        assert_eq!(result.enhanced_refresh, both);
    }
}

#[test]
fn an_ipv6_next_hop_needs_both_sides_and_the_family() {
    let next_hop = |family, next_hop_afi| ExtendedNextHop {
        family,
        next_hop_afi,
    };
    let vpn = Family { afi: 1, safi: 128 };
    let mut config = three_families();
    config.offers.extended_next_hop = FamilySet::from([IPV4, vpn]);
    let sent = Capability::ExtendedNextHop(vec![next_hop(IPV4, 2)]);
    assert!(offered(config.clone()).contains(&sent));
    let result = |list| {
        let open = offering([Capability::ExtendedNextHop(list)]);
        negotiated(config.clone(), open).extended_next_hop
    };
    assert_eq!(
        result(vec![next_hop(vpn, 2), next_hop(IPV4, 2)]),
        FamilySet::from([IPV4])
    );
    // Of another next hop than IPv6, and what we did not offer.
    assert_eq!(
        result(vec![next_hop(IPV4, 1), next_hop(EVPN, 2)]),
        FamilySet::new()
    );
    let without = negotiated(config, offering([]));
    assert!(without.extended_next_hop.is_empty());
}

fn long_lived(family: Family, time: u64) -> LongLivedFamily {
    LongLivedFamily {
        family,
        time: secs(time),
        preserved: false,
    }
}

#[test]
fn long_lived_graceful_restart_needs_graceful_restart() {
    let graceful = Capability::GracefulRestart(GracefulRestart {
        restart_time: 10,
        families: vec![(EVPN, false)],
        ..GracefulRestart::default()
    });
    let list = vec![
        long_lived(EVPN, 500),
        long_lived(IPV6, 600),
        long_lived(EVPN, 700),
    ];
    let list = Capability::LongLivedGracefulRestart(list);
    let result = |restart: bool, open| {
        let mut config = rich();
        if !restart {
            config.graceful_restart = None;
        }
        negotiated(config, open).peer_long_lived
    };
    let both = offering([graceful, list.clone()]);
    assert_eq!(result(true, both.clone()), [long_lived(EVPN, 500)]);
    assert_eq!(result(false, both), []);
    assert_eq!(result(true, offering([list])), []);
    let mut config = rich();
    config.graceful_restart = None;
    let has =
        |capability: &Capability| matches!(capability, Capability::LongLivedGracefulRestart(_));
    assert!(!offered(config).iter().any(has));
    assert!(offered(rich()).iter().any(has));
}

#[test]
fn names_are_for_show() {
    let name = Hostname {
        host: "rr-1".to_owned(),
        domain: "example.net".to_owned(),
    };
    let result = negotiated(config(), offering([Capability::Hostname(name)]));
    assert_eq!(result.peer_hostname.as_deref(), Some("rr-1.example.net"));
    assert_eq!(negotiated(config(), offering([])).peer_hostname, None);
    let ours = rich().offers.hostname.unwrap();
    assert!(offered(rich()).contains(&Capability::Hostname(ours)));
}

/// A session with AS 65001, to which we are `role`.
fn external(role: Option<BgpRole>, strict: bool) -> SessionConfig {
    let mut config = config();
    config.remote_as = Some(Asn(65001));
    config.offers = Offers {
        role,
        role_strict: strict,
        ..Offers::default()
    };
    config
}

fn open_external(more: impl IntoIterator<Item = Capability>) -> OpenMessage {
    let mut open = open(HIGHER_ID);
    open.asn = Asn(65001);
    open.capabilities[3] = Capability::FourOctetAs(Asn(65001));
    open.capabilities.extend(more);
    open
}

/// The peer's role, or why it is refused.
fn role(config: SessionConfig, open: OpenMessage) -> Result<Option<BgpRole>, String> {
    let mut bench = Bench::started(config);
    bench.say(Input::Connected(OUT));
    bench
        .session
        .handle(Input::Open { conn: OUT, open }, bench.now);
    for output in bench.take() {
        if let Output::AttemptFailed { reason, .. } = output {
            let DownReason::OpenRefused { sent, detail } = reason else {
                panic!("{reason}");
            };
            assert_eq!((sent.code, sent.subcode), (2, 11));
            assert_eq!(sent.to_string(), "OPEN Message Error/Role Mismatch");
            return Err(detail);
        }
    }
    bench.say(Input::Keepalive(OUT));
    let (_, negotiated) = bench.session.established().expect("it is up");
    Ok(negotiated.peer_role)
}

#[test]
fn only_roles_that_fit_make_a_session() {
    for ours in BgpRole::ALL {
        for theirs in BgpRole::ALL {
            let open = open_external([Capability::Role(theirs)]);
            let result = role(external(Some(ours), false), open);
            // RFC 9234 section 4.2, table 2.
            use BgpRole::{Customer, Peer, Provider, RouteServer, RouteServerClient};
            let fits = matches!(
                (ours, theirs),
                (Provider, Customer)
                    | (Customer, Provider)
                    | (RouteServer, RouteServerClient)
                    | (RouteServerClient, RouteServer)
                    | (Peer, Peer)
            );
            assert_eq!(result.is_ok(), fits, "{ours} and {theirs}");
            if fits {
                assert_eq!(result, Ok(Some(theirs)));
            }
        }
    }
}

#[test]
fn a_role_is_judged_as_one_value_of_one_capability() {
    let customer = || Capability::Role(BgpRole::Customer);
    let none_such = || Capability::Unknown {
        code: Capability::ROLE,
        value: [9].into(),
    };
    let provider = |strict| external(Some(BgpRole::Provider), strict);
    for (config, told, expected) in [
        (provider(false), vec![], Ok(None)),
        (
            provider(true),
            vec![],
            Err("it does not say its BGP role, wanted is customer"),
        ),
        (
            provider(true),
            vec![customer()],
            Ok(Some(BgpRole::Customer)),
        ),
        (
            provider(false),
            vec![customer(), Capability::Role(BgpRole::Peer)],
            Err("it says several BGP roles"),
        ),
        (
            provider(false),
            vec![none_such()],
            Err("its BGP role is none that there is"),
        ),
        (
            provider(false),
            vec![Capability::Role(BgpRole::Peer)],
            Err("its BGP role is peer, ours is provider, so it must be customer"),
        ),
        // Who says nothing does not judge.
        (external(None, true), vec![], Ok(None)),
        (
            external(None, false),
            vec![Capability::Role(BgpRole::Peer)],
            Ok(Some(BgpRole::Peer)),
        ),
    ] {
        let result = role(config, open_external(told));
        assert_eq!(result, expected.map_err(str::to_owned));
    }
}

#[test]
fn the_same_role_twice_on_the_wire_is_one_role() {
    let open = open_external([
        Capability::Role(BgpRole::Customer),
        Capability::Role(BgpRole::Customer),
    ]);
    let mut octets = Vec::new();
    open.encode(&mut octets);
    let Ok(chanter_bgp::Message::Open(open)) = chanter_bgp::decode_message(&octets) else {
        panic!("not an OPEN");
    };
    let result = role(external(Some(BgpRole::Provider), true), open);
    assert_eq!(result, Ok(Some(BgpRole::Customer)));
}

#[test]
fn roles_have_no_meaning_inside_the_as() {
    let mut internal = config();
    internal.offers.role = Some(BgpRole::Provider);
    internal.offers.role_strict = true;
    let is_role = |capability: &Capability| matches!(capability, Capability::Role(_));
    assert!(!offered(internal.clone()).iter().any(is_role));
    let peer = Capability::Role(BgpRole::Peer);
    assert_eq!(role(internal, offering([peer])), Ok(None));
    let provider = external(Some(BgpRole::Provider), false);
    assert!(offered(provider.clone()).iter().any(is_role));
    // The AS of the peer is known when its OPEN comes.
    let any = SessionConfig {
        remote_as: None,
        ..provider
    };
    assert!(offered(any.clone()).iter().any(is_role));
    assert_eq!(role(any, offering([])), Ok(None));
}

#[test]
fn the_last_of_several_capabilities_of_a_kind_counts() {
    // RFC 4724 section 3.
    let restart = |restart_time| {
        Capability::GracefulRestart(GracefulRestart {
            restart_time,
            families: vec![(EVPN, true)],
            ..GracefulRestart::default()
        })
    };
    let result = negotiated(config(), offering([restart(11), restart(22)]));
    let restart = result.peer_restart.expect("both have it");
    assert_eq!(restart.restart_time, secs(22));
}

#[test]
fn the_n_bit_needs_both_sides() {
    for (ours, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut config = config();
        config.graceful_restart = Some(RestartConfig {
            restart_time: secs(120),
            restarting_until: None,
            notification: ours,
        });
        let sent = offered(config.clone());
        let restart = sent.iter().find_map(|capability| match capability {
            Capability::GracefulRestart(restart) => Some(restart),
            _ => None,
        });
        assert_eq!(restart.expect("it is offered").notification, ours);
        let open = offering([Capability::GracefulRestart(GracefulRestart {
            notification: theirs,
            restart_time: 5,
            families: vec![(EVPN, false)],
            ..GracefulRestart::default()
        })]);
        assert_eq!(negotiated(config, open).has_hard_reset(), ours && theirs);
    }
}

#[test]
fn nothing_is_offered_that_was_not_asked_for() {
    let mut config = config();
    config.local_as = LocalAs::Fixed(LOCAL_AS);
    config.graceful_restart = None;
    let names: Vec<_> = offered(config).iter().map(Capability::to_string).collect();
    assert_eq!(
        names,
        [
            "multiprotocol ipv4-rtc",
            "multiprotocol l2vpn-evpn",
            "route-refresh",
            "enhanced-route-refresh",
            "four-octet-as 64512",
            "extended-message",
        ]
    );
    let all: Vec<_> = offered(rich()).iter().map(Capability::to_string).collect();
    assert_eq!(
        all[6..],
        [
            "add-path l2vpn-evpn both",
            "graceful-restart 120 s notification ipv4-rtc l2vpn-evpn",
            "long-lived-graceful-restart l2vpn-evpn 3600 s",
            "fqdn node-1.example.net",
        ]
    );
}
