//! All peers, by name: those that are configured, and those that came from a listen range.

mod change;
pub(crate) mod keys;
mod supervise;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_driver::Clock;
use chanter_engine::{PeerId, PeerOrder};
use chanter_types::{IfName, Instant, Prefix};
use nix::net::if_::if_indextoname;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::supervise::supervise;
use crate::auth::Auth;
use crate::config::SpeakerConfig;
use crate::link::Links;
use crate::listeners::{Keys, Listeners};
use crate::peer::{Command, PeerParts, first_status};
use crate::rate::RateLimit;
use crate::settings::PeerSettings;
use crate::socket::is_link_local;
use crate::status::PeerStatus;
use crate::strangers::Strangers;
use crate::{ListenRange, PeerAddr, Routes};

/// So many commands may wait for a peer's task, which is never long in taking one: connections that
/// the peer opens faster are dropped.
const COMMANDS_MAX: usize = 16;

/// So many lines about peers from ranges that never had a session are logged in [`STRANGER_WINDOW`]:
/// anybody there can connect as often as he likes.
const STRANGER_LINES_MAX: u32 = 10;
const STRANGER_WINDOW: Duration = Duration::from_secs(60);

/// All peers, by name.
pub(crate) struct Registry<R> {
    routes: R,
    started_at: Instant,
    links: Links,
    peers: Mutex<Peers>,
    stranger_lines: Mutex<RateLimit>,
}

struct Peers {
    config: Arc<SpeakerConfig>,
    by_name: BTreeMap<PeerAddr, Entry>,
    strangers: Strangers,
    next_id: u32,
    listeners: Listeners,
    /// Addresses of peers that are known by their link.
    learned: BTreeMap<IfName, Ipv6Addr>,
    /// No peer is added any more.
    stopped: bool,
}

/// A peer's task, from outside.
#[derive(Debug)]
pub(crate) struct Entry {
    id: PeerId,
    /// The index of the range from which it came.
    range: Option<usize>,
    /// Its OPEN has been accepted.
    identified: bool,
    settings: watch::Sender<Arc<PeerSettings>>,
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
    RangeFull(Prefix, usize),
    #[error("{0} peers of listen ranges have not sent an acceptable OPEN yet, which is the limit")]
    TooManyUnidentified(usize),
    #[error("{COMMANDS_MAX} connections of it wait already")]
    TooFast,
    #[error("its key could not be set on the listening socket, so that it may be anybody")]
    Unprotected,
    #[error("this speaker stops")]
    Stopped,
}

impl<R: Routes> Registry<R> {
    /// Without peers as yet.
    pub(crate) fn new(config: SpeakerConfig, routes: R) -> Arc<Self> {
        let config = SpeakerConfig {
            peers: Vec::new(),
            ranges: Vec::new(),
            listen: Vec::new(),
            ..config
        };
        Arc::new(Self {
            started_at: routes.clock().now(),
            links: Links::new(),
            peers: Mutex::new(Peers {
                config: Arc::new(config),
                by_name: BTreeMap::new(),
                strangers: Strangers::default(),
                next_id: 1,
                listeners: Listeners::default(),
                learned: BTreeMap::new(),
                stopped: false,
            }),
            stranger_lines: Mutex::new(RateLimit::new(STRANGER_LINES_MAX, STRANGER_WINDOW)),
            routes,
        })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.routes.clock()
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// Where it listens, with the ports that the kernel chose.
    pub(crate) fn listen_addrs(&self) -> Vec<SocketAddr> {
        let peers = self.lock();
        peers.listeners.addrs(&peers.config.listen)
    }

    /// What is shown of all peers.
    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let peers = self.lock();
        let status = |entry: &Entry| {
            let status = entry.status.lock();
            let mut status = status.unwrap_or_else(PoisonError::into_inner).clone();
            if status.auth.is_some()
                && status.state != State::Established
                && let Some(error) = peers.listeners.refusal(status.addr)
            {
                status.last_error = Some(format!("connections of the peer are refused: {error}"));
            }
            status
        };
        peers.by_name.values().map(status).collect()
    }

    /// How to speak to the task of a peer.
    pub(crate) fn commands(&self, id: PeerId) -> Option<mpsc::Sender<Command>> {
        let peers = self.lock();
        let entry = peers.by_name.values().find(|entry| entry.id == id)?;
        Some(entry.commands.clone())
    }

