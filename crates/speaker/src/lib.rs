//! BGP sockets: listen, connect, framing; drives the session state machine.
//!
//! ```text
//! listener --accepted--> registry --> peer task: Session, sockets --UpdateBatch--> engine
//!   (one per address)    (by address)  (one per peer)             <--UPDATE bytes-- (pulled)
//! ```
//!
//! One task per peer owns its sockets and its [`Session`](chanter_bgp::session::Session); nothing
//! of it is shared. What the peer sends waits for the engine in the peer's own TCP window: while the
//! engine is busy, the task stops reading, and nothing else stops. What the engine has for the peer
//! is pulled when the socket can take it, so that a peer that does not read costs no memory.
//! KEEPALIVEs go between two messages whatever else waits.

mod config;
mod listener;
mod peer;
mod rate;
mod registry;
mod routes;
mod socket;
mod speaker;
mod status;

pub use chanter_bgp::session::{LocalAs, SessionTimes, State, StopMode};
pub use config::{ListenRange, PeerConfig, SpeakerConfig};
pub use routes::Routes;
pub use speaker::{Speaker, SpeakerError, SpeakerHandle};
pub use status::{MessageCounts, PeerStatus};
