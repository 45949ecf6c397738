//! Policies: what they are, how often they decided, and what they would decide.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use chanter_policy::Policy;
use chanter_types::Asn;

use super::problem::{Refusal, body};
use crate::ApiState;
use crate::dto::{self, PolicyOutcome, PolicyTrial, Problem};
use crate::policy::{shown, try_policy};

/// Lists policies.
#[utoipa::path(get, path = "/v1/policies", tag = "state", operation_id = "listPolicies",
    responses((status = 200, body = Vec<dto::Policy>)))]
pub(super) async fn list(State(state): State<Arc<ApiState>>) -> Json<Vec<dto::Policy>> {
    let sessions = state.sessions.peers();
    let policies = state.control.policies();
    let policies = policies.iter().map(|policy| shown(policy, &sessions));
    Json(policies.collect())
}

/// Shows a policy.
#[utoipa::path(get, path = "/v1/policies/{policy}", tag = "state", operation_id = "getPolicy",
    params(("policy" = String, Path, description = "The name of the policy")),
    responses((status = 200, body = dto::Policy), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
) -> Result<Json<dto::Policy>, Refusal> {
    let policy = find(&state, &name)?;
    Ok(Json(shown(&policy, &state.sessions.peers())))
}

/// Tells what a policy would make of a route. Nothing is changed or counted.
#[utoipa::path(post, path = "/v1/policies/{policy}/test", tag = "state",
    operation_id = "testPolicy",
    params(("policy" = String, Path, description = "The name of the policy")),
    request_body = PolicyTrial,
    responses((status = 200, body = PolicyOutcome), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn test(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
    octets: Bytes,
) -> Result<Json<PolicyOutcome>, Refusal> {
    let policy = find(&state, &name)?;
    let trial: PolicyTrial = body(&octets)?;
    let local_as = state.node.local_as;
    let outcome = try_policy(&policy, &trial, Asn(local_as));
    outcome
        .map(Json)
        .map_err(|(field, error)| Refusal::field(field, error))
}

fn find(state: &ApiState, name: &str) -> Result<Arc<Policy>, Refusal> {
    let policies = state.control.policies();
    let found = policies.into_iter().find(|policy| policy.name() == name);
    found.ok_or_else(|| Refusal::not_found(format!("there is no policy `{name}`")))
}
