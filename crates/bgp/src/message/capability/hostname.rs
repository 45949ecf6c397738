//! The name of the speaker (draft-walton-bgp-hostname-capability).

use std::fmt;

use crate::reader::Reader;

/// The name of the sender, for operators' eyes only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Hostname {
    /// The host.
    pub host: String,
    /// Its domain; may be empty.
    pub domain: String,
}

impl Hostname {
    /// So many octets of either are sent and kept; the draft's own limit.
    const LEN_MAX: usize = 64;

    /// `None`: the lengths do not fit. What is not UTF-8 and what a terminal might act on is
    /// replaced.
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value, 0);
        let mut text = || {
            let len = reader.u8()?;
            let mut text = printable(reader.bytes(usize::from(len))?);
            text.truncate(text.floor_char_boundary(Self::LEN_MAX));
            Some(text)
        };
        let (host, domain) = (text()?, text()?);
        reader.is_empty().then_some(Self { host, domain })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for text in [&self.host, &self.domain] {
            let text = &text.as_bytes()[..text.floor_char_boundary(Self::LEN_MAX)];
            out.push(u8::try_from(text.len()).unwrap_or_default());
            out.extend_from_slice(text);
        }
    }
}

/// A text of the peer, fit for logs and terminals.
pub(crate) fn printable(octets: &[u8]) -> String {
    let printable = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let text = String::from_utf8_lossy(octets);
    text.chars().map(printable).collect()
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if self.domain.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.domain)
        }
    }
}
