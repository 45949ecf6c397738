//! Policies as they are shown, and tried on a route (pure).

use chanter_bgp::{Nlri, PathData};
use chanter_policy::{Policy, PolicyRoute, attributes_from_text};
use chanter_types::Asn;

use crate::PeerSession;
use crate::dto::{self, PolicyOutcome, PolicyRule, PolicyStep, PolicyTrial};

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// A policy with its counters, and the peers that have it.
pub(crate) fn shown(policy: &Policy, sessions: &[PeerSession]) -> dto::Policy {
    let rules = policy.rules().iter().map(|rule| PolicyRule {
        name: rule.name().to_owned(),
        matches: texts(rule.matches()),
        except: texts(rule.exceptions()),
        set: texts(rule.actions()),
        then: rule.verdict().to_string(),
        hits: rule.hits(),
    });
    let default = if policy.accepts_rest() {
        "accept"
    } else {
        "reject"
    };
    let name = Some(policy.name());
    let used_by = sessions.iter().flat_map(|session| {
        let policy = &session.detail.policy;
        let import = (policy.import.as_deref() == name).then_some("import");
        let export = (policy.export.as_deref() == name).then_some("export");
        let directions = import.into_iter().chain(export);
        directions.map(|direction| format!("{} {direction}", session.name))
    });
    dto::Policy {
        name: policy.name().to_owned(),
        rules: rules.collect(),
        default: default.to_owned(),
        default_hits: policy.rest_hits(),
        used_by: used_by.collect(),
    }
}

/// What `policy` would make of a route. Nothing is counted.
///
/// # Errors
/// The field that cannot be read, and why.
pub fn try_policy(
    policy: &Policy,
    trial: &PolicyTrial,
    local_as: Asn,
) -> Result<PolicyOutcome, (&'static str, String)> {
    let route = trial.route.parse::<Nlri>();
    let nlri = route.map_err(|error| ("route", error.to_string()))?;
    let attributes = attributes_from_text(&trial.attributes)
        .map_err(|error| ("attributes", error.to_string()))?;
    let first = attributes.as_path().first_as();
    let peer_as = trial.peer_as.map(Asn).or(first).unwrap_or(local_as);
    let path = PathData {
        label: trial.label.unwrap_or_default(),
        ..PathData::default()
    };
    let explanation = policy.explain(&PolicyRoute {
        nlri: &nlri,
        path: &path,
        attributes: &attributes,
        peer_as,
        local_as,
        local_addr: None,
        ebgp: peer_as != local_as,
    });
    let steps = explanation.steps.iter().map(|step| PolicyStep {
        rule: step.rule.to_owned(),
        then: step.verdict.to_string(),
        attributes: step.attributes.as_ref().map(ToString::to_string),
    });
    Ok(PolicyOutcome {
        accepted: explanation.accepted,
        rule: explanation.rule.to_owned(),
        before: attributes.to_string(),
        after: explanation
            .accepted
            .then(|| explanation.attributes.to_string()),
        steps: steps.collect(),
    })
}
