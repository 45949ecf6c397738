//! Policies.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A routing policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The rules, in the order in which they are asked.
    pub rules: Vec<PolicyRule>,
    /// What happens to a route that no rule decides: `accept` or `reject`.
    pub default: String,
    /// How often no rule decided.
    pub default_hits: u64,
    /// Peers that have it, each with `import` or `export`: `192.0.2.1 import`.
    pub used_by: Vec<String>,
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRule {
    /// Its name.
    pub name: String,
    /// What all has to hold of a route.
    pub matches: Vec<String>,
    /// Of what nothing may hold.
    pub except: Vec<String>,
    /// What it changes.
    pub set: Vec<String>,
    /// What happens then: `accept`, `reject` or `next`.
    pub then: String,
    /// How often it held. A decision that serves many routes of equal attributes counts once.
    pub hits: u64,
}

/// A route on which to try a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PolicyTrial {
    /// The destination, as routes are shown: `10.0.0.0/24`.
    pub route: String,
    /// The attributes, as routes are shown: `next-hop 192.0.2.1, as-path 64512 65000`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attributes: String,
    /// The label field: a VNI, or an MPLS label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// The AS of the peer; by default the first of the path, else ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_as: Option<u32>,
}

/// What a policy makes of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyOutcome {
    /// Whether the route is accepted.
    pub accepted: bool,
    /// The rule that decided, or `default`.
    pub rule: String,
    /// The attributes before.
    pub before: String,
    /// The attributes afterwards, if the route is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The rules that held, in order.
    pub steps: Vec<PolicyStep>,
}

/// A rule that held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyStep {
    /// Its name, or `default`.
    pub rule: String,
    /// What it did: `accept`, `reject` or `next`.
    pub then: String,
    /// The attributes after it, if it changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
}
