//! The task of one peer.

mod connection;
mod outbox;
mod pending;
mod receive;
mod report;
mod to_engine;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::session::{
    ConnectionId, Direction, Down, DownReason, Input as SessionInput, Negotiated, Output, Session,
    StopMode,
};
use chanter_driver::{Clock, EngineGone};
use chanter_engine::{Input, PeerId, PeerRole, SessionInfo};
use chanter_types::Instant;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use self::connection::{Connection, Ready, ready};
use self::pending::Pending;
use self::report::Report;
pub(crate) use self::report::first_status;
use self::to_engine::ToEngine;
use crate::config::PeerSettings;
use crate::rate::RateLimit;
use crate::registry::Registry;
use crate::status::{MessageCounts, PeerStatus};
use crate::{Routes, socket};

/// So many octets of UPDATEs are pulled at a time: a few hundred routes. What is pulled goes out as
/// it is, so more would only make news wait behind it.
const PULL_BUDGET: usize = 64 * 1024;

/// A peer that opens connections faster than it hears our last words on the old ones does not get
/// to hear them.
const CLOSING_MAX: usize = 8;

/// So many faults of a peer's UPDATEs are logged in [`FAULT_WINDOW`].
const FAULT_LINES_MAX: u32 = 10;
const FAULT_WINDOW: Duration = Duration::from_secs(60);

/// What a peer's task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// The peer has connected.
    Accepted(TcpStream),
    /// End the session with this text, and start anew.
    Reset(String),
    /// End the session and the task.
    Stop(StopMode),
}

/// What a peer's task is made of.
pub(crate) struct PeerParts<R> {
    pub(crate) id: PeerId,
    pub(crate) settings: PeerSettings,
    pub(crate) routes: R,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) status: Arc<Mutex<PeerStatus>>,
    /// Held by a peer from a range while it has not had a session.
    pub(crate) unidentified: Option<OwnedSemaphorePermit>,
}

pub(crate) struct PeerTask<R> {
    id: PeerId,
    settings: PeerSettings,
    routes: R,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    registry: Arc<Registry>,
    unidentified: Option<OwnedSemaphorePermit>,
    session: Session,
    connections: Vec<Connection>,
    next_incoming: u32,
    connecting: Pending<(ConnectionId, io::Result<TcpStream>)>,
    to_engine: ToEngine<R>,
    pulling: Pending<Result<Bytes, EngineGone>>,
    /// Connections on which the last words are being said.
    closing: JoinSet<MessageCounts>,
    /// Whether the engine has ever heard of the peer.
    known_to_engine: bool,
    /// Until then the engine keeps routes of the peer.
    retained_until: Instant,
    life: Life,
    status: Report,
    fault_lines: RateLimit,
}

/// Where a task is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// To be stopped, or no longer known; what is under way is finished.
    Leaving {
        /// The engine is not told how sessions end.
        silently: bool,
    },
}

/// Why a task woke up.
enum Wake {
    Command(Option<Command>),
    Connected(ConnectionId, io::Result<TcpStream>),
    Ready(ConnectionId, Ready),
    Taken(Result<(), EngineGone>),
    Pulled(Result<Bytes, EngineGone>),
    Finished(Option<MessageCounts>),
    Deadline,
}

impl<R: Routes> PeerTask<R> {
    pub(crate) fn new(parts: PeerParts<R>) -> Self {
        let clock = parts.routes.clock();
        let now = clock.now();
        Self {
            id: parts.id,
            session: Session::new(parts.settings.session.clone(), now),
            status: Report::new(parts.status, &parts.settings, clock),
            settings: parts.settings,
            to_engine: ToEngine::new(parts.routes.clone()),
            routes: parts.routes,
            clock,
            commands: parts.commands,
            registry: parts.registry,
            unidentified: parts.unidentified,
            connections: Vec::new(),
            next_incoming: 0,
            connecting: Pending::none(),
            pulling: Pending::none(),
            closing: JoinSet::new(),
            known_to_engine: false,
            retained_until: now,
            life: Life::Running,
            fault_lines: RateLimit::new(FAULT_LINES_MAX, FAULT_WINDOW),
        }
    }

