//! The speaker as a whole.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::Family;
use chanter_bgp::session::StopMode;
use chanter_engine::PeerId;
use chanter_types::Prefix;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::SpeakerConfig;
use crate::listeners::ListenError;
use crate::peer::{Command, NotDone};
use crate::registry::{Entry, Registry, keys};
use crate::status::PeerStatus;
use crate::{Auth, PeerAddr, Routes};

/// How long a stop may take: last words to peers, and their answers.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Why a speaker cannot be as it is told.
#[derive(Debug, thiserror::Error)]
pub enum SpeakerError {
    /// An address cannot be listened on.
    #[error("cannot listen for BGP on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Two peers with one address: a connection from there could be of either.
    #[error("peer {0} is configured twice")]
    DuplicatePeer(PeerAddr),
    /// The kernel drops what comes without a key from where a range wants one.
    #[error(
        "{who} has no password and is in listen range {range}, which has one: the kernel would drop \
         its connections; give both the same password"
    )]
    NoPassword {
        /// The peer, or the smaller range.
        who: String,
        /// The range with a password.
        range: Prefix,
    },
}

impl From<ListenError> for SpeakerError {
    fn from(ListenError { addr, error }: ListenError) -> Self {
        SpeakerError::Listen { addr, error }
    }
}

/// Why something was not done with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no such peer.
    #[error("there is no such peer")]
    Unknown,
    /// It has no session.
    #[error("the peer has no session")]
    NotEstablished,
    /// It cannot be asked for its routes.
    #[error("the peer does not have the route refresh capability; reset the session instead")]
    NoRouteRefresh,
}

/// A BGP speaker.
#[derive(Debug)]
pub struct Speaker;

impl Speaker {
    /// Starts a speaker: listens, and begins to connect to its peers. Trouble with a peer is no
    /// error, it is tried again for ever.
    ///
    /// # Errors
    /// If an address cannot be listened on, a peer is there twice, or passwords contradict each
    /// other.
    pub async fn start<R: Routes>(
        config: SpeakerConfig,
        routes: R,
    ) -> Result<SpeakerHandle, SpeakerError> {
        check(&config)?;
        let registry = Registry::new(config.clone(), routes.clone());
        if let Err(error) = registry.apply(config) {
            registry.take_all();
            return Err(error.into());
        }
        let watch = tokio::spawn(keys::watch(Arc::clone(&registry)));
        let mut tasks = vec![watch.abort_handle()];
        if let Some(mut orders) = routes.orders() {
            let registry = Arc::clone(&registry);
            let task = tokio::spawn(async move {
                while let Some(order) = orders.next().await {
                    registry.order(order);
                }
            });
            tasks.push(task.abort_handle());
        }
        Ok(SpeakerHandle { registry, tasks })
    }
}

fn check(config: &SpeakerConfig) -> Result<(), SpeakerError> {
    let mut seen = BTreeSet::new();
    if let Some(peer) = config.peers.iter().find(|peer| !seen.insert(&peer.addr)) {
        return Err(SpeakerError::DuplicatePeer(peer.addr.clone()));
    }
    let peers = config.peers.iter().filter_map(|peer| {
        let prefix = Prefix::host(peer.addr.ip()?);
        Some((format!("peer {}", peer.addr), prefix, &peer.options.auth))
    });
    let ranges = config.ranges.iter().map(|range| {
        let who = format!("listen range {}", range.prefix);
        (who, range.prefix, &range.options.auth)
    });
    for (who, prefix, _) in peers
        .chain(ranges)
        .filter(|(.., auth)| **auth == Auth::None)
    {
        let wider = config.ranges.iter().find(|range| {
            range.options.auth != Auth::None
                && range.prefix.len() <= prefix.len()
                && range.prefix.contains(prefix.addr())
        });
        if let Some(wider) = wider {
            let range = wider.prefix;
            return Err(SpeakerError::NoPassword { who, range });
        }
    }
    Ok(())
}

/// All that a handle does with the registry, whatever the engine is.
trait Control: Send + Sync {
    fn statuses(&self) -> Vec<PeerStatus>;
    fn commands(&self, peer: PeerId) -> Option<mpsc::Sender<Command>>;
    fn reconfigure(self: Arc<Self>, config: SpeakerConfig) -> Result<Vec<String>, ListenError>;
    fn listen_addrs(&self) -> Vec<SocketAddr>;
    fn take_all(&self) -> Vec<Entry>;
}

impl<R: Routes> Control for Registry<R> {
    fn statuses(&self) -> Vec<PeerStatus> {
        Registry::statuses(self)
    }

    fn commands(&self, peer: PeerId) -> Option<mpsc::Sender<Command>> {
        Registry::commands(self, peer)
    }

