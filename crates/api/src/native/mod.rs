//! The native API, `/v1`: what the command line speaks, over a unix socket or on loopback.
//!
//! Every handler carries its own description; the OpenAPI document is made of them and served at
//! `/v1/openapi.json`. Errors are problem details (RFC 9457) that name the field at fault.

mod attachments;
mod control;
mod events;
mod instances;
mod node;
mod parse;
mod policies;
mod problem;
mod routes;
mod show;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::Refusal;
use crate::{ApiState, metrics};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chanter",
        description = "VPN instances, attachments, routes, peers and the dataplane of a node.",
    ),
    components(schemas(crate::dto::Problem)),
    tags(
        (name = "intent", description = "What should be: VPN instances and attachments"),
        (name = "state", description = "What is: routes, peers, dataplane"),
        (name = "node", description = "The node as a whole"),
    )
)]
struct Document;

fn open_api_router() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(instances::list))
        .routes(routes!(instances::get, instances::put, instances::delete))
        .routes(routes!(attachments::list))
        .routes(routes!(
            attachments::get_mac,
            attachments::put_mac,
            attachments::delete_mac
        ))
        .routes(routes!(
            attachments::get_ip,
            attachments::put_ip,
            attachments::delete_ip
        ))
        .routes(routes!(routes::list))
        .routes(routes!(routes::why))
        .routes(routes!(node::peers))
        .routes(routes!(node::peer))
        .routes(routes!(control::shutdown))
        .routes(routes!(control::enable))
        .routes(routes!(control::clear))
        .routes(routes!(control::reload))
        .routes(routes!(node::bfd))
        .routes(routes!(policies::list))
        .routes(routes!(policies::get))
        .routes(routes!(policies::test))
        .routes(routes!(node::dataplane))
        .routes(routes!(node::summary))
        .routes(routes!(node::health))
        .routes(routes!(events::stream))
}

/// The OpenAPI document of the native API.
pub fn open_api() -> utoipa::openapi::OpenApi {
    open_api_router().into_openapi()
}

/// The native API, with `/metrics` for Prometheus beside it.
pub fn router(state: Arc<ApiState>) -> Router {
    let (router, document) = open_api_router().split_for_parts();
    // The document cannot fail to be written: it has text keys only.
    let document: Arc<str> = document.to_json().unwrap_or_default().into();
    router
        .route(
            "/v1/openapi.json",
            get(async move || ([(CONTENT_TYPE, "application/json")], document.to_string())),
        )
        .route("/metrics", get(metrics::scrape))
        .fallback(async || Refusal::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .with_state(state)
}
