//! ROUTE-REFRESH (RFC 2918, RFC 7313).

use std::fmt;

use super::{MessageType, begin, end};
use crate::family::Family;

/// ROUTE-REFRESH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteRefreshMessage {
    /// The family that it is about.
    pub family: Family,
    /// What is said of it.
    pub kind: RefreshKind,
}

/// The subtype of ROUTE-REFRESH (RFC 7313 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefreshKind {
    /// All routes of the family are to be sent again.
    Request,
    /// They are sent from here on (BoRR).
    Begin,
    /// They have been sent (EoRR).
    End,
    /// None that is known; to be ignored. The value is neither 0, 1, nor 2.
    Unknown(u8),
}

impl RefreshKind {
    /// The value on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::Begin => 1,
            Self::End => 2,
            Self::Unknown(code) => code,
        }
    }

    /// What that value on the wire says.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Request,
            1 => Self::Begin,
            2 => Self::End,
            code => Self::Unknown(code),
        }
    }
}

impl fmt::Display for RefreshKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("request"),
            Self::Begin => f.write_str("BoRR"),
            Self::End => f.write_str("EoRR"),
            Self::Unknown(code) => write!(f, "subtype {code}"),
        }
    }
}

impl RouteRefreshMessage {
    /// Asks for all routes of `family`.
    pub const fn request(family: Family) -> Self {
        let kind = RefreshKind::Request;
        Self { family, kind }
    }

    /// Marks the begin of the answer.
    pub const fn begin(family: Family) -> Self {
        let kind = RefreshKind::Begin;
        Self { family, kind }
    }

    /// Marks the end of the answer.
    pub const fn end(family: Family) -> Self {
        let kind = RefreshKind::End;
        Self { family, kind }
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin(out, MessageType::RouteRefresh);
        out.extend(self.family.afi.to_be_bytes());
        out.extend([self.kind.code(), self.family.safi]);
        end(out, start);
    }

    /// Decodes what follows the header; `None` if a mark is not of its one length, for which RFC
    /// 7313 section 5 wants a NOTIFICATION. A request may be longer: outbound route filters (RFC
    /// 5291), which are not offered, are ignored.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (&[a, b, subtype, safi], more) = body.split_first_chunk()?;
        let kind = RefreshKind::from_code(subtype);
        if matches!(kind, RefreshKind::Begin | RefreshKind::End) && !more.is_empty() {
            return None;
        }
        let afi = u16::from_be_bytes([a, b]);
        let family = Family { afi, safi };
        Some(Self { family, kind })
    }
}

impl fmt::Display for RouteRefreshMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ROUTE-REFRESH {} of {}", self.kind, self.family)
    }
}
