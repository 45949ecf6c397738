//! The session state machine, from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod collision;
mod link;
mod model;
mod open;
mod restart;
mod support;
mod table;
mod timers;
