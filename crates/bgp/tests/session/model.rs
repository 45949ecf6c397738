//! Properties: no order of events confuses a session, and two sessions always find together.

use std::collections::BTreeSet;
use std::time::Duration;

use chanter_bgp::session::{
    CloseCause, ConnectionId, Hold, Input, LocalAs, Output, RestartConfig, Session, SessionConfig,
    State, StopMode,
};
use chanter_bgp::{Family, NotificationMessage, OpenMessage, RefreshKind, RouteRefreshMessage};
use chanter_types::Instant;
use proptest::prelude::*;

use crate::link::Network;
use crate::support::{
    HIGHER_ID, LOWER_ID, config, open, open_plain, open_restarting, open_rich, rich, secs,
};

/// A step: an input, or time that passes.
#[derive(Debug, Clone)]
enum Step {
    Say(Input),
    Accept,
    Wait(u64),
    NextDeadline,
}

fn connection() -> impl Strategy<Value = ConnectionId> {
    prop_oneof![
        (0..4u32).prop_map(ConnectionId::outgoing),
        (0..4u32).prop_map(ConnectionId::incoming),
    ]
}

fn any_open() -> impl Strategy<Value = OpenMessage> {
    prop_oneof![
        Just(open(HIGHER_ID)),
        Just(open(LOWER_ID)),
        Just(open_plain(LOWER_ID)),
        Just(open_restarting(HIGHER_ID)),
        Just(open_rich(HIGHER_ID)),
        Just(open_rich(LOWER_ID)),
        Just({
            let mut bad = open(HIGHER_ID);
            bad.hold_time = 2;
            bad
        }),
        Just({
            let mut endless = open(HIGHER_ID);
            endless.hold_time = 0;
            endless
        }),
    ]
}

/// What happens on a connection often.
fn on_connection() -> impl Strategy<Value = Step> {
    (connection(), any_open(), 0..11u8).prop_map(|(conn, open, which)| {
        let notification = NotificationMessage::new(6, 4, Vec::new());
        let text = String::new();
        Step::Say(match which {
            0 | 1 => Input::Connected(conn),
            2 | 3 => Input::Open { conn, open },
            4 | 5 => Input::Keepalive(conn),
            6 => Input::Update(conn),
            7 => Input::ConnectFailed { conn, error: text },
            8 => Input::Closed { conn, error: None },
            9 => Input::Notification { conn, notification },
            _ => Input::Invalid {
                conn,
                notification,
                detail: text,
            },
        })
    })
}

/// What happens on a connection now and then.
fn on_connection_rarely() -> impl Strategy<Value = Step> {
    (connection(), 0..6u8).prop_map(|(conn, which)| {
        Step::Say(match which {
            0 => Input::Unread(conn),
            1 => Input::Written(conn),
            _ => Input::RouteRefresh {
                conn,
                refresh: RouteRefreshMessage {
                    family: Family::L2VPN_EVPN,
                    kind: RefreshKind::from_code(which - 2),
                },
            },
        })
    })
}

/// What the shell wants beside starts and stops.
fn of_shell() -> impl Strategy<Value = Step> {
    (0..7u8, 0..5u8).prop_map(|(which, variant_of)| {
        let close = |hold| {
            let family = Family::L2VPN_EVPN;
            let cause = CloseCause::PrefixLimit { family, limit: 3 };
            Input::Close { cause, hold }
        };
        Step::Say(match which {
            0 => close(Hold::No),
            1 => close(Hold::For(secs(60))),
            2 => close(Hold::UntilStarted),
            3 => Input::Close {
                cause: CloseCause::BfdDown,
                hold: Hold::No,
            },
            4 => Input::Refresh(Family::L2VPN_EVPN),
            5 => Input::Stop(StopMode::Deconfigured),
            _ => Input::Configure(Box::new(variant(variant_of))),
        })
    })
}

