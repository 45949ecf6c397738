//! The state machine without I/O.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod model;
mod packet;
mod support;
mod table;
mod timers;
