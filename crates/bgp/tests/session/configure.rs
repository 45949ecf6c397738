//! Another configuration at run time: what needs a reset, and what does not.

use chanter_bgp::session::{
    Input, LocalAs, RestartConfig, SessionChange, SessionConfig, SessionTimes, State,
};
use chanter_bgp::{AddPathMode, BgpRole, Family, FamilySet};
use chanter_types::{Asn, Instant};

use crate::support::{Bench, HIGHER_ID, LOWER_ID, OUT, config, open, rich, secs};

type Change = fn(&mut SessionConfig);

fn with_restart(config: &mut SessionConfig, change: impl FnOnce(&mut RestartConfig)) {
    change(config.graceful_restart.as_mut().expect("it is on"));
}

/// What each change needs: nothing, `apply`, or a reset because of that.
fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("nothing", |_| {}),
        ("nothing", |config| config.seed += 1),
        ("nothing", |config| {
            with_restart(config, |restart| {
                restart.restarting_until = Some(Instant::from_secs(9));
            });
        }),
        ("nothing", |config| config.offers.role_strict = false),
        ("apply", |config| config.hold_time = secs(30)),
        ("apply", |config| config.passive = true),
        ("apply", |config| config.collision_detect_established = true),
        ("apply", |config| config.times.connect_retry = secs(7)),
        ("apply", |config| {
            with_restart(config, |restart| restart.restart_time = secs(1));
        }),
        ("apply", |config| config.offers.hostname = None),
        ("apply", |config| config.offers.long_lived[0].1 = secs(1)),
        ("our AS", |config| {
            config.local_as = LocalAs::Fixed(Asn(1));
        }),
        ("our BGP identifier", |config| config.router_id = LOWER_ID),
        ("the AS of the peer", |config| config.remote_as = None),
        ("the address families", |config| {
            config.families = FamilySet::from([Family::L2VPN_EVPN]);
        }),
        ("graceful restart", |config| config.graceful_restart = None),
        ("graceful restart on NOTIFICATION", |config| {
            with_restart(config, |restart| restart.notification = false);
        }),
        ("extended messages", |config| {
            config.offers.extended_message = false;
        }),
        ("enhanced route refresh", |config| {
            config.offers.enhanced_refresh = false;
        }),
        ("ADD-PATH", |config| {
            config.offers.add_path[0].1 = AddPathMode::Send;
        }),
        ("extended next hop encoding", |config| {
            config.offers.extended_next_hop = FamilySet::from([Family::IPV4_UNICAST]);
        }),
        ("long-lived graceful restart", |config| {
            config.offers.long_lived.clear();
        }),
        ("the BGP role", |config| {
            config.offers.role = Some(BgpRole::Peer);
        }),
    ]
}

#[test]
fn only_what_was_agreed_on_needs_a_reset() {
    for (needs, change) in changes() {
        let old = rich();
        let mut new = rich();
        change(&mut new);
        let expected = match needs {
            "nothing" => SessionChange::Nothing,
            "apply" => SessionChange::Apply,
            because => SessionChange::Reset {
                because: because.to_owned(),
            },
        };
        assert_eq!(old.change(&new), expected);
        let outputs = Bench::rich().say(Input::Configure(Box::new(new)));
        let reset = matches!(expected, SessionChange::Reset { .. });
        let expected = if reset { "6/6, close, down ceased" } else { "" };
        assert_eq!(outputs, expected, "{needs}");
    }
}

#[test]
fn a_role_that_becomes_strict_is_asked_for() {
    let mut old = config();
    old.offers.role = Some(BgpRole::Peer);
    let mut new = old.clone();
    new.offers.role_strict = true;
    let because = "the BGP role has become strict".to_owned();
    assert_eq!(old.change(&new), SessionChange::Reset { because });
    assert_eq!(new.change(&old), SessionChange::Apply);
}

#[test]
fn the_order_of_add_path_families_does_not_matter() {
    let mut old = config();
    old.offers.add_path = vec![
        (Family::L2VPN_EVPN, AddPathMode::Both),
        (Family::IPV4_RTC, AddPathMode::Send),
    ];
    let mut new = old.clone();
    new.offers.add_path.reverse();
    assert_eq!(old.change(&new), SessionChange::Apply);
}

#[test]
fn the_reason_is_told_and_the_next_session_has_the_new_configuration() {
    let mut bench = Bench::established(config());
    let mut new = config();
    new.families = FamilySet::from([Family::L2VPN_EVPN, Family::IPV6_UNICAST]);
    let down = bench.down_by(Input::Configure(Box::new(new.clone())));
    assert_eq!(
        down.reason.to_string(),
        "closed by this speaker: the configuration has changed: the address families; sent \
         NOTIFICATION Cease/Other Configuration Change"
    );
    assert!(down.retry_in.is_some_and(|wait| wait <= secs(1)), "soon");
    assert_eq!(bench.next_due(), "connect out1");
    let next = chanter_bgp::session::ConnectionId::outgoing(1);
    bench.say(Input::Connected(next));
    bench.open(next, open(HIGHER_ID));
    bench.say(Input::Keepalive(next));
    let (_, negotiated) = bench.session.established().expect("it is up");
    assert_eq!(negotiated.families, new.families);
}

#[test]
fn a_hold_time_is_for_the_next_session() {
    let mut bench = Bench::established(config());
    let mut new = config();
    new.hold_time = secs(9);
    bench.say(Input::Configure(Box::new(new)));
    let (_, negotiated) = bench.session.established().expect("it stays up");
    assert_eq!(negotiated.hold_time, secs(30), "as agreed");
    bench.say(Input::Closed {
        conn: OUT,
        error: None,
    });
    bench.next_due();
    let next = chanter_bgp::session::ConnectionId::outgoing(1);
    bench.say(Input::Connected(next));
    bench.open(next, open(HIGHER_ID));
    bench.say(Input::Keepalive(next));
    let (_, negotiated) = bench.session.established().expect("it is up");
    assert_eq!(negotiated.hold_time, secs(9));
}

#[test]
fn a_session_that_becomes_passive_stops_to_connect_and_the_other_way_round() {
    let mut passive = config();
    passive.passive = true;
    let mut bench = Bench::started(config());
    assert_eq!(
        bench.say(Input::Configure(Box::new(passive.clone()))),
        "close"
    );
    assert_eq!(bench.session.state(), State::Active);
    assert_eq!(bench.session.next_deadline(), None);
    assert_eq!(
        bench.say(Input::Configure(Box::new(config()))),
        "connect out1"
    );
    // While it waits.
    let mut bench = Bench::in_state(State::Active);
    assert_eq!(bench.say(Input::Configure(Box::new(passive))), "");
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn other_waits_hold_at_once() {
    let mut bench = Bench::started(config());
    let mut new = config();
    new.times = SessionTimes {
        connect_retry: secs(100),
        connect_retry_max: secs(100),
        ..new.times
    };
    bench.say(Input::Configure(Box::new(new)));
    let error = "refused".to_owned();
    bench.say(Input::ConnectFailed { conn: OUT, error });
    let wait = bench.session.retry_at().unwrap();
    assert!(wait >= bench.now + secs(75), "{wait:?}");
}

#[test]
fn a_stopped_session_takes_what_comes() {
    let mut bench = Bench::new(config());
    let mut new = config();
    new.router_id = LOWER_ID;
    assert_eq!(bench.say(Input::Configure(Box::new(new.clone()))), "");
    assert_eq!(bench.session.config(), &new);
    assert_eq!(bench.session.state(), State::Idle);
}
