//! Routes, and why an address is where it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::problem::{Params, Refusal};
use super::{parse, show};
use crate::ApiState;
use crate::dto::{Problem, RoutePage, RouteQuery, WhyQuery, WhyReport};

/// Lists routes with all their paths, a page at a time.
#[utoipa::path(get, path = "/v1/routes", tag = "state", operation_id = "listRoutes",
    params(RouteQuery),
    responses((status = 200, body = RoutePage), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    Params(query): Params<RouteQuery>,
) -> Result<Json<RoutePage>, Refusal> {
    let sessions = state.sessions.peers();
    let query = parse::route_query(&query, &sessions)?;
    let clock = state.engine.clock();
    let page = state
        .engine
        .query(move |engine| engine.routes(&query))
        .await?;
    Ok(Json(RoutePage {
        routes: page
            .routes
            .iter()
            .map(|route| show::route(route, clock, &sessions))
            .collect(),
        next: page.next.map(|token| token.0.to_string()),
    }))
}

/// Explains an address: from the source event through intent, RIB and import to the dataplane.
#[utoipa::path(get, path = "/v1/why", tag = "state", operation_id = "why",
    params(WhyQuery),
    responses((status = 200, body = WhyReport), (status = 400, body = Problem)))]
pub(super) async fn why(
    State(state): State<Arc<ApiState>>,
    Params(query): Params<WhyQuery>,
) -> Result<Json<WhyReport>, Refusal> {
    let query = parse::why_query(&query)?;
    let report = state.engine.query(move |engine| engine.why(&query)).await?;
    Ok(Json(show::why(&report, state.engine.clock())))
}
