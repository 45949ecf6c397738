//! All peers, by address: those that are configured, and those that came from a listen range.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_engine::{Input, PeerId};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tracing::error;

use crate::config::{PeerSettings, SpeakerConfig};
use crate::peer::{Command, PeerParts, PeerTask, first_status};
use crate::rate::RateLimit;
use crate::status::PeerStatus;
use crate::{ListenRange, Routes};

/// So many commands may wait for a peer's task, which is never long in taking one: connections that
/// the peer opens faster are dropped.
const COMMANDS_MAX: usize = 16;

/// How long after a fault of this program a session is tried again.
const REVIVE_AFTER: Duration = Duration::from_secs(3);

/// So many lines about peers from ranges that never had a session are logged in [`STRANGER_WINDOW`]:
/// anybody there can connect as often as he likes.
const STRANGER_LINES_MAX: u32 = 10;
const STRANGER_WINDOW: Duration = Duration::from_secs(60);

/// All peers, by address.
#[derive(Debug)]
pub(crate) struct Registry {
    config: SpeakerConfig,
    started_at: chanter_types::Instant,
    peers: Mutex<Peers>,
    next_id: AtomicU32,
    unidentified: Arc<Semaphore>,
    stranger_lines: Mutex<RateLimit>,
}

#[derive(Debug, Default)]
struct Peers {
    by_addr: BTreeMap<IpAddr, Entry>,
    /// No peer is added any more.
    stopped: bool,
}

/// A peer's task, from outside.
#[derive(Debug)]
pub(crate) struct Entry {
    id: PeerId,
    /// The index of the range from which it came.
    range: Option<usize>,
    status: Arc<Mutex<PeerStatus>>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) task: JoinHandle<()>,
}

/// Why a connection is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no peer is configured with this address and no listen range holds it")]
    Unknown,
    #[error("listen range {0} has its limit of {1} peers")]
    RangeFull(chanter_types::Prefix, usize),
    #[error("{0} peers of listen ranges have no session yet, which is the limit")]
    TooManyUnidentified(usize),
    #[error("{COMMANDS_MAX} connections of it wait already")]
    TooFast,
    #[error("this speaker stops")]
    Stopped,
}

impl Registry {
    pub(crate) fn new<R: Routes>(config: SpeakerConfig, routes: &R) -> Arc<Self> {
        let registry = Arc::new(Self {
            started_at: routes.clock().now(),
            peers: Mutex::default(),
            next_id: AtomicU32::new(1),
            unidentified: Arc::new(Semaphore::new(config.unidentified_max)),
            stranger_lines: Mutex::new(RateLimit::new(STRANGER_LINES_MAX, STRANGER_WINDOW)),
            config,
        });
        let mut peers = registry.lock();
        for peer in &registry.config.peers {
            let settings = registry.config.settings_of_peer(peer, registry.started_at);
            let entry = registry.spawn(settings, None, None, routes.clone());
            peers.by_addr.insert(peer.addr, entry);
        }
        drop(peers);
        registry
    }

