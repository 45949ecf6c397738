//! The session with one peer, without I/O: the state machine of RFC 4271 section 8.
//!
//! ```text
//!             Start                  connected                 OPEN               KEEPALIVE
//!  (Idle) ------------> (Connect) --------------> (OpenSent) --------> (OpenConfirm) ------> (Established)
//!    ^     Stop           |    ^                   ^                                           |
//!    '---- from all       |    | retry timer       | peer connects                             |
//!                         v    |                   |                     any error             |
//!                        (Active) -----------------+ <-----------------------------------------'
//! ```
//!
//! The states are those of a connection; a session has up to two, one that this speaker opened and
//! one that the peer opened, until one of them is Established or loses the collision (section 6.8).
//! After an error the session is Active at once: the peer may connect at any time, only our own
//! attempts are held back, each longer than the one before (DampPeerOscillations). It is Idle only
//! while it is stopped, or held so for a reason of the shell's.
//!
//! The shell owns the sockets and the clock. It tells the session what happened
//! ([`Session::handle`]), calls [`Session::handle_deadline`] when [`Session::next_deadline`] has
//! come, and carries out what [`Session::poll_output`] says. What UPDATEs contain is not the
//! session's matter, End-of-RIB included.

mod change;
mod collision;
mod config;
mod connection;
mod damping;
mod event;
mod machine;
mod negotiate;
mod offer;
mod random;
mod reason;

pub use change::SessionChange;
pub use config::{LocalAs, Offers, RestartConfig, SessionConfig, SessionTimes};
pub use event::{
    CloseCause, ConnectionId, ControlMessage, Direction, Down, Hold, Input, Output, State, StopMode,
};
pub use machine::Session;
pub use negotiate::{Negotiated, PeerRestart};
pub use reason::DownReason;
