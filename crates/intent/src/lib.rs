//! What should be on this node: VPN instances and attachments, as the sources say.
//!
//! Sources hand in [`SourceEvent`]s; the [`IntentStore`] merges them over sources and answers with
//! what changed for the engine. Nothing here knows where an event came from nor what becomes of it.

mod object;
mod resource;
mod rules;
mod source;
mod store;

pub use object::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Object, ObjectKey, Port, PortName, VpnInstance,
    VpnKind,
};
pub use source::{Rejection, SourceEvent, SourceId};
pub use store::{Change, Declaration, IntentStore, Outcome, Verdict};
