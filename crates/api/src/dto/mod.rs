//! The types of the native API, `/v1`: what the wire carries, kept apart from what the engine works
//! with, so that either can change alone. The command line uses them too.

mod bfd;
mod control;
mod health;
mod instance;
mod peer;
mod peer_detail;
mod policy;
mod problem;
mod query;
mod route;
mod why;

pub use bfd::BfdSession;
pub use control::{Direction, PeerClear, PeerMessage, ReloadReport};
pub use health::{Check, EventRecord, FamilyCounts, Health, SourceState, Summary};
pub use instance::{
    Attachment, AttachmentSpec, DesiredObject, Instance, InstanceSpec, Status, StatusName,
};
pub use peer::{MessageCounts, Peer, PeerFamily};
pub use peer_detail::{
    Negotiated, PeerDetail, PeerDown, PeerInFull, PeerPolicy, PrefixLimit, RejectedCount,
};
pub use policy::{Policy, PolicyOutcome, PolicyRule, PolicyStep, PolicyTrial};
pub use problem::Problem;
pub use query::{AttachmentQuery, DataplaneQuery, RouteQuery, WhyQuery};
pub use route::{Path, PathSource, Route, RoutePage};
pub use why::{WhyInstance, WhyReport, WhyStage, WhyStep};
