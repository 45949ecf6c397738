//! Events as they happen.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chanter_driver::TimedEvent;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::broadcast::{self, error::RecvError};

use super::show;
use crate::ApiState;
use crate::dto::EventRecord;

/// Events that may wait for a watcher's connection; behind it the engine's queue counts what is
/// lost.
const QUEUE_LEN: usize = 16;

/// A blank line is sent after so long a silence, by which it shows that a watcher has hung up.
const SILENCE_MAX: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON text a line.
    Lines,
    /// Server-sent events, as browsers take them.
    ServerSent,
}

/// Streams events from now on: JSON lines, or server-sent events where `Accept` asks for
/// `text/event-stream`. A watcher that reads too slowly is told how many events it lost.
#[utoipa::path(get, path = "/v1/events", tag = "state", operation_id = "streamEvents",
    responses((status = 200, content(
        (EventRecord = "application/x-ndjson"), (EventRecord = "text/event-stream")))))]
pub(super) async fn stream(State(state): State<Arc<ApiState>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (form, content_type) = if accept.contains("text/event-stream") {
        (Form::ServerSent, "text/event-stream")
    } else {
        (Form::Lines, "application/x-ndjson")
    };
    let (sender, body) = Channel::<Bytes>::new(QUEUE_LEN);
    tokio::spawn(pump(state.engine.events(), sender, form));
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")];
    (headers, Body::new(body)).into_response()
}

/// Passes events on until the watcher hangs up or the engine stops.
async fn pump(
    mut events: broadcast::Receiver<Arc<TimedEvent>>,
    mut sender: Sender<Bytes>,
    form: Form,
) {
    const BLANK: Bytes = Bytes::from_static(b"\n");
    // A blank line first: the headers go out with it, and the watcher knows it is connected.
    let mut next = BLANK;
    while sender.send_data(next).await.is_ok() {
        let record = match tokio::time::timeout(SILENCE_MAX, events.recv()).await {
            Ok(Ok(event)) => show::event(&event),
            Ok(Err(RecvError::Lagged(count))) => show::lost(count),
            Ok(Err(RecvError::Closed)) => return,
            Err(_) => {
                next = BLANK;
                continue;
            }
        };
        // Plain data with text keys: it cannot fail.
        let text = serde_json::to_string(&record).unwrap_or_default();
        next = match form {
            Form::Lines => format!("{text}\n").into(),
            Form::ServerSent => format!("event: {}\ndata: {text}\n\n", record.event).into(),
        };
    }
}
