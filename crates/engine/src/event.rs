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
    /// Paths of a peer that has not come back in time are long-lived stale: used where there is no
    /// other (RFC 9494).
    LongLived {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// The family.
        family: Family,
        /// How many.
        paths: usize,
    },
    /// Nothing is taken from an eBGP peer, or given to it, since there is no policy (RFC 8212).
    NoPolicy {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// "import", "export", or both.
        missing: &'static str,
    },
    /// The import policy of a peer changed, and it cannot be asked for its routes again.
    ClearNeeded {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
    },
    /// Routes of a peer are not taken; told again for the same reason only after some time.
    RoutesRejected {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// The last of them.
        route: String,
        /// Why.
        reason: String,
        /// How many since it was told.
        count: u64,
    },
    /// The number of routes of a peer is near its limit, or no longer.
    PrefixCount {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// The family.
        family: Family,
        /// How many.
        count: usize,
        /// How many it may have.
        limit: u32,
        /// Whether it is near the limit, or beyond it.
        is_high: bool,
    },
    /// A peer has sent more routes than it may; no more of them are taken.
    PrefixLimit {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// The family.
        family: Family,
        /// How many it may have.
        limit: u32,
    },
    /// A route cannot be sent to a peer: it fits into no message, or has no next hop that the session
    /// can carry. Told again for the same peer only after some time.
    NotSent {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
        /// The last of them.
        route: String,
        /// How many since it was told.
        count: u64,
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
            Event::LongLived { .. }
            | Event::NoPolicy { .. }
            | Event::ClearNeeded { .. }
            | Event::RoutesRejected { .. }
            | Event::PrefixCount { .. }
            | Event::PrefixLimit { .. }
            | Event::NotSent { .. } => self.fmt_routes(f),
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

impl Event {
    /// What happened to the routes of a peer.
    fn fmt_routes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::LongLived {
                addr,
                family,
                paths,
                ..
            } => write!(
                f,
                "{paths} paths of {family} of peer {addr} are long-lived stale: used where there is no other"
            ),
            Event::NoPolicy { addr, missing, .. } => write!(
                f,
                "eBGP peer {addr} has no {missing} policy: no routes that way until there is one \
                 (RFC 8212)"
            ),
            Event::ClearNeeded { addr, .. } => write!(
                f,
                "the new import policy of peer {addr} counts for what it sends from now on; it cannot \
                 be asked for its routes again: clear the session"
            ),
            Event::RoutesRejected {
                addr,
                route,
                reason,
                count,
                ..
            } => write!(
                f,
                "{count} routes of peer {addr} not taken, {route} the last: {reason}"
            ),
            Event::PrefixCount {
                addr,
                family,
                count,
                limit,
                is_high,
                ..
            } => {
                let which = if *is_high {
                    "near or above"
                } else {
                    "well below"
                };
                write!(
                    f,
                    "peer {addr} has {count} routes of {family}, {which} its limit of {limit}"
                )
            }
            Event::PrefixLimit {
                addr,
                family,
                limit,
                ..
            } => write!(
                f,
                "peer {addr} has sent more than {limit} routes of {family}: its session is closed"
            ),
            Event::NotSent {
                addr, route, count, ..
            } => write!(
                f,
                "{count} routes cannot be sent to peer {addr}, {route} the last: they fit into no \
                 message of the session, or lack a next hop that it can carry"
            ),
            // All others have a text of their own.
            _ => Ok(()),
        }
    }
}
