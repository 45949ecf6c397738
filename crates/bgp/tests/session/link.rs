//! Two speakers and the network between them: connections come up late or not at all, messages
//! take their time (in order on each connection), connections break, speakers restart.

use std::collections::BTreeMap;
use std::time::Duration;

use chanter_bgp::session::{ConnectionId, ControlMessage, Input, Output, Session, SessionConfig};
use chanter_types::Instant;

/// What is on its way.
#[derive(Debug, Clone)]
enum Arrival {
    /// The first packet of a connection.
    Syn,
    /// The connection is there.
    SynAck,
    /// A message.
    Message(ControlMessage),
    /// The other side has closed, or (with an error) knows nothing of the connection.
    End(Option<String>),
    /// Nobody listens.
    Refused,
}

/// A TCP connection, each end as its speaker knows it.
struct Tcp {
    ends: [End; 2],
}

#[derive(Clone, Default)]
struct End {
    /// `None`: not known to the speaker, be it not yet or no more.
    id: Option<ConnectionId>,
    /// When what was sent to this end last arrives: nothing overtakes it.
    last: Instant,
}

pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) speakers: [Session; 2],
    /// The Established connection of each speaker, as an index of `tcps`.
    pub(crate) established: [Option<usize>; 2],
    /// How often each speaker said that the session ended.
    pub(crate) downs: [u32; 2],
    /// While set, connections are refused and break.
    pub(crate) faulty: bool,
    /// The longest time that something is on its way.
    pub(crate) latency_max: Duration,
    tcps: Vec<Tcp>,
    arrivals: BTreeMap<(Instant, u64), (usize, usize, Arrival)>,
    sequence: u64,
    incoming: u32,
    random: u64,
}

impl Network {
    pub(crate) fn new(configs: [SessionConfig; 2], latency_max: Duration, seed: u64) -> Self {
        let now = Instant::from_secs(1);
        Self {
            now,
            speakers: configs.map(|config| Session::new(config, now)),
            established: [None; 2],
            downs: [0; 2],
            faulty: true,
            latency_max,
            tcps: Vec::new(),
            arrivals: BTreeMap::new(),
            sequence: 0,
            incoming: 0,
            random: seed | 1,
        }
    }

    pub(crate) fn start(&mut self, speaker: usize) {
        self.say(speaker, Input::Start);
    }

    /// A speaker's process ends and a new one begins: all that the old one knew is forgotten. With
    /// `silently` its host went down with it, so the peer hears of it only when it sends.
    pub(crate) fn restart(&mut self, speaker: usize, config: SessionConfig, silently: bool) {
        for tcp in 0..self.tcps.len() {
            let known = self.tcps[tcp].ends[speaker].id.take().is_some();
            if known && !silently {
                self.send(tcp, 1 - speaker, Arrival::End(None));
            }
        }
        self.established[speaker] = None;
        self.speakers[speaker] = Session::new(config, self.now);
        self.start(speaker);
    }

