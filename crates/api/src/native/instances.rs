//! VPN instances.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::problem::{Refusal, body};
use super::{parse, show};
use crate::ApiState;
use crate::dto::{Instance, InstanceSpec, Problem};

/// Lists VPN instances, of all sources.
#[utoipa::path(get, path = "/v1/instances", tag = "intent", operation_id = "listInstances",
    responses((status = 200, body = Vec<Instance>)))]
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Vec<Instance>>, Refusal> {
    let views = state.engine.query(|engine| engine.instances()).await?;
    Ok(Json(views.iter().map(show::instance).collect()))
}

/// Shows a VPN instance.
#[utoipa::path(get, path = "/v1/instances/{instance}", tag = "intent", operation_id = "getInstance",
    params(("instance" = String, Path, description = "The name of the VPN instance")),
    responses((status = 200, body = Instance), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
) -> Result<Json<Instance>, Refusal> {
    let key = parse::instance_id(&id)?;
    let view = state
        .engine
        .query(move |engine| engine.instance(&key))
        .await?;
    match view {
        Some(view) => Ok(Json(show::instance(&view))),
        None => Err(Refusal::not_found(format!("there is no instance {id}"))),
    }
}

/// Declares a VPN instance, exactly so. It stays until it is deleted, attachments or not. Answers
/// once the dataplane has it.
#[utoipa::path(put, path = "/v1/instances/{instance}", tag = "intent", operation_id = "putInstance",
    params(("instance" = String, Path, description = "The name of the VPN instance")),
    request_body = InstanceSpec,
    responses((status = 200, body = Instance), (status = 400, body = Problem),
        (status = 409, body = Problem), (status = 500, body = Problem)))]
pub(super) async fn put(
    state: State<Arc<ApiState>>,
    path: Path<String>,
    octets: Bytes,
) -> Result<Json<Instance>, Refusal> {
    let spec: InstanceSpec = body(&octets)?;
    let id = parse::instance_id(&path)?;
    let instance = parse::instance(&id, &spec, "")?;
    state
        .rest
        .apply(id, move |store| Ok(store.plan_put_instance(instance)))
        .await?;
    get(state, path).await
}

/// Removes a VPN instance that was declared by REST, with its attachments.
#[utoipa::path(delete, path = "/v1/instances/{instance}", tag = "intent",
    operation_id = "deleteInstance",
    params(("instance" = String, Path, description = "The name of the VPN instance")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(state): State<Arc<ApiState>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = parse::instance_id(&id)?;
    let key = id.clone();
    state
        .rest
        .apply(id, move |store| store.plan_delete_instance(&key))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
