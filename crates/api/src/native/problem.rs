//! From what went wrong to problem details.

use axum::extract::{FromRequestParts, Query};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chanter_driver::EngineGone;
use serde::de::DeserializeOwned;

use crate::control::{PeerActionError, ReloadError};
use crate::dto::Problem;
use crate::rest::{ApplyError, StoreError};

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refusal(Box<Problem>);

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Refusal(Box::new(Problem::new(status.as_u16(), title, detail)))
    }

    /// A field of the request is wrong.
    pub(super) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let Refusal(problem) = Self::new(StatusCode::BAD_REQUEST, detail);
        Refusal(Box::new(problem.of_field(field)))
    }

    /// What is wrong.
    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Nothing is there.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The address does not take that method.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this address does not take that method",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let mut response = axum::Json(*self.0).into_response();
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }
}

impl From<ReloadError> for Refusal {
    fn from(error: ReloadError) -> Self {
        let status = match error {
            ReloadError::Configuration(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ReloadError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PeerActionError> for Refusal {
    fn from(error: PeerActionError) -> Self {
        let status = match error {
            PeerActionError::Unknown => StatusCode::NOT_FOUND,
            PeerActionError::NotNow(_) => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<EngineGone> for Refusal {
    fn from(gone: EngineGone) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, gone.to_string())
    }
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Self {
        let text = error.to_string();
        match error {
            ApplyError::Store(
                StoreError::UnknownInstance(_)
                | StoreError::UnknownAttachment(_)
                | StoreError::OtherAddress(_),
            ) => Self::not_found(text),
            ApplyError::Store(StoreError::OtherPort { .. }) => Self::conflict("port", text),
            ApplyError::Store(StoreError::OtherMac { .. }) => Self::conflict("ip", text),
            ApplyError::Rejected { field, reason, .. } => Self::conflict(field, reason),
            ApplyError::Dataplane { error, .. } if error.caused_by_intent => {
                Self::field("port", error.message)
            }
            ApplyError::Dataplane { .. } | ApplyError::Timeout { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            ApplyError::EngineGone => EngineGone.into(),
        }
    }
}

impl Refusal {
    /// The request contradicts what is there.
    fn conflict(field: &str, detail: impl Into<String>) -> Self {
        let Refusal(problem) = Self::new(StatusCode::CONFLICT, detail);
        Refusal(Box::new(problem.of_field(field)))
    }
}

/// A JSON body, whatever content type it is sent with.
pub(super) fn body<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(octets);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let detail = error.into_inner().to_string();
        if path == "." {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the body is not accepted: {detail}"),
            )
        } else {
            Refusal::field(path, detail)
        }
    })?;
    json.end().map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not accepted: {error}"),
        )
    })?;
    Ok(value)
}

/// Query parameters, refused in the form of all other refusals.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Params(value)),
            Err(error) => Err(Refusal::new(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}
