//! Changes of the running daemon: reload, and what is done with a peer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chanter_bgp::Family;

use super::parse;
use super::problem::{Refusal, body};
use crate::ApiState;
use crate::control::PeerAction;
use crate::dto::{Direction, PeerClear, PeerMessage, Problem, ReloadReport};

/// RFC 9003 section 2.
const TEXT_LEN_MAX: usize = 128;

/// Reads the configuration again and applies it. On a fault nothing changes, and all faults are told.
#[utoipa::path(post, path = "/v1/reload", tag = "node", operation_id = "reload",
    responses((status = 200, body = ReloadReport), (status = 422, body = Problem),
        (status = 500, body = Problem)))]
pub(super) async fn reload(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<ReloadReport>, Refusal> {
    let reloaded = state.control.reload().await?;
    Ok(Json(ReloadReport {
        changed: reloaded.changed,
        kept: reloaded.kept,
        warnings: reloaded.warnings,
    }))
}

/// Ends the session with a peer, until it is enabled again or the daemon is restarted.
#[utoipa::path(post, path = "/v1/peers/{peer}/shutdown", tag = "node",
    operation_id = "shutdownPeer",
    params(("peer" = String, Path, description = "The peer's address or interface")),
    request_body = PeerMessage,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn shutdown(
    State(state): State<Arc<ApiState>>,
    Path(peer): Path<String>,
    octets: Bytes,
) -> Result<StatusCode, Refusal> {
    let message: PeerMessage = optional_body(&octets)?;
    let text = text(message.text)?;
    act(&state, &peer, PeerAction::Shutdown { text }).await
}

/// Takes a shutdown back, and what a limit of prefixes has done.
#[utoipa::path(post, path = "/v1/peers/{peer}/enable", tag = "node", operation_id = "enablePeer",
    params(("peer" = String, Path, description = "The peer's address or interface")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn enable(
    State(state): State<Arc<ApiState>>,
    Path(peer): Path<String>,
) -> Result<StatusCode, Refusal> {
    act(&state, &peer, PeerAction::Enable).await
}

/// Starts anew with a peer: its session, or with `soft` only the routes of one direction.
#[utoipa::path(post, path = "/v1/peers/{peer}/clear", tag = "node", operation_id = "clearPeer",
    params(("peer" = String, Path, description = "The peer's address or interface")),
    request_body = PeerClear,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn clear(
    State(state): State<Arc<ApiState>>,
    Path(peer): Path<String>,
    octets: Bytes,
) -> Result<StatusCode, Refusal> {
    let clear: PeerClear = optional_body(&octets)?;
    let families = clear.families.iter();
    let families: Result<Vec<Family>, Refusal> = families
        .map(|family| parse::value("families", family))
        .collect();
    let families = families?;
    in_force(&state, &peer, &families)?;
    let action = match clear.soft {
        Some(Direction::In) => PeerAction::RefreshIn { families },
        Some(Direction::Out) => PeerAction::RefreshOut { families },
        None if !families.is_empty() => {
            let detail = "a session is reset with all its families: expected `soft` as well";
            return Err(Refusal::field("families", detail));
        }
        None => PeerAction::Reset {
            text: text(clear.text)?,
        },
    };
    act(&state, &peer, action).await
}

async fn act(state: &ApiState, peer: &str, action: PeerAction) -> Result<StatusCode, Refusal> {
    let peer = parse::peer(peer, &state.sessions.peers())?;
    state.control.peer(peer, action).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Routes can be exchanged anew only in families of the session.
fn in_force(state: &ApiState, peer: &str, families: &[Family]) -> Result<(), Refusal> {
    let sessions = state.sessions.peers();
    let id = parse::peer(peer, &sessions)?;
    let session = sessions.iter().find(|session| session.peer == id);
    let Some(session) = session.filter(|session| session.is_established()) else {
        // That is said by the speaker.
        return Ok(());
    };
    let missing = families
        .iter()
        .find(|family| !session.families.contains(family));
    let Some(missing) = missing else {
        return Ok(());
    };
    let names: Vec<String> = session.families.iter().map(ToString::to_string).collect();
    let detail = format!(
        "{missing} is not exchanged with this peer: expected one of {}",
        names.join(", ")
    );
    Err(Refusal::field("families", detail))
}

/// No body stands for an empty one.
fn optional_body<T: Default + serde::de::DeserializeOwned>(octets: &[u8]) -> Result<T, Refusal> {
    if octets.is_empty() {
        Ok(T::default())
    } else {
        body(octets)
    }
}

fn text(text: Option<String>) -> Result<String, Refusal> {
    let text = text.unwrap_or_default();
    if text.len() > TEXT_LEN_MAX {
        let detail = format!(
            "the text has {} octets: expected at most {TEXT_LEN_MAX} (RFC 9003)",
            text.len()
        );
        return Err(Refusal::field("text", detail));
    }
    Ok(text)
}
