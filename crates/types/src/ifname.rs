//! Names of network devices.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;
use crate::parse::serde_as_text;

/// The name of a network device: 1 to 15 octets, no `/`, no white space, not `.` or `..`, as the
/// kernel's `dev_valid_name` has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName(String);

impl IfName {
    /// The longest name that the kernel takes, in octets (`IFNAMSIZ` less the final zero).
    pub const LEN_MAX: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IfName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let valid = (1..=Self::LEN_MAX).contains(&text.len())
            && text != "."
            && text != ".."
            && !text
                .chars()
                .any(|c| c == '/' || c == ':' || c == '\0' || c.is_whitespace());
        if valid {
            Ok(IfName(text.to_owned()))
        } else {
            Err(ParseError::new(
                text,
                "a network device name",
                "1 to 15 characters without `/`, `:` or spaces",
            ))
        }
    }
}

serde_as_text!(IfName);