    fn reconfigure(self: Arc<Self>, config: SpeakerConfig) -> Result<Vec<String>, ListenError> {
        Registry::apply(&self, config)
    }

    fn listen_addrs(&self) -> Vec<SocketAddr> {
        Registry::listen_addrs(self)
    }

    fn take_all(&self) -> Vec<Entry> {
        Registry::take_all(self)
    }
}

/// A running speaker. Dropped without [`SpeakerHandle::stop`] it stops silently, and nobody waits for
/// it.
pub struct SpeakerHandle {
    registry: Arc<dyn Control>,
    tasks: Vec<AbortHandle>,
}

impl fmt::Debug for SpeakerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpeakerHandle").finish_non_exhaustive()
    }
}

impl SpeakerHandle {
    /// All peers, by name.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.registry.statuses()
    }

    /// Where it listens, with the ports that the kernel chose.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.registry.listen_addrs()
    }

    /// From now on `config` holds. A session is reset only if something changed that its connection
    /// or its OPENs depend on; descriptions, keys, limits, BFD and policy change without. Returns
    /// what changed, in lines for the log.
    ///
    /// # Errors
    /// As [`Speaker::start`]; then all stays as it was.
    pub async fn reconfigure(&self, config: SpeakerConfig) -> Result<Vec<String>, SpeakerError> {
        check(&config)?;
        Ok(Arc::clone(&self.registry).reconfigure(config)?)
    }

    /// Ends the session with a peer (Cease, Administrative Reset, with `text` for its operator), or
    /// the wait for the next attempt, and starts anew.
    ///
    /// # Errors
    /// [`PeerError::Unknown`].
    pub async fn reset_peer(&self, peer: PeerId, text: String) -> Result<(), PeerError> {
        self.tell(peer, Command::Reset(text)).await
    }

    /// Ends the session with a peer (Cease, Administrative Shutdown, with `text` for its operator),
    /// until [`SpeakerHandle::enable_peer`] or another configuration of the peer.
    ///
    /// # Errors
    /// [`PeerError::Unknown`].
    pub async fn shutdown_peer(&self, peer: PeerId, text: String) -> Result<(), PeerError> {
        self.tell(peer, Command::Shutdown(text)).await
    }

    /// Takes back a shutdown, and what a limit of prefixes has done.
    ///
    /// # Errors
    /// [`PeerError::Unknown`].
    pub async fn enable_peer(&self, peer: PeerId) -> Result<(), PeerError> {
        self.tell(peer, Command::Enable).await
    }

    /// Asks a peer for its routes again (RFC 2918); `families` empty: of all.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn refresh_in(&self, peer: PeerId, families: Vec<Family>) -> Result<(), PeerError> {
        let (reply, answer) = oneshot::channel();
        self.tell(peer, Command::RefreshIn(families, Some(reply)))
            .await?;
        done(answer).await
    }

    /// Sends a peer our routes again; `families` empty: of all.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn refresh_out(&self, peer: PeerId, families: Vec<Family>) -> Result<(), PeerError> {
        let (reply, answer) = oneshot::channel();
        self.tell(peer, Command::RefreshOut(families, reply))
            .await?;
        done(answer).await
    }

    async fn tell(&self, peer: PeerId, command: Command) -> Result<(), PeerError> {
        let commands = self.registry.commands(peer).ok_or(PeerError::Unknown)?;
        let sent = commands.send(command).await;
        sent.map_err(|_| PeerError::Unknown)
    }

    /// Stops listening and ends all sessions; returns when peers have got the last words, or after
    /// a few seconds. With [`StopMode::Silent`] the engine is not told that sessions ended, so that
    /// what it has programmed stays.
    pub async fn stop(&self, mode: StopMode) {
        for task in &self.tasks {
            task.abort();
        }
        let peers = self.registry.take_all();
        let stopping = async {
            for peer in &peers {
                // A task that has ended already need not be told.
                let _ = peer.commands.send(Command::Stop(mode.clone())).await;
            }
            for peer in peers {
                // It has ended, be it by a panic.
                let _ = peer.task.await;
            }
        };
        if timeout(STOP_TIME, stopping).await.is_err() {
            tracing::warn!("some sessions did not end within {} s", STOP_TIME.as_secs());
        }
    }
}

async fn done(answer: oneshot::Receiver<Result<(), NotDone>>) -> Result<(), PeerError> {
    match answer.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(NotDone::NoRouteRefresh)) => Err(PeerError::NoRouteRefresh),
        // Its task has ended, and its session with it.
        Ok(Err(NotDone::NotEstablished)) | Err(_) => Err(PeerError::NotEstablished),
    }
}

impl Drop for SpeakerHandle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // Without a way to be spoken to, their tasks stop silently.
        drop(self.registry.take_all());
    }
}
