//! The speaker, with real TCP over loopback addresses, peers that are played by the test, and an
//! engine that is played by the test too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod bfd;
mod engine;
mod hostile;
mod node;
mod operator;
mod peer;
mod ranges;
mod reflector;
mod restart;
mod sessions;
mod slow;
mod unnumbered;
mod wire;
