//! What sources say.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Object, ObjectKey};

/// A source of intent. The order is that of precedence: where two sources declare the same object,
/// the earlier one has it, and the later one's gets a [`Rejection`] as its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceId {
    /// The configuration file.
    Config,
    /// REST calls, of bagpipe-bgp's API and of the native one.
    Rest,
    /// OVN databases.
    Ovn,
    /// Neutron over RabbitMQ.
    Neutron,
    /// Kubernetes.
    Kubernetes,
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SourceId::Config => "config",
            SourceId::Rest => "rest",
            SourceId::Ovn => "ovn",
            SourceId::Neutron => "neutron",
            SourceId::Kubernetes => "kubernetes",
        })
    }
}

/// What a source says of what should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceEvent {
    /// This object should be, exactly so. Repeating it changes nothing.
    Upsert(Object),
    /// This object should not be (any more). Removing what is not there changes nothing.
    Remove(ObjectKey),
    /// All that this source wants has been said since it (re)connected; what it said before and did
    /// not repeat is to go.
    Synced,
    /// The source lost its upstream. What it said stays; after reconnecting it says all again, then
    /// `Synced`.
    Lost,
}

/// Why an object is not accepted. It spoils no other object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Rejection {
    /// The field at fault, by its name in [`VpnInstance`](crate::VpnInstance) or
    /// [`Attachment`](crate::Attachment): `vni`, `port`, `ip`.
    pub field: &'static str,
    /// What is wrong with it and what would be accepted.
    pub reason: String,
}

impl Rejection {
    /// The rejection of an object for its `field`.
    pub fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Rejection {
            field,
            reason: reason.into(),
        }
    }
}
