//! The one error of all parsers of this crate.

/// A text that is not of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: expected {expected}")]
pub struct ParseError {
    /// The text as it was read.
    pub text: String,
    /// What it should have been, with article: "a MAC address".
    pub what: &'static str,
    /// The accepted form.
    pub expected: &'static str,
}

impl ParseError {
    /// An error about `text`.
    pub fn new(text: &str, what: &'static str, expected: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            what,
            expected,
        }
    }
}

/// Serialises a type by its `Display` and deserialises it by its `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text =
                    <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;
