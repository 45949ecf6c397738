//! The decisions.

pub mod desired;
mod event;
mod input;
pub mod view;

pub use event::Event;
pub use input::{Input, ObjectStatus, Output, PeerId, PeerRole, SessionInfo};
