//! The node as a whole: summary, health, events.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The node in a few numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// The release.
    pub version: String,
    /// When the process started (RFC 3339).
    pub started: String,
    /// Our AS.
    pub local_as: u32,
    /// Our BGP identifier.
    pub router_id: String,
    /// The dataplane: `linux`, `dummy`.
    pub dataplane: String,
    /// BGP peers, configured or accepted.
    pub peers: usize,
    /// Sessions in Established.
    pub peers_established: usize,
    /// VPN instances.
    pub instances: usize,
    /// Attachments.
    pub attachments: usize,
    /// Paths that this node originates, RT membership left out.
    pub routes_local: usize,
    /// Paths received from peers, RT membership left out.
    pub routes_received: usize,
    /// Distinct attribute sets in store.
    pub attribute_sets: usize,
    /// Desired dataplane objects.
    pub desired_objects: usize,
    /// Desired dataplane objects that are not in place.
    pub desired_failed: usize,
    /// Whether what is not desired may be removed from the dataplane.
    pub prune_allowed: bool,
    /// Warnings and errors kept for the looking glass.
    pub warnings: usize,
    /// The sources of intent.
    pub sources: Vec<SourceState>,
    /// Destinations and paths, by family.
    pub families: Vec<FamilyCounts>,
}

/// A source of intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceState {
    /// Which one: `config`, `rest`, `ovn`, `neutron`, `kubernetes`.
    pub source: String,
    /// Whether it has said all that it wants.
    pub synced: bool,
}

/// One table in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FamilyCounts {
    /// The family.
    pub family: String,
    /// Destinations.
    pub destinations: usize,
    /// Paths.
    pub paths: usize,
}

/// Whether the node does its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether every check that readiness needs holds.
    pub ready: bool,
    /// The single checks.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What is checked: `engine`, `sources`, `peers`, `dataplane`, `journal`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// Whether the node is not ready without it.
    pub required: bool,
    /// In words.
    pub detail: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventRecord {
    /// When (RFC 3339).
    pub at: String,
    /// What: `peer-up`, `object`, `mac-moved`.
    pub event: String,
    /// In one line.
    pub text: String,
    /// Its parts, by event.
    pub detail: Value,
}
