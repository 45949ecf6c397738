//! Malformed UPDATE messages, and what RFC 7606 wants done about each.
//!
//! For every attribute that is known, and every kind of NLRI: truncated, over-long, of length zero,
//! with wrong flags, and twice. Built with the feature `corpus` only, for tests: those of the codec,
//! and those that send the messages to a speaker over an iBGP session.

mod attributes;
mod nlri;

use chanter_types::Ipv4Prefix;

use crate::attributes::AttributeCode;
use crate::context::CodecContext;
use crate::message::{HEADER_LEN, MessageType, begin, end};
use crate::text::parse_hex;

/// What has to come of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing is wrong with it.
    Keep,
    /// attribute-discard: the routes count, the attribute does not.
    Discard,
    /// treat-as-withdraw: the routes are withdrawn.
    Withdraw,
    /// The session ends with this NOTIFICATION.
    Reset {
        /// The error code.
        code: u8,
        /// The error subcode.
        subcode: u8,
    },
}

/// What was done to a message that was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// Nothing.
    Nothing,
    /// An octet is missing, and the length says so.
    Truncated,
    /// The length says more than what is there.
    CutOff,
    /// There is an octet too many, and the length says so.
    OverLong,
    /// Length zero.
    ZeroLength,
    /// The optional, the transitive, or another flag is not as it should be.
    Flags,
    /// It is there twice.
    Duplicate,
    /// It is missing.
    Missing,
    /// A value that cannot be.
    Value,
}

/// A message of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is, for the log: `ORIGIN truncated`.
    pub name: String,
    /// The whole message, header included.
    pub update: Vec<u8>,
    /// What was done to it.
    pub spoil: Spoil,
    /// What has to come of it.
    pub expected: Expected,
    /// The attribute that it is about.
    pub attribute: Option<AttributeCode>,
    /// The IPv4 route that it advertises beside all else, another one in each message.
    pub route: Option<Ipv4Prefix>,
    /// Whether the session must have four-octet AS numbers (RFC 6793), or must not.
    pub four_octet_as: bool,
}

impl Case {
    /// The session that the message is for: iBGP, all families, ADD-PATH for none.
    pub fn context(&self) -> CodecContext {
        CodecContext {
            four_octet_as: self.four_octet_as,
            ..CodecContext::default()
        }
    }

    /// The message without its header.
    pub fn body(&self) -> &[u8] {
        self.update.get(HEADER_LEN..).unwrap_or_default()
    }
}

/// The whole corpus.
pub fn cases() -> Vec<Case> {
    let mut cases = attributes::cases();
    cases.extend(nlri::cases());
    cases
}

/// An attribute on the wire, the length in one octet where it fits.
fn attribute(flags: u8, code: AttributeCode, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 4);
    crate::attributes::push_attribute(&mut out, flags, code, value);
    out
}

/// A whole UPDATE.
fn update(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let len = |octets: &[u8]| {
        u16::try_from(octets.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes()
    };
    let mut out = Vec::new();
    let start = begin(&mut out, MessageType::Update);
    out.extend(len(withdrawn));
    out.extend_from_slice(withdrawn);
    out.extend(len(attributes));
    out.extend_from_slice(attributes);
    out.extend_from_slice(nlri);
    end(&mut out, start);
    out
}

/// Attributes that make a valid UPDATE, without that of type `except`.
fn base(except: AttributeCode, four_octet_as: bool) -> Vec<u8> {
    let path: &[u8] = if four_octet_as {
        &[2, 1, 0, 0, 0xfc, 0]
    } else {
        &[2, 1, 0xfc, 0]
    };
    [
        (AttributeCode::ORIGIN, 0x40, &[0][..]),
        (AttributeCode::AS_PATH, 0x40, path),
        (AttributeCode::NEXT_HOP, 0x40, &[192, 0, 2, 1]),
        (AttributeCode::LOCAL_PREF, 0x40, &[0, 0, 0, 100]),
    ]
    .into_iter()
    .filter(|(code, ..)| *code != except)
    .flat_map(|(code, flags, value)| attribute(flags, code, value))
    .collect()
}

/// The octets that the digits stand for; spaces do not count.
fn octets(digits: &str) -> Vec<u8> {
    parse_hex(&digits.replace(' ', "")).unwrap_or_default()
}
