//! The node as a whole: peers, dataplane, summary, health.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chanter_engine::view::Summary as EngineSummary;

use super::problem::{Params, Refusal};
use super::{parse, show};
use crate::ApiState;
use crate::dto::{
    BfdSession, Check, DataplaneQuery, DesiredObject, Health, Peer, PeerInFull, Problem,
    RejectedCount, Summary,
};

/// How long the engine may take to answer and still count as alive.
const ENGINE_PATIENCE: Duration = Duration::from_secs(5);

/// Lists BGP peers.
#[utoipa::path(get, path = "/v1/peers", tag = "state", operation_id = "listPeers",
    responses((status = 200, body = Vec<Peer>)))]
pub(super) async fn peers(State(state): State<Arc<ApiState>>) -> Result<Json<Vec<Peer>>, Refusal> {
    let views = state.engine.query(|engine| engine.peers()).await?;
    let sessions = state.sessions.peers();
    let peers = sessions
        .iter()
        .map(|session| show::peer(session, views.iter().find(|view| view.peer == session.peer)));
    Ok(Json(peers.collect()))
}

/// Shows a BGP peer in full.
#[utoipa::path(get, path = "/v1/peers/{peer}", tag = "state", operation_id = "getPeer",
    params(("peer" = String, Path, description = "The peer's address or interface")),
    responses((status = 200, body = PeerInFull), (status = 404, body = Problem)))]
pub(super) async fn peer(
    State(state): State<Arc<ApiState>>,
    Path(name): Path<String>,
) -> Result<Json<PeerInFull>, Refusal> {
    let sessions = state.sessions.peers();
    let id = parse::peer(&name, &sessions)?;
    let views = state.engine.query(|engine| engine.peers()).await?;
    let view = views.iter().find(|view| view.peer == id);
    let session = sessions.into_iter().find(|session| session.peer == id);
    let session = session.ok_or_else(|| Refusal::not_found("the peer has gone"))?;
    let rejected = view.iter().flat_map(|view| &view.rejected);
    let rejected = rejected.map(|(reason, count)| RejectedCount {
        reason: reason.clone(),
        count: *count,
    });
    Ok(Json(PeerInFull {
        peer: show::peer(&session, view),
        rejected: rejected.collect(),
        detail: session.detail,
    }))
}

/// Lists BFD sessions.
#[utoipa::path(get, path = "/v1/bfd", tag = "state", operation_id = "listBfdSessions",
    responses((status = 200, body = Vec<BfdSession>)))]
pub(super) async fn bfd(State(state): State<Arc<ApiState>>) -> Json<Vec<BfdSession>> {
    let sessions = state.control.bfd().await;
    Json(sessions.iter().map(show::bfd).collect())
}

/// Lists the desired dataplane objects and whether they are in place.
#[utoipa::path(get, path = "/v1/dataplane", tag = "state", operation_id = "listDataplane",
    params(DataplaneQuery),
    responses((status = 200, body = Vec<DesiredObject>), (status = 400, body = Problem)))]
pub(super) async fn dataplane(
    State(state): State<Arc<ApiState>>,
    Params(query): Params<DataplaneQuery>,
) -> Result<Json<Vec<DesiredObject>>, Refusal> {
    let instance = query
        .instance
        .as_deref()
        .map(parse::instance_id)
        .transpose()?;
    let views = state
        .engine
        .query(move |engine| engine.desired(instance.as_ref()))
        .await?;
    Ok(Json(views.iter().map(show::desired).collect()))
}

/// Shows the node in a few numbers.
#[utoipa::path(get, path = "/v1/summary", tag = "node", operation_id = "getSummary",
    responses((status = 200, body = Summary)))]
pub(super) async fn summary(State(state): State<Arc<ApiState>>) -> Result<Json<Summary>, Refusal> {
    let summary = state.engine.query(|engine| engine.summary()).await?;
    Ok(Json(show::summary(
        &state,
        &summary,
        &state.sessions.peers(),
    )))
}

/// Tells whether the node does its work: 200 if it is ready, else 503.
#[utoipa::path(get, path = "/v1/health", tag = "node", operation_id = "getHealth",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn health(State(state): State<Arc<ApiState>>) -> (StatusCode, Json<Health>) {
    let question = state.engine.query(|engine| engine.summary());
    let checks = match tokio::time::timeout(ENGINE_PATIENCE, question).await {
        Ok(Ok(summary)) => checks(&state, &summary),
        Ok(Err(gone)) => vec![required("engine", false, gone.to_string())],
        Err(_) => {
            let detail = format!("no answer within {} s", ENGINE_PATIENCE.as_secs());
            vec![required("engine", false, detail)]
        }
    };
    let ready = checks.iter().all(|check| check.ok || !check.required);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Health { ready, checks }))
}

fn checks(state: &ApiState, summary: &EngineSummary) -> Vec<Check> {
    let waiting: Vec<String> = summary
        .sources
        .iter()
        .filter(|(_, synced)| !synced)
        .map(|(source, _)| source.to_string())
        .collect();
    let sources = match waiting.is_empty() {
        true => "all have synced".to_owned(),
        false => format!("not synced yet: {}", waiting.join(", ")),
    };
    let sessions = state.sessions.peers();
    let configured: Vec<_> = sessions.iter().filter(|session| !session.dynamic).collect();
    let down: Vec<String> = configured
        .iter()
        .filter(|session| !session.is_established())
        .map(|session| format!("{} is {}", session.name, session.state))
        .collect();
    let peers = match down.is_empty() {
        true => format!("{} of {} established", sessions.len(), sessions.len()),
        false => down.join(", "),
    };
    let failed = summary.desired_failed;
    let dataplane = format!(
        "{failed} of {} objects not in place",
        summary.desired_objects
    );
    let durable = state.rest.is_durable();
    let journal = match durable {
        true => "REST attachments outlive a restart",
        false => "REST attachments would not outlive a restart: no journal is written",
    };
    vec![
        required("engine", true, "answers".to_owned()),
        required("sources", waiting.is_empty(), sources),
        informative("peers", down.is_empty(), peers),
        informative("dataplane", failed == 0, dataplane),
        informative("journal", durable, journal.to_owned()),
    ]
}

fn required(name: &str, ok: bool, detail: String) -> Check {
    Check {
        name: name.to_owned(),
        ok,
        required: true,
        detail,
    }
}

/// What an operator wants to know but no restart would mend.
fn informative(name: &str, ok: bool, detail: String) -> Check {
    Check {
        name: name.to_owned(),
        ok,
        required: false,
        detail,
    }
}