    /// Runs until it is stopped, or, for a peer from a range, until nothing is left of it.
    pub(crate) async fn run(mut self) {
        self.say(SessionInput::Start);
        loop {
            self.settle();
            if self.is_done() {
                return;
            }
            match self.wake().await {
                // The process is about to end; peers keep our routes.
                Wake::Taken(Err(EngineGone)) | Wake::Pulled(Err(EngineGone)) => return,
                wake => self.act(wake),
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.next_deadline().map(|at| self.clock.until(at));
        let Self {
            commands,
            connecting,
            connections,
            to_engine,
            pulling,
            closing,
            life,
            ..
        } = self;
        let routes_wanted = to_engine.is_empty();
        tokio::select! {
            command = commands.recv(), if *life == Life::Running => Wake::Command(command),
            (id, result) = connecting.result() => Wake::Connected(id, result),
            (id, ready) = ready(connections, routes_wanted) => Wake::Ready(id, ready),
            result = to_engine.taken(), if !routes_wanted => Wake::Taken(result),
            result = pulling.result() => Wake::Pulled(result),
            Some(result) = closing.join_next() => Wake::Finished(result.ok()),
            () = tokio::time::sleep(deadline.unwrap_or(Duration::MAX)), if deadline.is_some() => {
                Wake::Deadline
            }
        }
    }

    fn act(&mut self, wake: Wake) {
        match wake {
            Wake::Command(Some(Command::Accepted(stream))) => self.accepted(stream),
            Wake::Command(Some(Command::Reset(text))) => self.say(SessionInput::Reset { text }),
            Wake::Command(Some(Command::Stop(mode))) => self.stop(mode),
            // The speaker was dropped without a word: as if the process had ended.
            Wake::Command(None) => self.stop(StopMode::Silent),
            Wake::Connected(id, result) => self.connected(id, result),
            Wake::Ready(id, Ready::Read) => self.receive(id),
            Wake::Ready(id, Ready::Write) => self.write(id),
            Wake::Pulled(Ok(updates)) => self.send_updates(updates),
            Wake::Finished(counts) => self.status.sent_farewell(counts),
            Wake::Deadline => self.deadline(),
            Wake::Taken(_) | Wake::Pulled(Err(_)) => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let leave_at = self.may_leave().then_some(self.retained_until);
        self.session
            .next_deadline()
            .into_iter()
            .chain(leave_at)
            .min()
    }

    fn is_done(&self) -> bool {
        self.life != Life::Running
            && self.connections.is_empty()
            && self.closing.is_empty()
            && self.to_engine.is_empty()
    }

    /// Tells the session something, and does what it says.
    fn say(&mut self, input: SessionInput) {
        self.session.handle(input, self.clock.now());
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(id) => self.connect(id),
                Output::Send { conn, message } => {
                    if let Some(connection) = self.connection(conn) {
                        connection.outbox.push_session(|out| message.encode(out));
                    }
                }
                Output::Close(id) => self.close(id),
                Output::Up { conn, negotiated } => self.up(conn, &negotiated),
                Output::Down(down) => self.down(&down),
                Output::AttemptFailed { reason, retry_in } => {
                    self.attempt_failed(&reason, retry_in)
                }
                Output::CollisionLost(id) => self.status.collision_lost(id),
                Output::RouteRefresh(family) => self.to_engine.push(Input::RouteRefresh {
                    peer: self.id,
                    family,
                }),
            }
        }
    }

    /// After each wake: writes what can be written, pulls what can be sent, leaves if it may.
    fn settle(&mut self) {
        for id in self.connection_ids() {
            self.write(id);
        }
        self.pull();
        if self.may_leave()
            && self.clock.now() >= self.retained_until
            && self
                .registry
                .forget(self.settings.addr, self.id, &self.commands)
        {
            self.leave();
        }
        self.status.update(&self.session);
    }

    fn deadline(&mut self) {
        // What came in time counts, even if this task comes too late to see it: all is read first.
        // Where it may not be, as the engine is busy, it is enough that there is something.
        for id in self.connection_ids() {
            if self.to_engine.is_empty() {
                self.receive(id);
            }
            let connection = self.connection(id);
            if connection.is_some_and(|connection| socket::look(&connection.stream) == Ok(true)) {
                self.say(SessionInput::Unread(id));
            }
        }
        self.session.handle_deadline(self.clock.now());
        self.carry_out();
    }

    fn connect(&mut self, id: ConnectionId) {
        let remote = SocketAddr::new(self.settings.addr, self.settings.port);
        let local = self.settings.local_addr;
        let user_timeout = self.settings.session.times.send_hold;
        self.connecting
            .start(async move { (id, socket::connect(remote, local, user_timeout).await) });
    }

    fn connected(&mut self, id: ConnectionId, result: io::Result<TcpStream>) {
        match result {
            Ok(stream) => {
                self.connections.push(Connection::new(id, stream));
                self.say(SessionInput::Connected(id));
            }
            Err(error) => self.say(SessionInput::ConnectFailed {
                conn: id,
                error: error.to_string(),
            }),
        }
    }

    fn accepted(&mut self, stream: TcpStream) {
        let user_timeout = self.settings.session.times.send_hold;
        if let Err(error) = socket::tune(&stream, user_timeout) {
            // It was closed again already.
            tracing::debug!(peer = %self.settings.addr, "connection of the peer is gone: {error}");
            return;
        }
        self.look_for_the_end();
        let id = ConnectionId::incoming(self.next_incoming);
        self.next_incoming = self.next_incoming.wrapping_add(1);
        self.connections.push(Connection::new(id, stream));
        self.say(SessionInput::Accepted(id));
    }

    /// A peer that connects anew may have closed its old connection just before: that is no
    /// collision. Where routes may not be read, as the engine is busy, a look has to do.
    fn look_for_the_end(&mut self) {
        for id in self.connection_ids() {
            if self.to_engine.is_empty() {
                self.receive(id);
            } else if let Some(connection) = self.connection(id)
                && let Err(error) = socket::look(&connection.stream)
            {
                self.connection_gone(id, error);
            }
        }
    }

    fn attempt_failed(&mut self, reason: &DownReason, retry_in: Option<Duration>) {
        let is_stranger = self.unidentified.is_some();
        let (registry, now) = (&self.registry, self.clock.now());
        self.status.attempt_failed(reason, retry_in, || {
            if is_stranger {
                registry.stranger_line(now)
            } else {
                Some(String::new())
            }
        });
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.id == id)
    }

