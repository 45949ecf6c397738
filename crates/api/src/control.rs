//! What the API changes in the running daemon, beside attachments.

use std::pin::Pin;
use std::sync::Arc;

use chanter_bfd::BfdStatus;
use chanter_bgp::Family;
use chanter_engine::PeerId;
use chanter_policy::Policy;

/// An answer that takes its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who changes the running daemon.
pub trait Control: Send + Sync {
    /// Reads the configuration again and applies it; on a fault nothing changes.
    fn reload(&self) -> Answer<'_, Result<Reloaded, ReloadError>>;

    /// Does something with a peer.
    fn peer(&self, peer: PeerId, action: PeerAction) -> Answer<'_, Result<(), PeerActionError>>;

    /// The policies in force, by name.
    fn policies(&self) -> Vec<Arc<Policy>>;

    /// BFD sessions.
    fn bfd(&self) -> Answer<'_, Vec<BfdStatus>>;
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// What changed, a line each.
    pub changed: Vec<String>,
    /// What cannot change while the process runs and was left.
    pub kept: Vec<String>,
    /// What is odd in the configuration.
    pub warnings: Vec<String>,
}

/// Why nothing was reloaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is wrong; all faults with their lines.
    #[error("{0}")]
    Configuration(String),
    /// It is right but cannot be applied.
    #[error("{0}")]
    Failed(String),
}

/// What to do with a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAction {
    /// End the session, until it is enabled.
    Shutdown {
        /// For the peer's operator (RFC 9003).
        text: String,
    },
    /// Take a shutdown back.
    Enable,
    /// End the session and start anew.
    Reset {
        /// For the peer's operator.
        text: String,
    },
    /// Ask for the peer's routes again (RFC 2918).
    RefreshIn {
        /// Of these families; empty: of all.
        families: Vec<Family>,
    },
    /// Send the peer our routes again.
    RefreshOut {
        /// Of these families; empty: of all.
        families: Vec<Family>,
    },
}

/// Why nothing was done with a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerActionError {
    /// There is no such peer.
    #[error("there is no such peer")]
    Unknown,
    /// Its session does not allow it now.
    #[error("{0}")]
    NotNow(String),
}
