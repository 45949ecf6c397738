//! Addresses of nodes, and the way into their members.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bagpipe::Failure;

/// The absolute address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url(String);

impl Url {
    /// The root, at the host that the client asked.
    pub(super) fn root(host: &str, path: &str) -> Self {
        Url(format!("http://{host}{path}"))
    }

    /// A child.
    pub(super) fn child(&self, item: &str) -> Self {
        let mut url = self.0.clone();
        url.push('/');
        for byte in item.bytes() {
            // RFC 3986 section 2.3, and the characters of a path segment that URLs are mostly
            // written with.
            if byte.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,;=".contains(&byte) {
                url.push(char::from(byte));
            } else {
                // Writing to a String does not fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
        Url(url)
    }

    /// What stands in a node for a child.
    pub(super) fn href(&self, item: &str) -> Value {
        json!({"href": self.child(item).0})
    }

    /// What stands in a collection for an element.
    pub(super) fn element(&self, item: &str) -> Value {
        json!({"href": self.child(item).0, "id": item})
    }

    /// No such child.
    pub(super) fn not_found(&self, item: &str) -> Failure {
        Failure::not_found(format!(
            "No such looking glass object: {item} at {}",
            self.0
        ))
    }
}

/// The member of `value`, which is the node at `here`, to which `items` lead.
pub(super) fn descend(mut value: Value, here: &Url, items: &[&str]) -> Result<Value, Failure> {
    let mut here = here.clone();
    for item in items {
        let child = here.child(item);
        value = match value {
            Value::Object(mut members) if members.contains_key(*item) => {
                members.remove(*item).unwrap_or(Value::Null)
            }
            Value::Object(_) => {
                return Err(Failure::not_found(format!(
                    "No such looking glass object: '{item}' at {}",
                    child.0
                )));
            }
            _ => return Err(here.not_found(item)),
        };
        here = child;
    }
    Ok(value)
}

/// A path item as it was before percent-encoding; what is not encoded properly stays as it is.
pub(super) fn percent_decode(item: &str) -> String {
    let mut octets = Vec::with_capacity(item.len());
    let mut rest = item.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let encoded = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = encoded {
            octets.push(high << 4 | low);
            rest = &rest[3..];
        } else {
            octets.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