fn step() -> impl Strategy<Value = Step> {
    let text = String::new();
    prop_oneof![
        12 => on_connection(),
        2 => on_connection_rarely(),
        2 => of_shell(),
        3 => Just(Step::Accept),
        2 => Just(Step::Say(Input::Start)),
        1 => Just(Step::Say(Input::Stop(StopMode::Silent))),
        1 => Just(Step::Say(Input::Stop(StopMode::Cease { text: text.clone() }))),
        1 => Just(Step::Say(Input::Reset { text })),
        2 => (0..300u64).prop_map(Step::Wait),
        3 => Just(Step::NextDeadline),
    ]
}

/// What a shell knows of the session.
#[derive(Default)]
struct Shell {
    connections: BTreeSet<ConnectionId>,
    established: Option<ConnectionId>,
    accepted: u32,
    /// BoRR came, EoRR did not.
    refreshing: bool,
}

impl Shell {
    fn take(&mut self, session: &mut Session) {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Connect(id) => assert!(self.connections.insert(id), "{id} twice"),
                Output::Send { conn, .. } => {
                    assert!(self.connections.contains(&conn), "{conn} is gone");
                }
                Output::Close(conn) => assert!(self.connections.remove(&conn), "{conn} is gone"),
                Output::Up { conn, .. } => {
                    assert!(self.connections.contains(&conn));
                    assert_eq!(self.established.replace(conn), None, "up twice");
                }
                Output::Down(down) => {
                    assert!(self.established.take().is_some(), "down twice");
                    assert!(down.restart_time.is_zero() || !down.retain.is_empty());
                    self.refreshing = false;
                }
                Output::AttemptFailed { .. } | Output::CollisionLost(_) => {}
                Output::BeginOfRefresh(_) => {
                    assert!(self.established.is_some());
                    self.refreshing = true;
                }
                Output::EndOfRefresh(_) => {
                    assert!(self.refreshing, "an end without a begin");
                    self.refreshing = false;
                }
                Output::RouteRefresh(_)
                | Output::RefreshIgnored { .. }
                | Output::RefreshNotUnderstood(_) => assert!(self.established.is_some()),
            }
        }
    }

    fn check(&self, session: &Session) {
        assert!(self.connections.len() <= 2, "{:?}", self.connections);
        assert_eq!(session.has_connections(), !self.connections.is_empty());
        let established = session.established().map(|(conn, _)| conn);
        assert_eq!(established, self.established);
        assert_eq!(session.state() == State::Established, established.is_some());
        if session.state() == State::Idle {
            let wants = session.idle_until();
            assert_eq!(session.next_deadline(), wants, "to be let go at most");
            assert!(wants.is_none() || session.held().is_some());
            assert!(self.connections.is_empty());
        } else {
            assert_eq!(session.held(), None);
        }
    }

    /// What really happens to connections is known to the shell first.
    fn note(&mut self, input: &Input) -> bool {
        match input {
            Input::ConnectFailed { conn, .. } | Input::Closed { conn, .. } => {
                self.connections.remove(conn)
            }
            _ => true,
        }
    }
}

fn variant(which: u8) -> SessionConfig {
    let mut config = config();
    match which {
        0 => {}
        1 => config.passive = true,
        2 => config.collision_detect_established = true,
        3 => return rich(),
        _ => {
            config.local_as = LocalAs::MirrorPeer;
            config.remote_as = None;
            config.passive = true;
        }
    }
    config
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn no_order_of_events_confuses_a_session(
        which in 0..5u8,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut now = Instant::from_secs(1);
        let mut session = Session::new(variant(which), now);
        let mut shell = Shell::default();
        for step in steps {
            match step {
                Step::Say(input) => {
                    // A failure to connect is told of connections that are being made only.
                    let connecting = session.state() == State::Connect;
                    if matches!(input, Input::ConnectFailed { .. }) && !connecting {
                        continue;
                    }
                    if shell.note(&input) {
                        session.handle(input, now);
                    }
                }
                Step::Accept => {
                    let id = ConnectionId::incoming(shell.accepted);
                    shell.accepted += 1;
                    shell.connections.insert(id);
                    session.handle(Input::Accepted(id), now);
                }
                Step::Wait(seconds) => {
                    now = now + secs(seconds);
                    session.handle_deadline(now);
                }
                Step::NextDeadline => {
                    now = session.next_deadline().map_or(now, |at| at.max(now));
                    session.handle_deadline(now);
                    let next = session.next_deadline();
                    prop_assert!(next.is_none_or(|at| at > now), "what was due is done");
                }
            }
            shell.take(&mut session);
            shell.check(&session);
        }
        session.handle(Input::Stop(StopMode::Silent), now);
        shell.take(&mut session);
        shell.check(&session);
        prop_assert_eq!(session.state(), State::Idle);
    }
}

