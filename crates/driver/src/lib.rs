//! Runs the engine on a thread of its own.
//!
//! The engine decides and has no I/O; this crate gives it a thread, a clock and queues:
//!
//! ```text
//! speaker --input--.                      .--> pull: UPDATE bytes, when the socket can take them
//! api ----declare--+-> bounded queue -> engine --> DesiredFeed: coalesced by key
//! api ----query----'                      |--> OrderFeed: what the speaker is to do, by peer
//!                                         |--> monitor: what the RIB holds, when a station can take it
//!                                         '--> events: log, watch
//! ```
//!
//! One owner: nothing of the engine is shared, others hold an [`EngineHandle`]. Everything towards
//! the engine waits in one bounded queue, so that a flood of routes slows the peer that sends them
//! (by TCP) and nothing else; nothing from the engine waits in a queue that can grow: exports are
//! pulled, desired changes coalesce by key, slow watchers lose events and are told.

mod clock;
mod feed;
mod handle;
mod monitor;
mod orders;
mod run;
mod shared;
mod waiters;

pub use clock::Clock;
pub use feed::{DesiredBatch, DesiredFeed};
pub use handle::{EngineGone, EngineHandle, TimedEvent};
pub use monitor::Monitor;
pub use orders::OrderFeed;
