//! The task of one peer.

mod bfd;
mod command;
mod connection;
mod link;
mod outbox;
mod pending;
mod receive;
mod report;
mod session;
mod tap;
mod to_engine;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chanter_bfd::{Bfd, BfdSignal};
use chanter_bgp::session::{ConnectionId, Input as SessionInput, Session, StopMode};
use chanter_driver::{Clock, EngineGone};
use chanter_engine::PeerId;
use chanter_types::Instant;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::bfd::BfdTie;
pub(crate) use self::command::{Command, NotDone};
use self::connection::{Connection, Ready, ready};
use self::link::LinkTie;
use self::pending::Pending;
use self::report::Report;
pub(crate) use self::report::first_status;
use self::tap::TapPoint;
use self::to_engine::ToEngine;
use crate::rate::RateLimit;
use crate::registry::Registry;
use crate::settings::PeerSettings;
use crate::status::{MessageCounts, PeerStatus};
use crate::{MessageTap, Routes, socket};

/// So many octets of UPDATEs are pulled at a time: a few hundred routes. What is pulled goes out as
/// it is, so more would only make news wait behind it.
const PULL_BUDGET: usize = 64 * 1024;

/// A peer that opens connections faster than it hears our last words on the old ones does not get
/// to hear them.
const CLOSING_MAX: usize = 8;

/// So many faults of a peer's UPDATEs are logged in [`FAULT_WINDOW`].
const FAULT_LINES_MAX: u32 = 10;
const FAULT_WINDOW: Duration = Duration::from_secs(60);

/// What a peer's task is made of.
pub(crate) struct PeerParts<R> {
    pub(crate) id: PeerId,
    pub(crate) settings: watch::Receiver<Arc<PeerSettings>>,
    pub(crate) routes: R,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) registry: Arc<Registry<R>>,
    pub(crate) status: Arc<Mutex<PeerStatus>>,
    pub(crate) services: (Option<MessageTap>, Option<Bfd>),
    /// It comes from a range, and nothing is known of it but its address.
    pub(crate) is_stranger: bool,
}

pub(crate) struct PeerTask<R> {
    id: PeerId,
    settings: Arc<PeerSettings>,
    new_settings: watch::Receiver<Arc<PeerSettings>>,
    routes: R,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    registry: Arc<Registry<R>>,
    is_stranger: bool,
    session: Session,
    /// Why the session is stopped, beside what the session itself knows.
    holds: Holds,
    started: bool,
    /// Where it is, once that is known.
    remote: Option<SocketAddr>,
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
    link: LinkTie,
    bfd: BfdTie,
    tap: TapPoint,
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

/// Why a session is stopped though the task runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Holds {
    /// By an operator, with a text for the other one.
    shutdown: Option<String>,
    /// The link is not there, or the peer on it not known.
    link: Option<String>,
    /// BFD is not up, and is waited for.
    bfd: bool,
}

impl Holds {
    /// In an operator's words.
    fn reason(&self) -> Option<String> {
        if self.shutdown.is_some() {
            Some("administratively down".to_owned())
        } else if let Some(link) = &self.link {
            Some(link.clone())
        } else {
            self.bfd.then(|| "waiting for BFD to be up".to_owned())
        }
    }
}

/// Why a task woke up.
enum Wake {
    Command(Option<Command>),
    Settings,
    Link,
    Bfd(BfdSignal),
    Connected(ConnectionId, io::Result<TcpStream>),
    Ready(ConnectionId, Ready),
    Taken(Result<(), EngineGone>),
    Pulled(Result<Bytes, EngineGone>),
    Finished(Option<MessageCounts>),
    Deadline,
}

impl<R: Routes> PeerTask<R> {
    pub(crate) fn new(mut parts: PeerParts<R>) -> Self {
        let clock = parts.routes.clock();
        let now = clock.now();
        let settings = Arc::clone(&parts.settings.borrow_and_update());
        let mut session = settings.session.clone();
        session.seed = rand::random();
        let (tap, bfd) = parts.services;
        Self {
            id: parts.id,
            session: Session::new(session, now),
            holds: Holds {
                shutdown: settings.options.shutdown.clone(),
                ..Holds::default()
            },
            started: false,
            remote: settings
                .name
                .ip()
                .filter(|_| settings.name.interface().is_none())
                .map(|addr| SocketAddr::new(addr, settings.port)),
            status: Report::new(parts.status, &settings, clock),
            link: LinkTie::new(&settings, parts.registry.links()),
            bfd: BfdTie::new(bfd),
            tap: TapPoint::new(tap, parts.id, &settings.name),
            settings,
            new_settings: parts.settings,
            to_engine: ToEngine::new(parts.routes.clone()),
            routes: parts.routes,
            clock,
            commands: parts.commands,
            registry: parts.registry,
            is_stranger: parts.is_stranger,
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
        self.look_at_link();
        self.watch_path();
        self.start_or_stop();
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
            new_settings,
            connecting,
            connections,
            to_engine,
            pulling,
            closing,
            life,
            link,
            bfd,
            ..
        } = self;
        let routes_wanted = to_engine.is_empty();
        let running = *life == Life::Running;
        tokio::select! {
            command = commands.recv(), if running => Wake::Command(command),
            () = changed(new_settings), if running => Wake::Settings,
            () = link.changed(), if running => Wake::Link,
            signal = bfd.changed(), if running => Wake::Bfd(signal),
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
            Wake::Command(Some(command)) => self.command(command),
            Wake::Settings => self.reconfigure(),
            // The speaker was dropped without a word: as if the process had ended.
            Wake::Command(None) => self.stop(StopMode::Silent),
            Wake::Link => self.link_changed(),
            Wake::Bfd(signal) => self.path_changed(signal),
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
                .forget(&self.settings.name, self.id, &self.commands)
        {
            self.leave();
        }
        let hold = self.holds.reason();
        self.status.update(&self.session, hold, self.bfd.state());
        self.tap.state(self.session.state(), self.clock);
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
            self.tap.sent(&updates, self.clock);
            connection.outbox.put_updates(updates);
        }
    }
}

/// Waits for other settings. Where there will be none any more, a command says why.
async fn changed(settings: &mut watch::Receiver<Arc<PeerSettings>>) {
    if settings.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
