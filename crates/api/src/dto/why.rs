//! The way of an address through the node.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an address comes from and what was made of it, by VPN instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyReport {
    /// One part for each instance in which the address is known.
    pub instances: Vec<WhyInstance>,
    /// Routes about it that belong to no VPN instance here, with what lost; the most specific first.
    #[serde(default)]
    pub routes: Vec<WhyStep>,
    /// Routes about it that were lately not taken from peers, and why, a line each.
    #[serde(default)]
    pub not_taken: Vec<String>,
}

/// The way of an address through one VPN instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyInstance {
    /// The instance.
    pub instance: String,
    /// The verdict in one line.
    pub verdict: String,
    /// The steps that led there, in the order of the flow.
    pub steps: Vec<WhyStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyStep {
    /// Where in the flow.
    pub stage: WhyStage,
    /// Since when (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What holds there.
    pub text: String,
    /// What lost there, and why, a line each.
    pub rejected: Vec<String>,
}

/// A stage of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhyStage {
    /// What a source said.
    Source,
    /// What was made of it together with other sources.
    Intent,
    /// Paths and their selection.
    Rib,
    /// Import into the instance by route target.
    Import,
    /// What is advertised, and to whom.
    Advertise,
    /// What the dataplane should hold and whether it does.
    Dataplane,
}
