//! The APIs over a real engine, with a dataplane that says yes or, where a test wants it, no.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod bagpipe_bodies;
mod bagpipe_golden;
mod client;
mod control;
mod harness;
mod looking_glass;
mod native;
mod source;
