//! Answers in the forms of bagpipe-bgp: JSON on success, an error page otherwise.

use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error, before it is known which form the client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Failure {
    /// A client's mistake.
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            text: text.into(),
        }
    }

    /// A fault of the node.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            text: text.into(),
        }
    }

    /// Nothing is there.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            text: text.into(),
        }
    }

    /// The answer in the form that the request's `Accept` asks for.
    pub(crate) fn answer(self, request: &HeaderMap) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let code = self.status.as_u16();
        let accept = request
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let (content_type, body) =
            if accept.contains("html") || accept.contains("*/*") && !accept.contains("json") {
                (
                    "text/html; charset=UTF-8",
                    html(code, title, &self.explanation(), &self.text),
                )
            } else if accept.contains("json") {
                ("application/json", json_body(code, title, &self.text))
            } else {
                let explanation = self.explanation();
                let body = format!("{code} {title}\n\n{explanation}\n\n {}  ", self.text);
                ("text/plain; charset=UTF-8", body)
            };
        (self.status, [(CONTENT_TYPE, content_type)], body).into_response()
    }

    fn explanation(&self) -> String {
        match self.status {
            StatusCode::BAD_REQUEST => "The request is malformed or asks for what cannot be.",
            StatusCode::NOT_FOUND => "There is nothing at this address.",
            StatusCode::METHOD_NOT_ALLOWED => "This address does not take that method.",
            _ => "The node could not do what was asked for.",
        }
        .to_owned()
    }
}

/// 405, with the methods that are taken.
pub(crate) fn method_not_allowed(
    method: &str,
    allow: &'static str,
    request: &HeaderMap,
) -> Response {
    let text = format!("The method {method} is not allowed for this resource.");
    let failure = Failure {
        status: StatusCode::METHOD_NOT_ALLOWED,
        text,
    };
    let mut response = failure.answer(request);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// 200 with a JSON body.
pub(crate) fn json(value: &impl Serialize) -> Response {
    axum::Json(value).into_response()
}

fn json_body(code: u16, title: &str, text: &str) -> String {
    serde_json::json!({"code": code, "title": title, "description": text}).to_string()
}

fn html(code: u16, title: &str, explanation: &str, text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<html>\n<head><title>{code} {title}</title></head>\n<body>\n<h1>{code} {title}</h1>\n\
         <p>{explanation}</p>\n<p>{text}</p>\n</body>\n</html>\n"
    )
}
