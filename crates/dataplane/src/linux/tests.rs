//! The sink against a real kernel, in private network namespaces, and plans against a simulated one.
//!
//! Tests that use namespaces need root (`CAP_SYS_ADMIN`, `CAP_NET_ADMIN`) and say so where they do
//! not have it.

mod adoption;
mod desire;
mod entries;
mod isolation;
mod live;
mod namespace;
mod netlink_monitor;
mod node;
mod overrun;
mod plans;
mod ports;
mod simulation;
mod tampering;
mod traffic;