    fn connection_ids(&self) -> Vec<ConnectionId> {
        self.connections
            .iter()
            .map(|connection| connection.id)
            .collect()
    }

    /// The connection ended by itself.
    fn connection_gone(&mut self, id: ConnectionId, error: Option<String>) {
        let before = self.connections.len();
        self.connections.retain(|connection| connection.id != id);
        if self.connections.len() < before {
            self.say(SessionInput::Closed { conn: id, error });
        }
    }

    /// The session is done with a connection.
    fn close(&mut self, id: ConnectionId) {
        let at = self
            .connections
            .iter()
            .position(|connection| connection.id == id);
        match at {
            Some(at) => {
                let connection = self.connections.remove(at);
                if self.closing.len() < CLOSING_MAX {
                    self.closing.spawn(connection.finish());
                }
            }
            None if id.direction == Direction::Outgoing => self.connecting.cancel(),
            None => {}
        }
    }

    fn write(&mut self, id: ConnectionId) {
        let Some(at) = self.connections.iter().position(|c| c.id == id) else {
            return;
        };
        match self.connections[at].write(&mut self.status.sent) {
            Ok(false) => {}
            Ok(true) => self.say(SessionInput::Written(id)),
            Err(error) => {
                // The peer's reason may be there still, in front of the reset.
                self.receive(id);
                self.connection_gone(id, Some(error.to_string()));
            }
        }
    }