/// The two ends: the first may be passive, and which of them has the higher identifier varies.
fn pair(first_passive: bool, first_higher: bool, restart: bool, seed: u64) -> [SessionConfig; 2] {
    let (first_id, second_id) = if first_higher {
        (HIGHER_ID, LOWER_ID)
    } else {
        (LOWER_ID, HIGHER_ID)
    };
    let mut first = config();
    first.router_id = first_id;
    first.passive = first_passive;
    first.seed = seed;
    if !restart {
        first.graceful_restart = None;
    }
    let second = SessionConfig {
        router_id: second_id,
        passive: false,
        seed: seed.wrapping_add(1),
        ..first.clone()
    };
    [first, second]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// However connections fail and break, in whatever order things arrive, and whoever restarts
    /// in between: once the network works, both ends have one and the same session, and keep it.
    #[test]
    fn two_speakers_find_together(
        (first_passive, first_higher, graceful) in any::<(bool, bool, bool)>(),
        latency_max in 1..2000u64,
        starts_after in 0..3000u64,
        restart in proptest::option::of((any::<bool>(), any::<bool>(), 0..40_000u64)),
        seed in any::<u64>(),
    ) {
        let configs = pair(first_passive, first_higher, graceful, seed);
        let latency_max = Duration::from_millis(latency_max);
        let mut network = Network::new(configs.clone(), latency_max, seed);
        let start = network.now;
        network.start(0);
        network.run_until(start + Duration::from_millis(starts_after));
        network.start(1);
        if let Some((second, silently, at)) = restart {
            network.run_until(start + Duration::from_millis(at));
            let speaker = usize::from(second);
            let mut config = configs[speaker].clone();
            if graceful {
                config.graceful_restart = Some(RestartConfig {
                    restart_time: secs(120),
                    restarting_until: Some(network.now + secs(120)),
                    notification: false,
                });
            }
            network.restart(speaker, config, silently);
        }
        network.run_until(start + secs(40));
        network.faulty = false;
        // The longest wait between attempts, and time for some.
        network.run_until(start + secs(40 + 200));
        let [first, second] = network.established;
        prop_assert!(first.is_some(), "{}", network.speakers[0].state());
        prop_assert_eq!(first, second);
        let downs = network.downs;
        network.run_until(start + secs(40 + 200 + 1000));
        prop_assert_eq!(network.established, [first, second], "it is kept");
        prop_assert_eq!(network.downs, downs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Both connect at about the same time, and no message is lost: no session comes up only to be
    /// lost again, though one side sees the winner of the collision before the other (RFC 4271
    /// section 6.8).
    #[test]
    fn a_collision_costs_no_session(
        first_higher in any::<bool>(),
        latency_max in 1..500u64,
        starts_after in 0..1000u64,
        seed in any::<u64>(),
    ) {
        let configs = pair(false, first_higher, true, seed);
        let mut network = Network::new(configs, Duration::from_millis(latency_max), seed);
        network.faulty = false;
        let start = network.now;
        network.start(0);
        network.run_until(start + Duration::from_millis(starts_after));
        network.start(1);
        network.run_until(start + secs(40));
        let [first, second] = network.established;
        prop_assert!(first.is_some(), "{}", network.speakers[0].state());
        prop_assert_eq!(first, second);
        prop_assert_eq!(network.downs, [0, 0]);
    }
}
