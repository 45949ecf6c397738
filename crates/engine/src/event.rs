//! What happened, for the log and for `chanter watch`.

use std::fmt;
use std::net::IpAddr;

use chanter_bgp::Family;
use chanter_intent::{InstanceId, ObjectKey, SourceId};
use chanter_types::MacAddr;
use serde::Serialize;

use crate::desired::DesiredKey;
use crate::{ObjectStatus, PeerId};

/// Something that happened. The `Display` text is the log line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A session reached Established.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
    },
    /// A session left Established.
    PeerDown {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// Paths kept as stale (graceful restart).
        stale: usize,
    },
    /// The peer marked the end of its initial update.
    EndOfRib {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// The family.
        family: Family,
    },
    /// Stale paths of a peer went: it did not repeat them, or did not come back in time.
    StaleRemoved {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// How many.
        paths: usize,
        /// Why.
        reason: &'static str,
    },
    /// A source has said all that it wants.
    SourceSynced {
        /// The source.
        source: SourceId,
    },
    /// A source lost its upstream; what it said stays.
    SourceLost {
        /// The source.
        source: SourceId,
    },
    /// An object of a source has a new status.
    Object {
        /// The source.
        source: SourceId,
        /// The object.
        key: ObjectKey,
        /// Its status.
        status: ObjectStatus,
    },
    /// A MAC address is reached in another way than before (RFC 7432 section 15).
    MacMoved {
        /// The VPN instance.
        instance: InstanceId,
        /// The MAC address.
        mac: MacAddr,
        /// Where it was: "local port tap0", "VTEP 192.0.2.1", "nowhere".
        from: String,
        /// Where it is.
        to: String,
        /// The mobility sequence number now in force.
        sequence: u32,
    },
    /// Sinks may now remove what is not desired.
    PruneAllowed {
        /// Why now.
        reason: &'static str,
    },
    /// A desired object could not be made so, or is so again after a failure.
    Dataplane {
        /// The object.
        key: DesiredKey,
        /// The error; `None` when it is mended.
        error: Option<String>,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PeerUp { addr, .. } => write!(f, "peer {addr} is up"),
            Event::PeerDown { addr, stale: 0, .. } => write!(f, "peer {addr} is down"),
            Event::PeerDown { addr, stale, .. } => {
                write!(f, "peer {addr} is down, {stale} paths of it kept as stale")
            }
            Event::EndOfRib { addr, family, .. } => {
                write!(f, "peer {addr} has sent all its routes of {family}")
            }
            Event::StaleRemoved {
                addr,
                paths,
                reason,
                ..
            } => {
                write!(f, "{paths} stale paths of peer {addr} removed: {reason}")
            }
            Event::SourceSynced { source } => write!(f, "source {source} has synced"),
            Event::SourceLost { source } => {
                write!(
                    f,
                    "source {source} is lost, what it declared stays in force"
                )
            }
            Event::Object { key, status, .. } => match status {
                ObjectStatus::Pending => write!(f, "{key} is accepted"),
                ObjectStatus::Installed => write!(f, "{key} is installed"),
                ObjectStatus::Removed => write!(f, "{key} is removed"),
                ObjectStatus::Rejected { field, reason } => {
                    write!(f, "{key} is rejected: {field}: {reason}")
                }
                ObjectStatus::Failed { error } => write!(f, "{key} is not installed: {error}"),
            },
            Event::MacMoved {
                instance,
                mac,
                from,
                to,
                sequence,
            } => write!(
                f,
                "MAC {mac} of instance {instance} moved from {from} to {to} (sequence {sequence})"
            ),
            Event::PruneAllowed { reason } => {
                write!(f, "what is not desired may now be removed: {reason}")
            }
            Event::Dataplane {
                key,
                error: Some(error),
            } => {
                write!(f, "{key} cannot be installed, trying again: {error}")
            }
            Event::Dataplane { key, error: None } => write!(f, "{key} is installed at last"),
        }
    }
}