    fn up(&mut self, conn: ConnectionId, negotiated: &Negotiated) {
        self.unidentified = None;
        self.known_to_engine = true;
        let Some(connection) = self.connection(conn) else {
            return;
        };
        connection.codec = Some(negotiated.codec_context());
        let local = connection.stream.local_addr().map(|addr| addr.ip());
        let local_addr = local.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
        let info = session_info(&self.settings, local_addr, negotiated);
        self.status.up(&self.settings, local_addr, negotiated);
        self.to_engine.push(Input::PeerUp {
            peer: self.id,
            session: Box::new(info),
        });
    }

    fn down(&mut self, down: &Down) {
        self.pulling.cancel();
        self.retained_until = self.clock.now() + down.restart_time;
        self.status.down(down);
        // A stop that shall not show tells the engine nothing either: what it has programmed stays.
        if self.life != (Life::Leaving { silently: true }) {
            self.to_engine.push(Input::PeerDown {
                peer: self.id,
                retain: down.retain.clone(),
                restart_time: down.restart_time,
            });
        }
    }

    /// Asks the engine for UPDATEs, once all that it gave before is written and it knows that the
    /// session is up.
    fn pull(&mut self) {
        if self.pulling.is_some() || !self.to_engine.is_empty() {
            return;
        }
        let wants = |connection: &Connection| {
            connection.codec.is_some() && connection.outbox.takes_updates()
        };
        if self.connections.iter().any(wants) {
            let routes = self.routes.clone();
            let id = self.id;
            self.pulling
                .start(async move { routes.pull(id, PULL_BUDGET).await });
        }
    }

    fn send_updates(&mut self, updates: Bytes) {
        let established = self
            .connections
            .iter_mut()
            .find(|connection| connection.codec.is_some());
        if let Some(connection) = established {
            connection.outbox.put_updates(updates);
        }
    }

    fn stop(&mut self, mode: StopMode) {
        if self.life == Life::Running {
            self.life = Life::Leaving {
                silently: mode == StopMode::Silent,
            };
            self.say(SessionInput::Stop(mode));
        }
    }

    /// Whether this is a peer from a range without a connection.
    fn may_leave(&self) -> bool {
        self.settings.dynamic && self.life == Life::Running && !self.session.has_connections()
    }

    /// Nothing leads to this task any more: it ends when the engine knows.
    fn leave(&mut self) {
        self.life = Life::Leaving { silently: false };
        if self.known_to_engine {
            self.to_engine.push(Input::PeerRemoved { peer: self.id });
        }
    }
}

fn session_info(
    settings: &PeerSettings,
    local_addr: std::net::IpAddr,
    negotiated: &Negotiated,
) -> SessionInfo {
    let restart = negotiated.peer_restart.as_ref();
    SessionInfo {
        peer_addr: settings.addr,
        local_addr,
        peer_as: negotiated.peer_as,
        local_as: negotiated.local_as,
        peer_router_id: negotiated.peer_router_id,
        role: match (negotiated.ebgp(), settings.role_client) {
            (true, _) => PeerRole::Ebgp,
            (false, true) => PeerRole::RouteReflectorClient,
            (false, false) => PeerRole::Ibgp,
        },
        families: negotiated.families.iter().collect(),
        four_octet_as: negotiated.four_octet_as,
        message_len_max: negotiated.message_len_max,
        // RFC 4724 section 2: who has the capability marks the end in all families.
        end_of_rib: match restart {
            Some(_) => negotiated.families.iter().collect(),
            None => Vec::new(),
        },
        forwarding_preserved: restart
            .map(|restart| restart.forwarding_preserved.iter().collect())
            .unwrap_or_default(),
    }
}
