//! The decisions: what this node advertises, what it installs, and why.
//!
//! An [`Engine`] is told what sources want ([`Input::Source`]), what peers say ([`Input::Updates`])
//! and what the dataplane made of it ([`Input::Dataplane`]); it answers with UPDATE messages to
//! export, objects for the dataplane to make true ([`desired`]), statuses and events. It does no I/O
//! and knows no clock: the same inputs give the same outputs.
//!
//! ```text
//!  SourceEvent -> IntentStore --Change--> vpn (MAC-VRFs) --originate--> rib --export--> UPDATE
//!                                            ^  |  ^                     |
//!                    Report -> program ------'  |  '------- import ------' <-- received UPDATE
//!                                               '-> program --Program--> dataplane
//! ```

pub mod desired;
mod engine;
mod event;
mod gate;
mod input;
mod program;
pub mod rib;
mod routes;
mod show;
mod status;
pub mod view;
mod vpn;
mod why;

pub use engine::{Engine, EngineConfig};
pub use event::Event;
pub use input::{Input, ObjectStatus, Output, PeerId, PeerOrder, PeerRole, SessionInfo};
