//! The session state machine, from outside.

mod collision;
mod link;
mod model;
mod open;
mod restart;
mod support;
mod table;
mod timers;
