//! The speaker as a whole.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::session::StopMode;
use chanter_engine::PeerId;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::SpeakerConfig;
use crate::peer::Command;
use crate::registry::Registry;
use crate::status::PeerStatus;
use crate::{Routes, listener, socket};

/// How long a stop may take: last words to peers, and their answers.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Why a speaker cannot start.
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
    DuplicatePeer(IpAddr),
}

/// A BGP speaker.
#[derive(Debug)]
pub struct Speaker;

impl Speaker {
    /// Starts a speaker: listens, and begins to connect to its peers. Trouble with a peer is no
    /// error, it is tried again for ever.
    ///
    /// # Errors
    /// If an address cannot be listened on, or a peer is there twice.
    pub async fn start<R: Routes>(
        config: SpeakerConfig,
        routes: R,
    ) -> Result<SpeakerHandle, SpeakerError> {
        check(&config)?;
        let mut listeners = Vec::new();
        for addr in &config.listen {
            let listener = socket::listen(*addr);
            listeners.push(listener.map_err(|error| SpeakerError::Listen { addr: *addr, error })?);
        }
        // The port may have been left to the kernel.
        let listen_addrs = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let registry = Registry::new(config, &routes);
        let listeners = listeners
            .into_iter()
            .map(|socket| {
                let task = listener::run(socket, Arc::clone(&registry), routes.clone());
                tokio::spawn(task).abort_handle()
            })
            .collect();
        Ok(SpeakerHandle {
            registry,
            listeners,
            listen_addrs,
        })
    }
}

fn check(config: &SpeakerConfig) -> Result<(), SpeakerError> {
    let mut addrs: Vec<_> = config.peers.iter().map(|peer| peer.addr).collect();
    addrs.sort_unstable();
    match addrs.array_windows().find(|[one, other]| one == other) {
        Some([addr, _]) => Err(SpeakerError::DuplicatePeer(*addr)),
        None => Ok(()),
    }
}

/// A running speaker. Dropped without [`SpeakerHandle::stop`] it stops silently, and nobody waits for
/// it.
#[derive(Debug)]
pub struct SpeakerHandle {
    registry: Arc<Registry>,
    listeners: Vec<AbortHandle>,
    listen_addrs: Vec<SocketAddr>,
}

impl SpeakerHandle {
    /// All peers, by address.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.registry.statuses()
    }

    /// Where it listens, with the ports that the kernel chose.
    pub fn listen_addrs(&self) -> &[SocketAddr] {
        &self.listen_addrs
    }

    /// Ends the session with a peer (Cease, Administrative Reset, with `text` for its operator), or
    /// the wait for the next attempt, and starts anew. Says whether there is such a peer.
    pub async fn reset(&self, peer: PeerId, text: String) -> bool {
        let Some(commands) = self.registry.commands(peer) else {
            return false;
        };
        commands.send(Command::Reset(text)).await.is_ok()
    }

    /// Stops listening and ends all sessions; returns when peers have got the last words, or after
    /// a few seconds. With [`StopMode::Silent`] the engine is not told that sessions ended, so that
    /// what it has programmed stays.
    pub async fn stop(&self, mode: StopMode) {
        for listener in &self.listeners {
            listener.abort();
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

impl Drop for SpeakerHandle {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
        // Without a way to be spoken to, their tasks stop silently.
        drop(self.registry.take_all());
    }
}