    /// Lets the time pass until `end`.
    pub(crate) fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.arrivals.keys().next().map(|(at, _)| *at);
            let deadlines = self.speakers.iter().filter_map(Session::next_deadline);
            let Some(next) = deadlines.chain(arrival).min().filter(|at| *at <= end) else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                if let Some((_, (tcp, to, arrival))) = self.arrivals.pop_first() {
                    self.arrive(tcp, to, arrival);
                }
                continue;
            }
            for speaker in 0..2 {
                self.speakers[speaker].handle_deadline(self.now);
                self.carry_out(speaker);
            }
        }
    }

    /// xorshift; below `bound`.
    fn random(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn send(&mut self, tcp: usize, to: usize, arrival: Arrival) {
        let latency_max = u64::try_from(self.latency_max.as_nanos()).unwrap();
        let latency = Duration::from_nanos(1000 + self.random(latency_max));
        let end = &mut self.tcps[tcp].ends[to];
        end.last = end.last.max(self.now + latency);
        self.arrivals
            .insert((end.last, self.sequence), (tcp, to, arrival));
        self.sequence += 1;
    }

    fn arrive(&mut self, tcp: usize, to: usize, arrival: Arrival) {
        if self.faulty && self.random(12) == 0 {
            return self.break_off(tcp);
        }
        let id = self.tcps[tcp].ends[to].id;
        match (arrival, id) {
            (Arrival::Syn, _) => {
                if self.faulty && self.random(3) == 0 {
                    return self.send(tcp, 1 - to, Arrival::Refused);
                }
                let id = ConnectionId::incoming(self.incoming);
                self.incoming += 1;
                self.tcps[tcp].ends[to].id = Some(id);
                self.send(tcp, 1 - to, Arrival::SynAck);
                self.say(to, Input::Accepted(id));
            }
            (Arrival::Refused, Some(conn)) => {
                self.tcps[tcp].ends[to].id = None;
                let error = "refused".to_owned();
                self.say(to, Input::ConnectFailed { conn, error });
            }
            (Arrival::SynAck, Some(id)) => self.say(to, Input::Connected(id)),
            (Arrival::End(error), Some(conn)) => {
                self.tcps[tcp].ends[to].id = None;
                self.say(to, Input::Closed { conn, error });
            }
            (Arrival::Message(message), Some(conn)) => self.say(
                to,
                match message {
                    ControlMessage::Open(open) => Input::Open { conn, open },
                    ControlMessage::Keepalive => Input::Keepalive(conn),
                    ControlMessage::Notification(notification) => {
                        Input::Notification { conn, notification }
                    }
                    ControlMessage::RouteRefresh(refresh) => Input::RouteRefresh { conn, refresh },
                },
            ),
            // A host that knows nothing of a connection says so.
            (Arrival::Message(_) | Arrival::SynAck, None) => {
                self.send(tcp, 1 - to, Arrival::End(Some("reset".to_owned())));
            }
            (Arrival::End(_) | Arrival::Refused, None) => {}
        }
    }

    /// The network cuts a connection; both ends hear of it.
    fn break_off(&mut self, tcp: usize) {
        for to in 0..2 {
            if self.tcps[tcp].ends[to].id.is_some() {
                self.send(tcp, to, Arrival::End(Some("cut".to_owned())));
            }
        }
    }

    fn say(&mut self, speaker: usize, input: Input) {
        self.speakers[speaker].handle(input, self.now);
        self.carry_out(speaker);
    }

    fn carry_out(&mut self, speaker: usize) {
        while let Some(output) = self.speakers[speaker].poll_output() {
            match output {
                Output::Connect(id) => {
                    let mut ends = [End::default(), End::default()];
                    ends[speaker].id = Some(id);
                    self.tcps.push(Tcp { ends });
                    self.send(self.tcps.len() - 1, 1 - speaker, Arrival::Syn);
                }
                Output::Send { conn, message } => {
                    let tcp = self.find(speaker, conn);
                    self.send(tcp, 1 - speaker, Arrival::Message(message));
                    self.speakers[speaker].handle(Input::Written(conn), self.now);
                }
                Output::Close(conn) => {
                    let tcp = self.find(speaker, conn);
                    self.tcps[tcp].ends[speaker].id = None;
                    self.send(tcp, 1 - speaker, Arrival::End(None));
                }
                Output::Up { conn, .. } => {
                    let tcp = self.find(speaker, conn);
                    assert_eq!(self.established[speaker], None, "two sessions at once");
                    self.established[speaker] = Some(tcp);
                }
                Output::Down(_) => {
                    self.established[speaker] = None;
                    self.downs[speaker] += 1;
                }
                Output::AttemptFailed { .. }
                | Output::CollisionLost(_)
                | Output::RouteRefresh(_)
                | Output::BeginOfRefresh(_)
                | Output::EndOfRefresh(_)
                | Output::RefreshIgnored { .. }
                | Output::RefreshNotUnderstood(_) => {}
            }
        }
    }

    fn find(&self, speaker: usize, id: ConnectionId) -> usize {
        let known = |tcp: &Tcp| tcp.ends[speaker].id == Some(id);
        let tcp = self.tcps.iter().rposition(known);
        tcp.expect("a session speaks of connections that it has only")
    }
}
