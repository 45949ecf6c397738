//! BGP sockets: listen, connect, framing; drives the session state machine.
//!
//! ```text
//! listener --accepted--> registry --> peer task: Session, sockets --UpdateBatch--> engine
//!   (one per address)    (by name)     (one per peer)             <--UPDATE bytes-- (pulled)
//!                           ^                 ^ ^
//!             reconfigure --'        link, BFD' '-- orders of the engine
//! ```
//!
//! One task per peer owns its sockets and its [`Session`](chanter_bgp::session::Session); nothing
//! of it is shared. What the peer sends waits for the engine in the peer's own TCP window: while the
//! engine is busy, the task stops reading, and nothing else stops. What the engine has for the peer
//! is pulled when the socket can take it, so that a peer that does not read costs no memory.
//! KEEPALIVEs go between two messages whatever else waits. A peer that is idle has no buffers.

mod addr;
mod auth;
mod config;
mod link;
mod listener;
mod listeners;
mod options;
mod peer;
mod rate;
mod registry;
mod routes;
mod settings;
mod socket;
mod speaker;
mod status;
mod strangers;
mod tap;

pub use addr::{PeerAddr, PeerAddrError};
pub use auth::{AoAlgorithm, AoKey, Auth, Secret, SecretLen, UnknownAlgorithm};
pub use chanter_bgp::session::{LocalAs, SessionTimes, State, StopMode};
pub use config::{ListenRange, PeerConfig, SpeakerConfig};
pub use options::{BfdOptions, PeerOptions, RemoteAs, Ttl};
pub use routes::{Orders, Routes};
pub use speaker::{PeerError, Speaker, SpeakerError, SpeakerHandle};
pub use status::{LastDown, MessageCounts, NegotiatedStatus, PeerStatus};
pub use tap::{MessageTap, TapDirection, TapEvent, TapPeer, TapSession, TapWants, TapWhat};