    /// What is shown of all peers.
    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let status = |entry: &Entry| {
            let status = entry.status.lock();
            status.unwrap_or_else(PoisonError::into_inner).clone()
        };
        self.lock().by_addr.values().map(status).collect()
    }

    /// How to speak to the task of a peer.
    pub(crate) fn commands(&self, id: PeerId) -> Option<mpsc::Sender<Command>> {
        let peers = self.lock();
        let entry = peers.by_addr.values().find(|entry| entry.id == id)?;
        Some(entry.commands.clone())
    }

    /// Whether the log may tell of a peer from a range that never had a session; if so, what to add
    /// about lines that were left out.
    pub(crate) fn stranger_line(&self, now: chanter_types::Instant) -> Option<String> {
        let lines = self.stranger_lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).allow(now)
    }

    /// Gives all tasks away, to be stopped; none is added any more.
    pub(crate) fn take_all(&self) -> Vec<Entry> {
        let mut peers = self.lock();
        peers.stopped = true;
        std::mem::take(&mut peers.by_addr).into_values().collect()
    }

    /// Gives an accepted connection to the task of its peer; where it is the first of a peer from a
    /// range, the task is made.
    pub(crate) fn accept<R: Routes>(
        self: &Arc<Self>,
        stream: TcpStream,
        addr: IpAddr,
        routes: &R,
    ) -> Result<(), Refused> {
        let mut peers = self.lock();
        if peers.stopped {
            return Err(Refused::Stopped);
        }
        let entry = match peers.by_addr.get(&addr) {
            Some(entry) => entry,
            None => {
                let entry = self.spawn_dynamic(&peers, addr, routes)?;
                peers.by_addr.entry(addr).or_insert(entry)
            }
        };
        let command = Command::Accepted(stream);
        entry
            .commands
            .try_send(command)
            .map_err(|_| Refused::TooFast)
    }

    /// Forgets a peer from a range, unless there is something to tell it yet.
    pub(crate) fn forget(
        &self,
        addr: IpAddr,
        id: PeerId,
        commands: &mpsc::Receiver<Command>,
    ) -> bool {
        // Commands are given under the same lock, so that none gets lost.
        let mut peers = self.lock();
        let is_known = peers.by_addr.get(&addr).is_some_and(|entry| entry.id == id);
        let forgets = is_known && commands.is_empty();
        if forgets {
            peers.by_addr.remove(&addr);
        }
        forgets
    }

    fn spawn_dynamic<R: Routes>(
        self: &Arc<Self>,
        peers: &Peers,
        addr: IpAddr,
        routes: &R,
    ) -> Result<Entry, Refused> {
        let (index, range) = self.range_of(addr).ok_or(Refused::Unknown)?;
        let of_range = |entry: &&Entry| entry.range == Some(index);
        if peers.by_addr.values().filter(of_range).count() >= range.limit {
            return Err(Refused::RangeFull(range.prefix, range.limit));
        }
        let unidentified = Arc::clone(&self.unidentified).try_acquire_owned();
        let unidentified =
            unidentified.map_err(|_| Refused::TooManyUnidentified(self.config.unidentified_max))?;
        let settings = self.config.settings_of_range(range, addr, self.started_at);
        Ok(self.spawn(settings, Some(index), Some(unidentified), routes.clone()))
    }

    /// The most specific range that holds `addr`.
    fn range_of(&self, addr: IpAddr) -> Option<(usize, &ListenRange)> {
        self.config
            .ranges
            .iter()
            .enumerate()
            .filter(|(_, range)| range.prefix.contains(addr))
            .max_by_key(|(_, range)| range.prefix.len())
    }

    fn spawn<R: Routes>(
        self: &Arc<Self>,
        settings: PeerSettings,
        range: Option<usize>,
        unidentified: Option<OwnedSemaphorePermit>,
        routes: R,
    ) -> Entry {
        let id = PeerId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let status = first_status(id, &settings, routes.clock());
        let status = Arc::new(Mutex::new(status));
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let task = supervise(PeerParts {
            id,
            settings,
            routes,
            commands,
            registry: Arc::clone(self),
            status: Arc::clone(&status),
            unidentified,
        });
        Entry {
            id,
            range,
            status,
            commands: sender,
            task: tokio::spawn(task),
        }
    }

    /// A new way to the task of a configured peer, whose old task is no more; peers from ranges are
    /// forgotten.
    fn reconnect(&self, addr: IpAddr, id: PeerId) -> Option<mpsc::Receiver<Command>> {
        let mut peers = self.lock();
        let entry = peers.by_addr.get_mut(&addr)?;
        if entry.id != id {
            return None;
        }
        if entry.range.is_some() {
            peers.by_addr.remove(&addr);
            return None;
        }
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        entry.commands = sender;
        Some(commands)
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        // Nothing that holds the lock can panic halfway.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the task of a peer. A fault of this program in it costs the one session, not the others, and
/// is tried again later.
async fn supervise<R: Routes>(parts: PeerParts<R>) {
    let PeerParts {
        id,
        settings,
        routes,
        registry,
        status,
        ..
    } = &parts;
    let (id, settings, routes) = (*id, settings.clone(), routes.clone());
    let (registry, status) = (Arc::clone(registry), Arc::clone(status));
    let mut next = Some(parts);
    while let Some(parts) = next.take() {
        let task = tokio::spawn(PeerTask::new(parts).run());
        match task.await {
            Err(error) if error.is_panic() => {}
            _ => return,
        }
        let addr = settings.addr;
        error!(
            peer = %addr,
            "session with peer {addr} ended by a fault of this program, which should be reported; \
             trying again in {} s",
            REVIVE_AFTER.as_secs()
        );
        {
            let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
            status.previous_state = std::mem::replace(&mut status.state, State::Idle);
            status.last_error = Some("a fault of this program".to_owned());
        }
        let down = Input::PeerDown {
            peer: id,
            retain: Vec::new(),
            restart_time: Duration::ZERO,
        };
        if routes.input(down).await.is_err() {
            return;
        }
        tokio::time::sleep(REVIVE_AFTER).await;
        next = registry.reconnect(addr, id).map(|commands| PeerParts {
            id,
            settings: settings.clone(),
            routes: routes.clone(),
            commands,
            registry: Arc::clone(&registry),
            status: Arc::clone(&status),
            unidentified: None,
        });
        if next.is_none() {
            // It does not matter if the engine is gone too.
            let _ = routes.input(Input::PeerRemoved { peer: id }).await;
        }
    }
}
