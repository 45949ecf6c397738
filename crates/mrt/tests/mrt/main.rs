//! Records, files, dumps of a real engine, and what an independent reader makes of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod codec;
mod dump;
mod log;
mod support;
