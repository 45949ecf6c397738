//! A session under test: what is said to it, and what it says, in short words.

use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_bgp::session::{
    ConnectionId, ControlMessage, Down, Input, LocalAs, Offers, Output, RestartConfig, Session,
    SessionConfig, SessionTimes, State,
};
use chanter_bgp::{
    AddPathMode, Capability, Family, FamilySet, GracefulRestart, Hostname, LongLivedFamily,
    OpenMessage,
};
use chanter_types::{Asn, Instant};

pub(crate) const LOCAL_AS: Asn = Asn(64512);
pub(crate) const LOCAL_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// Lower and higher than [`LOCAL_ID`].
pub(crate) const LOWER_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const HIGHER_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

pub(crate) const OUT: ConnectionId = ConnectionId::outgoing(0);
pub(crate) const IN: ConnectionId = ConnectionId::incoming(0);

pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn config() -> SessionConfig {
    SessionConfig {
        local_as: LocalAs::Fixed(LOCAL_AS),
        router_id: LOCAL_ID,
        remote_as: Some(LOCAL_AS),
        passive: false,
        hold_time: secs(90),
        families: FamilySet::from([Family::L2VPN_EVPN, Family::IPV4_RTC]),
        graceful_restart: Some(RestartConfig {
            restart_time: secs(120),
            restarting_until: None,
            notification: false,
        }),
        offers: Offers::default(),
        collision_detect_established: false,
        times: SessionTimes::default(),
        seed: 1,
    }
}

