//! The session state machine, from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod close;
mod codecs;
mod collision;
mod configure;
mod link;
mod model;
mod offers;
mod open;
mod refresh;
mod restart;
mod support;
mod table;
mod timers;
mod values;
