//! Every input in every state (RFC 4271 section 8.2.2).

use chanter_bgp::session::{CloseCause, Hold, Input, SessionConfig, State, StopMode};
use chanter_bgp::{Family, NotificationMessage, RouteRefreshMessage};
use chanter_types::Asn;

use crate::support::{Bench, HIGHER_ID, IN, LOWER_ID, OUT, config, open};

const STATES: [State; 6] = [
    State::Idle,
    State::Connect,
    State::Active,
    State::OpenSent,
    State::OpenConfirm,
    State::Established,
];

fn inputs() -> Vec<(&'static str, Input)> {
    [of_operator(), of_tcp(), of_messages()].concat()
}

fn of_operator() -> Vec<(&'static str, Input)> {
    vec![
        ("start (1)", Input::Start),
        ("stop silently (2)", Input::Stop(StopMode::Silent)),
        (
            "stop with Cease (2)",
            Input::Stop(StopMode::Cease {
                text: "bye".to_owned(),
            }),
        ),
        (
            "reset",
            Input::Reset {
                text: String::new(),
            },
        ),
        ("stop for good (2)", Input::Stop(StopMode::Deconfigured)),
        ("close", close(Hold::No)),
        ("close and hold", close(Hold::UntilStarted)),
        (
            "another hold time",
            configure(|config| config.hold_time *= 2),
        ),
        (
            "another identifier",
            configure(|config| config.router_id = LOWER_ID),
        ),
        ("ask for routes", Input::Refresh(Family::L2VPN_EVPN)),
        (
            "ask for routes not agreed on",
            Input::Refresh(Family::IPV6_UNICAST),
        ),
    ]
}

fn close(hold: Hold) -> Input {
    let family = Family::L2VPN_EVPN;
    let cause = CloseCause::PrefixLimit { family, limit: 9 };
    Input::Close { cause, hold }
}

fn configure(change: impl FnOnce(&mut SessionConfig)) -> Input {
    let mut config = config();
    change(&mut config);
    Input::Configure(Box::new(config))
}

fn of_tcp() -> Vec<(&'static str, Input)> {
    vec![
        ("connected (16)", Input::Connected(OUT)),
        (
            "not connected (18)",
            Input::ConnectFailed {
                conn: OUT,
                error: "refused".to_owned(),
            },
        ),
        ("peer connects (17)", Input::Accepted(IN)),
        (
            "closed (18)",
            Input::Closed {
                conn: OUT,
                error: None,
            },
        ),
        (
            "broke (18)",
            Input::Closed {
                conn: OUT,
                error: Some("reset".to_owned()),
            },
        ),
        ("unread octets", Input::Unread(OUT)),
        ("octets written", Input::Written(OUT)),
    ]
}

fn of_messages() -> Vec<(&'static str, Input)> {
    let mut bad_open = open(HIGHER_ID);
    bad_open.asn = Asn(1);
    bad_open.capabilities.clear();
    vec![
        (
            "OPEN (19)",
            Input::Open {
                conn: OUT,
                open: open(HIGHER_ID),
            },
        ),
        (
            "bad OPEN (22)",
            Input::Open {
                conn: OUT,
                open: bad_open,
            },
        ),
        ("KEEPALIVE (26)", Input::Keepalive(OUT)),
        ("UPDATE (27)", Input::Update(OUT)),
        (
            "ROUTE-REFRESH",
            Input::RouteRefresh {
                conn: OUT,
                refresh: RouteRefreshMessage::request(Family::L2VPN_EVPN),
            },
        ),
        (
            "ROUTE-REFRESH of a family not agreed on",
            Input::RouteRefresh {
                conn: OUT,
                refresh: RouteRefreshMessage::request(Family::IPV6_UNICAST),
            },
        ),
        (
            "NOTIFICATION (25)",
            Input::Notification {
                conn: OUT,
                notification: NotificationMessage::new(6, 4, Vec::new()),
            },
        ),
        (
            "malformed message (21, 28)",
            Input::Invalid {
                conn: OUT,
                notification: NotificationMessage::new(1, 3, vec![9]),
                detail: "type 9".to_owned(),
            },
        ),
    ]
}

