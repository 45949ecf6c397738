//! The types of the native API, `/v1`: what the wire carries, kept apart from what the engine works
//! with, so that either can change alone. The command line uses them too.

mod health;
mod instance;
mod peer;
mod problem;
mod query;
mod route;
mod why;

pub use health::{Check, EventRecord, FamilyCounts, Health, SourceState, Summary};
pub use instance::{
    Attachment, AttachmentSpec, DesiredObject, Instance, InstanceSpec, Status, StatusName,
};
pub use peer::{MessageCounts, Peer, PeerFamily};
pub use problem::Problem;
pub use query::{AttachmentQuery, DataplaneQuery, RouteQuery, WhyQuery};
pub use route::{Path, PathSource, Route, RoutePage};
pub use why::{WhyInstance, WhyReport, WhyStage, WhyStep};
