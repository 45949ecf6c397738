//! Bidirectional Forwarding Detection: RFC 5880 in asynchronous mode, over a single hop (RFC 5881)
//! or several (RFC 5883).
//!
//! [`packet`] and [`session`] are pure: the codec, and the state machine with time as an argument.
//! [`Bfd`] is the shell: a thread with the sockets and the clock, apart from everything else the
//! process does, so that a busy process does not look like a dead path. Echo packets are neither
//! sent nor accepted, Demand mode is honoured and not used, authentication is not supported: a peer
//! that uses it is refused, and [`BfdStatus::problem`] says so.

mod bfd;
mod config;
mod entry;
pub mod packet;
mod random;
mod run;
pub mod session;
mod socket;
mod table;

pub use bfd::{Bfd, BfdWatch};
pub use config::{BfdConfig, BfdPeer, BfdSignal, BfdStatus};
pub use packet::{BfdState, Diagnostic, Discard, Packet};