/// One line for each input and state: `input | state -> state: outputs`. Only what changes
/// something is listed; all other combinations must do nothing.
const TABLE: &str = "
    start (1) | Idle -> Connect: connect
    stop silently (2) | Connect -> Idle: close, failed stopped
    stop silently (2) | Active -> Idle: -
    stop silently (2) | OpenSent -> Idle: close, failed stopped
    stop silently (2) | OpenConfirm -> Idle: close, failed stopped
    stop silently (2) | Established -> Idle: close, down stopped
    stop with Cease (2) | Connect -> Idle: close, failed stopped
    stop with Cease (2) | Active -> Idle: -
    stop with Cease (2) | OpenSent -> Idle: 6/2, close, failed stopped
    stop with Cease (2) | OpenConfirm -> Idle: 6/2, close, failed stopped
    stop with Cease (2) | Established -> Idle: 6/2, close, down stopped
    reset | Connect -> Active: close, failed reset
    reset | Active -> Connect: connect out1
    reset | OpenSent -> Active: 6/4, close, failed reset
    reset | OpenConfirm -> Active: 6/4, close, failed reset
    reset | Established -> Active: 6/4, close, down reset
    stop for good (2) | Connect -> Idle: close, failed stopped
    stop for good (2) | Active -> Idle: -
    stop for good (2) | OpenSent -> Idle: 6/3, close, failed stopped
    stop for good (2) | OpenConfirm -> Idle: 6/3, close, failed stopped
    stop for good (2) | Established -> Idle: 6/3, close, down stopped
    close | Connect -> Active: close, failed ceased
    close | OpenSent -> Active: 6/1, close, failed ceased
    close | OpenConfirm -> Active: 6/1, close, failed ceased
    close | Established -> Active: 6/1, close, down ceased
    close and hold | Connect -> Idle: close, failed ceased
    close and hold | Active -> Idle: -
    close and hold | OpenSent -> Idle: 6/1, close, failed ceased
    close and hold | OpenConfirm -> Idle: 6/1, close, failed ceased
    close and hold | Established -> Idle: 6/1, close, down ceased
    another hold time | OpenSent -> Active: 6/6, close, failed ceased
    another hold time | OpenConfirm -> Active: 6/6, close, failed ceased
    another identifier | Connect -> Active: close, failed ceased
    another identifier | Active -> Connect: connect out1
    another identifier | OpenSent -> Active: 6/6, close, failed ceased
    another identifier | OpenConfirm -> Active: 6/6, close, failed ceased
    another identifier | Established -> Active: 6/6, close, down ceased
    ask for routes | Established -> Established: ROUTE-REFRESH request of l2vpn-evpn
    connected (16) | Connect -> OpenSent: OPEN
    not connected (18) | Connect -> Active: failed connect-failed
    peer connects (17) | Idle -> Idle: close in0
    peer connects (17) | Connect -> OpenSent: OPEN in0
    peer connects (17) | Active -> OpenSent: OPEN in0
    peer connects (17) | OpenSent -> OpenSent: OPEN in0
    peer connects (17) | OpenConfirm -> OpenConfirm: OPEN in0
    peer connects (17) | Established -> Established: OPEN in0
    closed (18) | Connect -> Active: failed closed-by-peer
    closed (18) | OpenSent -> Active: failed closed-by-peer
    closed (18) | OpenConfirm -> Active: failed closed-by-peer
    closed (18) | Established -> Active: down closed-by-peer
    broke (18) | Connect -> Active: failed connection-broke
    broke (18) | OpenSent -> Active: failed connection-broke
    broke (18) | OpenConfirm -> Active: failed connection-broke
    broke (18) | Established -> Active: down connection-broke
    OPEN (19) | Connect -> Active: close, failed unexpected-message
    OPEN (19) | OpenSent -> OpenConfirm: KEEPALIVE
    OPEN (19) | OpenConfirm -> Active: 5/2, close, failed unexpected-message
    OPEN (19) | Established -> Active: 5/3, close, down unexpected-message
    bad OPEN (22) | Connect -> Active: close, failed unexpected-message
    bad OPEN (22) | OpenSent -> Active: 2/2, close, failed open-refused
    bad OPEN (22) | OpenConfirm -> Active: 5/2, close, failed unexpected-message
    bad OPEN (22) | Established -> Active: 5/3, close, down unexpected-message
    KEEPALIVE (26) | Connect -> Active: close, failed unexpected-message
    KEEPALIVE (26) | OpenSent -> Active: 5/1, close, failed unexpected-message
    KEEPALIVE (26) | OpenConfirm -> Established: up
    UPDATE (27) | Connect -> Active: close, failed unexpected-message
    UPDATE (27) | OpenSent -> Active: 5/1, close, failed unexpected-message
    UPDATE (27) | OpenConfirm -> Active: 5/2, close, failed unexpected-message
    ROUTE-REFRESH | Connect -> Active: close, failed unexpected-message
    ROUTE-REFRESH | OpenSent -> Active: 5/1, close, failed unexpected-message
    ROUTE-REFRESH | OpenConfirm -> Active: 5/2, close, failed unexpected-message
    ROUTE-REFRESH | Established -> Established: refresh l2vpn-evpn
    ROUTE-REFRESH of a family not agreed on | Connect -> Active: close, failed unexpected-message
    ROUTE-REFRESH of a family not agreed on | OpenSent -> Active: 5/1, close, failed unexpected-message
    ROUTE-REFRESH of a family not agreed on | OpenConfirm -> Active: 5/2, close, failed unexpected-message
    ROUTE-REFRESH of a family not agreed on | Established -> Established: ignored: the family was not negotiated
    NOTIFICATION (25) | Connect -> Active: close, failed notification-received
    NOTIFICATION (25) | OpenSent -> Active: close, failed notification-received
    NOTIFICATION (25) | OpenConfirm -> Active: close, failed notification-received
    NOTIFICATION (25) | Established -> Active: close, down notification-received
    malformed message (21, 28) | Connect -> Active: close, failed invalid-message
    malformed message (21, 28) | OpenSent -> Active: 1/3, close, failed invalid-message
    malformed message (21, 28) | OpenConfirm -> Active: 1/3, close, failed invalid-message
    malformed message (21, 28) | Established -> Active: 1/3, close, down invalid-message
";

#[test]
fn every_input_in_every_state() {
    let mut lines = Vec::new();
    for (name, input) in inputs() {
        for state in STATES {
            let mut bench = Bench::in_state(state);
            let outputs = bench.say(input.clone());
            let after = bench.session.state();
            if after == State::Idle {
                assert_eq!(bench.session.next_deadline(), None, "{name} in {state}");
            } else {
                assert!(bench.session.next_deadline().is_some(), "{name} in {state}");
            }
            let outputs = if outputs.is_empty() { "-" } else { &outputs };
            if after != state || outputs != "-" {
                lines.push(format!("{name} | {state} -> {after}: {outputs}"));
            }
        }
    }
    let expected: Vec<_> = TABLE
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines, expected, "the table is:\n{}", lines.join("\n"));
}
