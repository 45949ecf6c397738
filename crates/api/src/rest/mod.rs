//! The source of intent behind both REST APIs.
//!
//! [`RestStore`] is the memory of what clients attached, with the rules of bagpipe-bgp's API: pure,
//! it turns a request into a [`Change`]. [`Journal`] keeps the store over a crash. [`RestSource`]
//! runs a change through the engine and commits it once it is in force.
//!
//! ```text
//! request -> RestStore::plan_* -> Change -> engine (declare, wait) --installed--> commit + journal
//!                                               '--refused or failed--> the change reverted
//! ```

mod change;
mod journal;
mod record;
mod source;
mod store;
#[cfg(test)]
mod tests;

pub use change::{Change, Edit};
pub use journal::{Journal, JournalError, LoadReport};
pub use record::{AttachmentRecord, InstanceRecord, Record};
pub use source::{ApplyError, RestSource};
pub(crate) use store::PortText;
pub use store::{AttachSpec, InstanceSpec, RestStore, StoreError};
