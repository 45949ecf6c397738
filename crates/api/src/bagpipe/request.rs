//! Bodies of attach and detach: from what clients send to what the store takes (pure).

mod fields;
mod parse;
mod port;

pub(crate) use parse::{Endpoint, parse_attach, parse_detach};

/// A body that is not accepted: the text of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadRequest(pub(crate) String);

impl BadRequest {
    /// About one field: what was read, and what would be accepted.
    fn field(name: &str, value: &serde_json::Value, expected: &str) -> Self {
        BadRequest(format!(
            "{name}: {} is not accepted: expected {expected}",
            excerpt(value)
        ))
    }

    /// A mandatory field is not there, in bagpipe-bgp's words.
    fn missing(name: &str) -> Self {
        BadRequest(format!("Missing parameter: '{name}'"))
    }
}

/// A value as JSON, cut where it is long.
fn excerpt(value: &serde_json::Value) -> String {
    const LEN_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LEN_MAX) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}
