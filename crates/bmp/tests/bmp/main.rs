//! The codec, what an independent reader makes of it, and stations.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod codec;
mod hub;
mod support;
mod tshark;
