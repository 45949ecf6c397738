//! Which request goes where. Not a table of a web framework: the original takes trailing slashes,
//! answers `GET` of actions, and has error pages of its own for all the rest.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::actions::{attach, detach};
use super::answer::{self, Failure};
use crate::ApiState;
use crate::lg;

/// The largest body taken, in octets: some thousand times what clients send.
const BODY_LEN_MAX: usize = 1 << 20;

/// The bagpipe-bgp compatible API, for port 8082.
pub fn router(state: Arc<ApiState>) -> Router {
    Router::new().fallback(dispatch).with_state(state)
}

async fn dispatch(State(state): State<Arc<ApiState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_end_matches('/').to_owned();
    let headers = &parts.headers;
    let get = matches!(parts.method, Method::GET | Method::HEAD);
    let post = parts.method == Method::POST;
    match path.as_str() {
        "/ping" => answer::json(&state.node.ping),
        "" | "/attach_localport" | "/detach_localport" if get => answer::json(&json!({})),
        "/attach_localport" | "/detach_localport" if post => {
            act(&state, &path, headers, body).await
        }
        "/attach_localport" | "/detach_localport" => not_allowed(&parts.method, true, headers),
        "" => not_allowed(&parts.method, false, headers),
        path if is_looking_glass(path) && get => match lg::lookup(&state, path, headers).await {
            Ok(value) => answer::json(&value),
            Err(failure) => failure.answer(headers),
        },
        path if is_looking_glass(path) => not_allowed(&parts.method, false, headers),
        _ => Failure::not_found("").answer(headers),
    }
}

fn is_looking_glass(path: &str) -> bool {
    path.strip_prefix(lg::ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn act(state: &ApiState, path: &str, headers: &HeaderMap, body: Body) -> Response {
    let Ok(body) = to_bytes(body, BODY_LEN_MAX).await else {
        let text = format!("the body is cut short or longer than {BODY_LEN_MAX} octets");
        return Failure {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            text,
        }
        .answer(headers);
    };
    let result = if path == "/attach_localport" {
        attach(&state.rest, &body).await
    } else {
        detach(&state.rest, &body).await
    };
    match result {
        Ok(()) => answer::json(&json!(null)),
        Err(failure) => {
            if failure.status.is_server_error() {
                tracing::error!(path, "{}", failure.text);
            } else {
                tracing::info!(path, "refused: {}", failure.text);
            }
            failure.answer(headers)
        }
    }
}

fn not_allowed(method: &Method, post: bool, headers: &HeaderMap) -> Response {
    let allow = if post { "GET, HEAD, POST" } else { "GET, HEAD" };
    answer::method_not_allowed(method.as_str(), allow, headers)
}
