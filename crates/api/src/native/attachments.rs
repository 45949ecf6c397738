//! Attachments.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chanter_intent::AttachmentKey;

use super::problem::{Params, Refusal, body};
use super::{parse, show};
use crate::ApiState;
use crate::dto::{Attachment, AttachmentQuery, AttachmentSpec, Problem};

/// Lists attachments, of all sources.
#[utoipa::path(get, path = "/v1/attachments", tag = "intent", operation_id = "listAttachments",
    params(AttachmentQuery),
    responses((status = 200, body = Vec<Attachment>), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    Params(query): Params<AttachmentQuery>,
) -> Result<Json<Vec<Attachment>>, Refusal> {
    let views = match query
        .instance
        .as_deref()
        .map(parse::instance_id)
        .transpose()?
    {
        Some(id) => {
            let view = state
                .engine
                .query(move |engine| engine.instance(&id))
                .await?;
            view.into_iter().collect()
        }
        None => state.engine.query(|engine| engine.instances()).await?,
    };
    Ok(Json(
        views
            .iter()
            .flat_map(|view| &view.attachments)
            .map(show::attachment)
            .collect(),
    ))
}

/// Shows the attachment of a MAC address without IP address.
#[utoipa::path(get, path = "/v1/instances/{instance}/attachments/{mac}", tag = "intent",
    operation_id = "getMacAttachment",
    params(("instance" = String, Path, description = "The name of the VPN instance"),
        ("mac" = String, Path, description = "The MAC address")),
    responses((status = 200, body = Attachment), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn get_mac(
    State(state): State<Arc<ApiState>>,
    Path((instance, mac)): Path<(String, String)>,
) -> Result<Json<Attachment>, Refusal> {
    get(&state, parse::attachment_key(&instance, &mac, None)?).await
}

/// Shows the attachment of a MAC and IP address.
#[utoipa::path(get, path = "/v1/instances/{instance}/attachments/{mac}/{ip}", tag = "intent",
    operation_id = "getAttachment",
    params(("instance" = String, Path, description = "The name of the VPN instance"),
        ("mac" = String, Path, description = "The MAC address"),
        ("ip" = String, Path, description = "The IP address")),
    responses((status = 200, body = Attachment), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn get_ip(
    State(state): State<Arc<ApiState>>,
    Path((instance, mac, ip)): Path<(String, String, String)>,
) -> Result<Json<Attachment>, Refusal> {
    get(&state, parse::attachment_key(&instance, &mac, Some(&ip))?).await
}

/// Attaches a MAC address whose IP addresses are not known. Answers once the dataplane has it.
#[utoipa::path(put, path = "/v1/instances/{instance}/attachments/{mac}", tag = "intent",
    operation_id = "putMacAttachment",
    params(("instance" = String, Path, description = "The name of the VPN instance"),
        ("mac" = String, Path, description = "The MAC address")),
    request_body = AttachmentSpec,
    responses((status = 200, body = Attachment), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 500, body = Problem)))]
pub(super) async fn put_mac(
    State(state): State<Arc<ApiState>>,
    Path((instance, mac)): Path<(String, String)>,
    octets: Bytes,
) -> Result<Json<Attachment>, Refusal> {
    put(
        &state,
        parse::attachment_key(&instance, &mac, None)?,
        &octets,
    )
    .await
}

/// Attaches a MAC address with an IP address, exactly so. Answers once the dataplane has it.
#[utoipa::path(put, path = "/v1/instances/{instance}/attachments/{mac}/{ip}", tag = "intent",
    operation_id = "putAttachment",
    params(("instance" = String, Path, description = "The name of the VPN instance"),
        ("mac" = String, Path, description = "The MAC address"),
        ("ip" = String, Path, description = "The IP address")),
    request_body = AttachmentSpec,
    responses((status = 200, body = Attachment), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 500, body = Problem)))]
pub(super) async fn put_ip(
    State(state): State<Arc<ApiState>>,
    Path((instance, mac, ip)): Path<(String, String, String)>,
    octets: Bytes,
) -> Result<Json<Attachment>, Refusal> {
    put(
        &state,
        parse::attachment_key(&instance, &mac, Some(&ip))?,
        &octets,
    )
    .await
}

/// Detaches a MAC address without IP address; its IP addresses stay.
#[utoipa::path(delete, path = "/v1/instances/{instance}/attachments/{mac}", tag = "intent",
    operation_id = "deleteMacAttachment",
    params(("instance" = String, Path, description = "The name of the VPN instance"),
        ("mac" = String, Path, description = "The MAC address")),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn delete_mac(
    State(state): State<Arc<ApiState>>,
    Path((instance, mac)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    delete(&state, parse::attachment_key(&instance, &mac, None)?).await
}

/// Detaches a MAC address with an IP address.
#[utoipa::path(delete, path = "/v1/instances/{instance}/attachments/{mac}/{ip}", tag = "intent",
    operation_id = "deleteAttachment",
    params(("instance" = String, Path, description = "The name of the VPN instance"),
        ("mac" = String, Path, description = "The MAC address"),
        ("ip" = String, Path, description = "The IP address")),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn delete_ip(
    State(state): State<Arc<ApiState>>,
    Path((instance, mac, ip)): Path<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    delete(&state, parse::attachment_key(&instance, &mac, Some(&ip))?).await
}

async fn get(state: &ApiState, key: AttachmentKey) -> Result<Json<Attachment>, Refusal> {
    let id = key.instance.clone();
    let view = state
        .engine
        .query(move |engine| engine.instance(&id))
        .await?;
    let attachments = view.iter().flat_map(|view| &view.attachments);
    match attachments
        .into_iter()
        .find(|attachment| attachment.key == key)
    {
        Some(attachment) => Ok(Json(show::attachment(attachment))),
        None => Err(Refusal::not_found(format!(
            "there is no {}",
            chanter_intent::ObjectKey::Attachment(key)
        ))),
    }
}

async fn put(
    state: &ApiState,
    key: AttachmentKey,
    octets: &[u8],
) -> Result<Json<Attachment>, Refusal> {
    let spec: AttachmentSpec = body(octets)?;
    let id = key.instance.clone();
    let instance = spec
        .instance
        .as_ref()
        .map(|along| parse::instance(&id, along, "instance."))
        .transpose()?;
    let attachment = parse::attachment(key.clone(), &spec)?;
    let elsewhere = {
        let id = id.clone();
        state
            .engine
            .query(move |engine| engine.instance(&id).is_some())
            .await?
    };
    let plan = move |store: &crate::rest::RestStore| {
        store.plan_put_attachment(attachment, instance, elsewhere)
    };
    state.rest.apply(id, plan).await?;
    get(state, key).await
}

async fn delete(state: &ApiState, key: AttachmentKey) -> Result<StatusCode, Refusal> {
    let id = key.instance.clone();
    state
        .rest
        .apply(id, move |store| store.plan_delete_attachment(&key))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
