//! The `chanter` program: configuration, command line, wiring of the daemons, the lab.
//!
//! A library beside the binary only so that tests reach its parts.

pub mod build;
pub mod check;
pub mod cli;
pub mod config;
pub mod lab;
pub mod personas;
pub mod show;
pub mod wiring;
