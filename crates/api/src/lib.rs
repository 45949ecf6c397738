//! REST: bagpipe-bgp's API and looking glass, the native API, metrics.
//!
//! ```text
//! bagpipe (8082/tcp) --attach, detach--> rest: RestSource --declare--> engine
//!                    --looking-glass---> lg ---------------query-----> engine
//! native (unix socket, loopback) ------> dto <-------------query-----> engine
//! client (the command line) -----------> native
//! ```
//!
//! Handlers parse at the border, ask the engine by a query that runs on its thread, and shape the
//! answer; they hold no state but [`ApiState`].

pub mod bagpipe;
pub mod client;
pub mod control;
pub mod dto;
mod lg;
mod logs;
mod metrics;
pub mod native;
mod policy;
pub mod rest;
mod serve;
mod state;

pub use logs::{LogRecord, LogRing};
pub use policy::try_policy;
pub use serve::{ServeError, bind_tcp, bind_unix, serve_tcp, serve_unix};
pub use state::{ApiState, DataplaneInfo, MessageCounts, NodeInfo, PeerSession, Sessions};