/// The peer's OPEN, with graceful restart.
pub(crate) fn open(router_id: Ipv4Addr) -> OpenMessage {
    OpenMessage {
        asn: LOCAL_AS,
        hold_time: 30,
        router_id,
        capabilities: vec![
            Capability::MultiProtocol(Family::L2VPN_EVPN),
            Capability::MultiProtocol(Family::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::FourOctetAs(LOCAL_AS),
            restart_capability(false),
        ],
    }
}

pub(crate) fn restart_capability(restarting: bool) -> Capability {
    Capability::GracefulRestart(GracefulRestart {
        restarting,
        notification: false,
        restart_time: 77,
        families: vec![(Family::L2VPN_EVPN, true), (Family::IPV6_UNICAST, true)],
    })
}

/// The peer's OPEN after a restart.
pub(crate) fn open_restarting(router_id: Ipv4Addr) -> OpenMessage {
    let mut open = open(router_id);
    open.capabilities.pop();
    open.capabilities.push(restart_capability(true));
    open
}

/// The peer's OPEN, without graceful restart.
pub(crate) fn open_plain(router_id: Ipv4Addr) -> OpenMessage {
    let mut open = open(router_id);
    open.capabilities.pop();
    open
}

/// With all that can be offered inside the AS.
pub(crate) fn rich() -> SessionConfig {
    let mut config = config();
    config.graceful_restart = Some(RestartConfig {
        restart_time: secs(120),
        restarting_until: None,
        notification: true,
    });
    config.offers = Offers {
        add_path: vec![(Family::L2VPN_EVPN, AddPathMode::Both)],
        long_lived: vec![(Family::L2VPN_EVPN, secs(3600))],
        hostname: Some(Hostname {
            host: "node-1".to_owned(),
            domain: "example.net".to_owned(),
        }),
        ..Offers::default()
    };
    config
}

/// The OPEN of a peer that offers as much.
pub(crate) fn open_rich(router_id: Ipv4Addr) -> OpenMessage {
    let mut open = open_plain(router_id);
    open.capabilities.extend([
        Capability::EnhancedRouteRefresh,
        Capability::ExtendedMessage,
        Capability::AddPath(vec![(Family::L2VPN_EVPN, AddPathMode::Send)]),
        Capability::GracefulRestart(GracefulRestart {
            restarting: false,
            notification: true,
            restart_time: 77,
            families: vec![(Family::L2VPN_EVPN, true)],
        }),
        Capability::LongLivedGracefulRestart(vec![LongLivedFamily {
            family: Family::L2VPN_EVPN,
            time: secs(7200),
            preserved: true,
        }]),
    ]);
    open
}

pub(crate) struct Bench {
    pub(crate) session: Session,
    pub(crate) now: Instant,
}

impl Bench {
    /// A session that is stopped.
    pub(crate) fn new(config: SessionConfig) -> Self {
        let now = Instant::from_secs(1000);
        Self {
            session: Session::new(config, now),
            now,
        }
    }

    /// A session that has begun to connect by [`OUT`].
    pub(crate) fn started(config: SessionConfig) -> Self {
        let mut bench = Self::new(config);
        bench.say(Input::Start);
        bench
    }

    /// A session whose only connection, [`OUT`], is Established.
    pub(crate) fn established(config: SessionConfig) -> Self {
        let mut bench = Self::started(config);
        bench.say(Input::Connected(OUT));
        bench.open(OUT, open(HIGHER_ID));
        bench.say(Input::Keepalive(OUT));
        assert_eq!(bench.session.state(), State::Established);
        bench
    }

    /// A session of [`rich`] with a peer of [`open_rich`], Established on [`OUT`].
    pub(crate) fn rich() -> Self {
        let mut bench = Self::started(rich());
        bench.say(Input::Connected(OUT));
        bench.open(OUT, open_rich(HIGHER_ID));
        bench.say(Input::Keepalive(OUT));
        assert_eq!(bench.session.state(), State::Established);
        bench
    }

    /// A session brought to `state`.
    pub(crate) fn in_state(state: State) -> Self {
        let mut bench = Self::new(config());
        if state >= State::Connect {
            bench.say(Input::Start);
        }
        if state == State::Active {
            let error = "refused".to_owned();
            bench.say(Input::ConnectFailed { conn: OUT, error });
        }
        if state >= State::OpenSent {
            bench.say(Input::Connected(OUT));
        }
        if state >= State::OpenConfirm {
            bench.open(OUT, open(HIGHER_ID));
        }
        if state >= State::Established {
            bench.say(Input::Keepalive(OUT));
        }
        assert_eq!(bench.session.state(), state);
        bench
    }

    pub(crate) fn say(&mut self, input: Input) -> String {
        self.session.handle(input, self.now);
        self.outputs()
    }

    pub(crate) fn open(&mut self, conn: ConnectionId, open: OpenMessage) -> String {
        self.say(Input::Open { conn, open })
    }

    pub(crate) fn accept(&mut self, number: u32) -> String {
        self.say(Input::Accepted(ConnectionId::incoming(number)))
    }

    /// Moves to the next deadline and does what is due.
    pub(crate) fn next_due(&mut self) -> String {
        self.now = self.session.next_deadline().expect("something is due");
        self.session.handle_deadline(self.now);
        self.outputs()
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    pub(crate) fn outputs(&mut self) -> String {
        let words: Vec<_> = self.take().iter().map(word).collect();
        words.join(", ")
    }

    pub(crate) fn take(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    /// Says `input`, and returns the end of the Established session that it brings.
    pub(crate) fn down_by(&mut self, input: Input) -> Down {
        self.session.handle(input, self.now);
        self.take_down()
    }

    pub(crate) fn take_down(&mut self) -> Down {
        let outputs = self.take();
        outputs
            .into_iter()
            .find_map(|output| match output {
                Output::Down(down) => Some(*down),
                _ => None,
            })
            .expect("the session goes down")
    }
}

/// An output in a word; the connection is told where it is not [`OUT`].
fn word(output: &Output) -> String {
    let at = |conn: ConnectionId| match conn {
        OUT => String::new(),
        ConnectionId {
            direction: chanter_bgp::session::Direction::Outgoing,
            number,
        } => format!(" out{number}"),
        ConnectionId { number, .. } => format!(" in{number}"),
    };
    match output {
        Output::Connect(conn) => format!("connect{}", at(*conn)),
        Output::Send { conn, message } => {
            let message = match message {
                ControlMessage::Open(_) => "OPEN".to_owned(),
                ControlMessage::Keepalive => "KEEPALIVE".to_owned(),
                ControlMessage::Notification(message) => {
                    format!("{}/{}", message.code, message.subcode)
                }
                ControlMessage::RouteRefresh(refresh) => refresh.to_string(),
            };
            format!("{message}{}", at(*conn))
        }
        Output::Close(conn) => format!("close{}", at(*conn)),
        Output::Up { conn, .. } => format!("up{}", at(*conn)),
        Output::Down(down) => format!("down {}", down.reason.name()),
        Output::AttemptFailed { reason, .. } => format!("failed {}", reason.name()),
        Output::CollisionLost(conn) => format!("lost{}", at(*conn)),
        Output::RouteRefresh(family) => format!("refresh {family}"),
        Output::BeginOfRefresh(family) => format!("begin {family}"),
        Output::EndOfRefresh(family) => format!("end {family}"),
        Output::RefreshIgnored { because, .. } => format!("ignored: {because}"),
        Output::RefreshNotUnderstood(family) => format!("no refresh of {family}"),
    }
}