    /// Passes an order of the engine on. Nobody waits for a peer's task that is busy.
    pub(crate) fn order(&self, order: PeerOrder) {
        let peer = order.peer();
        let Some(commands) = self.commands(peer) else {
            return;
        };
        let command = match order {
            PeerOrder::Refresh { families, .. } => Command::RefreshIn(families, None),
            PeerOrder::PrefixLimit { family, limit, .. } => Command::PrefixLimit { family, limit },
        };
        send(commands, command);
    }

    /// Whether the log may tell of a peer from a range that never had a session; if so, what to add
    /// about lines that were left out.
    pub(crate) fn stranger_line(&self, now: Instant) -> Option<String> {
        let lines = self.stranger_lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).allow(now)
    }

    /// Gives all tasks away, to be stopped; none is added any more.
    pub(crate) fn take_all(&self) -> Vec<Entry> {
        let mut peers = self.lock();
        peers.stopped = true;
        peers.listeners.close();
        std::mem::take(&mut peers.by_name).into_values().collect()
    }

    /// Gives an accepted connection to the task of its peer; where it is the first of a peer from a
    /// range, the task is made.
    pub(crate) fn accept(
        self: &Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Result<(), Refused> {
        let names = names_of(remote);
        let mut peers = self.lock();
        if peers.stopped {
            return Err(Refused::Stopped);
        }
        let known = names.iter().find(|name| peers.by_name.contains_key(name));
        let name = match (known, names.first()) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) => {
                self.spawn_dynamic(&mut peers, name, remote.ip())?;
                name.clone()
            }
            (None, None) => return Err(Refused::Unknown),
        };
        let entry = peers.by_name.get(&name).ok_or(Refused::Unknown)?;
        let is_protected = entry.settings.borrow().options.auth != Auth::None;
        if is_protected && peers.listeners.is_unprotected(remote.ip()) {
            return Err(Refused::Unprotected);
        }
        entry
            .commands
            .try_send(Command::Accepted(stream, remote))
            .map_err(|_| Refused::TooFast)
    }

    /// The OPEN of a peer has been received: from now on it counts for its range.
    pub(crate) fn identify(&self, name: &PeerAddr, id: PeerId) -> Result<(), Refused> {
        let mut peers = self.lock();
        let Peers {
            config,
            by_name,
            strangers,
            ..
        } = &mut *peers;
        let Some(entry) = by_name.get(name).filter(|entry| entry.id == id) else {
            return Ok(());
        };
        if let Some(index) = entry.range.filter(|_| !entry.identified)
            && let Some(range) = config.ranges.get(index)
        {
            let counts = |entry: &&Entry| entry.identified && entry.range == Some(index);
            if by_name.values().filter(counts).count() >= range.limit {
                return Err(Refused::RangeFull(range.prefix, range.limit));
            }
        }
        strangers.remove(name);
        if let Some(entry) = by_name.get_mut(name) {
            entry.identified = true;
        }
        Ok(())
    }

    /// Forgets a peer from a range, unless there is something to tell it yet.
    pub(crate) fn forget(
        &self,
        name: &PeerAddr,
        id: PeerId,
        commands: &mpsc::Receiver<Command>,
    ) -> bool {
        // Commands are given under the same lock, so that none gets lost.
        let mut peers = self.lock();
        let is_known = peers.by_name.get(name).is_some_and(|entry| entry.id == id);
        let forgets = is_known && commands.is_empty();
        if forgets {
            peers.by_name.remove(name);
            peers.strangers.remove(name);
        }
        forgets
    }

    /// The address of the peer on that link is known: its key can be set.
    pub(crate) fn learned(&self, interface: &IfName, addr: Ipv6Addr) {
        let mut peers = self.lock();
        if peers.learned.insert(interface.clone(), addr) != Some(addr) {
            let keys = peers.keys(&peers.config);
            peers.listeners.set_keys(&keys);
        }
    }

    fn spawn_dynamic(
        self: &Arc<Self>,
        peers: &mut Peers,
        name: &PeerAddr,
        addr: IpAddr,
    ) -> Result<(), Refused> {
        let config = Arc::clone(&peers.config);
        let (index, range) = range_of(&config, addr).ok_or(Refused::Unknown)?;
        let counts = |entry: &&Entry| entry.identified && entry.range == Some(index);
        if peers.by_name.values().filter(counts).count() >= range.limit {
            return Err(Refused::RangeFull(range.prefix, range.limit));
        }
        let now = self.clock().now();
        if peers.strangers.len() >= config.unidentified_max {
            let victim = peers.strangers.victim(now);
            let victim = victim.ok_or(Refused::TooManyUnidentified(config.unidentified_max))?;
            peers.remove(&victim, "makes room for others, as it sent no OPEN");
        }
        let settings = config.settings_of_range(range, name.clone(), self.started_at);
        let entry = self.spawn(peers, settings, Some(index));
        peers.by_name.insert(name.clone(), entry);
        peers.strangers.insert(name.clone(), now);
        Ok(())
    }

    fn spawn(
        self: &Arc<Self>,
        peers: &mut Peers,
        settings: PeerSettings,
        range: Option<usize>,
    ) -> Entry {
        let id = PeerId(peers.next_id);
        peers.next_id += 1;
        let status = first_status(id, &settings, self.clock());
        let status = Arc::new(Mutex::new(status));
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (settings, watched) = watch::channel(Arc::new(settings));
        let task = supervise(PeerParts {
            id,
            settings: watched,
            routes: self.routes.clone(),
            commands,
            registry: Arc::clone(self),
            status: Arc::clone(&status),
            services: (peers.config.tap.clone(), peers.config.bfd.clone()),
            is_stranger: range.is_some(),
        });
        Entry {
            id,
            range,
            identified: range.is_none(),
            settings,
            status,
            commands: sender,
            task: tokio::spawn(task),
        }
    }

    /// A new way to the task of a configured peer, whose old task is no more; peers from ranges are
    /// forgotten.
    fn reconnect(&self, name: &PeerAddr, id: PeerId) -> Option<mpsc::Receiver<Command>> {
        let mut peers = self.lock();
        let entry = peers.by_name.get_mut(name)?;
        if entry.id != id {
            return None;
        }
        if entry.range.is_some() {
            peers.by_name.remove(name);
            peers.strangers.remove(name);
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

impl Peers {
    /// Removes a peer; its session ends, for that reason.
    fn remove(&mut self, name: &PeerAddr, reason: &'static str) {
        self.strangers.remove(name);
        if let Some(entry) = self.by_name.remove(name) {
            send(entry.commands, Command::Remove(reason));
        }
    }

    /// The keys that listening sockets need with that configuration.
    fn keys(&self, config: &SpeakerConfig) -> Keys {
        let mut keys = Keys::new();
        for range in &config.ranges {
            keys.insert(range.prefix, range.options.auth.clone());
        }
        for peer in &config.peers {
            let learned = |name: &PeerAddr| match name {
                PeerAddr::Interface(interface) => self.learned.get(interface).copied(),
                _ => None,
            };
            let addr = peer
                .addr
                .ip()
                .or_else(|| learned(&peer.addr).map(IpAddr::V6));
            if let Some(addr) = addr {
                keys.insert(Prefix::host(addr), peer.options.auth.clone());
            }
        }
        keys.retain(|_, auth| *auth != Auth::None);
        keys
    }
}

/// The most specific range that holds `addr`.
fn range_of(config: &SpeakerConfig, addr: IpAddr) -> Option<(usize, &ListenRange)> {
    config
        .ranges
        .iter()
        .enumerate()
        .filter(|(_, range)| range.prefix.contains(addr))
        .max_by_key(|(_, range)| range.prefix.len())
}

/// What a peer at `remote` may be called, the most specific name first.
fn names_of(remote: SocketAddr) -> Vec<PeerAddr> {
    match remote {
        SocketAddr::V6(remote) if is_link_local((*remote.ip()).into()) => {
            let name = if_indextoname(remote.scope_id());
            let name = name.ok().and_then(|name| name.into_string().ok());
            match name.and_then(|name| name.parse::<IfName>().ok()) {
                Some(interface) => vec![
                    PeerAddr::LinkLocal(*remote.ip(), interface.clone()),
                    PeerAddr::Interface(interface),
                ],
                // The interface has just gone.
                None => Vec::new(),
            }
        }
        _ => vec![PeerAddr::Ip(remote.ip())],
    }
}

/// Sends a command; where the task is busy, somebody else waits.
fn send(commands: mpsc::Sender<Command>, command: Command) {
    if let Err(mpsc::error::TrySendError::Full(command)) = commands.try_send(command) {
        tokio::spawn(async move {
            // It has ended meanwhile.
            let _ = commands.send(command).await;
        });
    }
}
