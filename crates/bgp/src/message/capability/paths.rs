//! ADD-PATH (RFC 7911) and extended next hop encoding (RFC 8950).

use std::fmt;
use std::str::FromStr;

use chanter_types::ParseError;

use crate::family::Family;
use crate::text::serde_as_text;

/// What a speaker does with several paths of one destination (RFC 7911 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddPathMode {
    /// It takes them.
    Receive,
    /// It sends them.
    Send,
    /// Both.
    Both,
}

impl AddPathMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Receive, Self::Send, Self::Both];

    /// The value on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }

    /// The mode of that value on the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.code() == code)
    }

    /// Whether several paths may be received.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receive | Self::Both)
    }

    /// Whether several paths may be sent.
    pub const fn sends(self) -> bool {
        matches!(self, Self::Send | Self::Both)
    }

    /// The name in configuration and in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Both => "both",
        }
    }
}

impl fmt::Display for AddPathMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for AddPathMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mode = Self::ALL.into_iter().find(|mode| mode.name() == text);
        mode.ok_or_else(|| ParseError::new(text, "an ADD-PATH mode", "receive, send, or both"))
    }
}

serde_as_text!(AddPathMode);

/// So many families fit into the ADD-PATH capability.
const ADD_PATH_MAX: usize = 63;

/// `None`: to be ignored as not understood, be it one entry alone that is out of order (RFC 7911
/// section 4).
pub(super) fn decode_add_path(value: &[u8]) -> Option<Vec<(Family, AddPathMode)>> {
    let (entries, rest) = value.as_chunks();
    let decode = |&[a, b, safi, mode]: &[u8; 4]| {
        let afi = u16::from_be_bytes([a, b]);
        Some((Family { afi, safi }, AddPathMode::from_code(mode)?))
    };
    if rest.is_empty() {
        entries.iter().map(decode).collect()
    } else {
        None
    }
}

pub(super) fn encode_add_path(list: &[(Family, AddPathMode)], out: &mut Vec<u8>) {
    for (family, mode) in list.iter().take(ADD_PATH_MAX) {
        out.extend(family.afi.to_be_bytes());
        out.extend([family.safi, mode.code()]);
    }
}

/// A family whose next hop may be of another address family (RFC 8950 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtendedNextHop {
    /// The family of the routes.
    pub family: Family,
    /// The address family of the next hop; 2: IPv6.
    pub next_hop_afi: u16,
}

impl ExtendedNextHop {
    /// IPv6 as address family of the next hop.
    pub const IPV6: u16 = 2;
    /// So many fit into a capability.
    const COUNT_MAX: usize = 42;

    /// `None`: not a list of whole entries. The SAFI has two octets here; one above 255 names no
    /// family that there is.
    pub(super) fn decode_list(value: &[u8]) -> Option<Vec<Self>> {
        let (entries, rest) = value.as_chunks();
        let decode = |&[a, b, safi_high, safi, c, d]: &[u8; 6]| {
            (safi_high == 0).then_some(Self {
                family: Family {
                    afi: u16::from_be_bytes([a, b]),
                    safi,
                },
                next_hop_afi: u16::from_be_bytes([c, d]),
            })
        };
        rest.is_empty()
            .then(|| entries.iter().filter_map(decode).collect())
    }

    pub(super) fn encode_list(list: &[Self], out: &mut Vec<u8>) {
        for entry in list.iter().take(Self::COUNT_MAX) {
            out.extend(entry.family.afi.to_be_bytes());
            out.extend([0, entry.family.safi]);
            out.extend(entry.next_hop_afi.to_be_bytes());
        }
    }
}

impl fmt::Display for ExtendedNextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.next_hop_afi {
            Self::IPV6 => write!(f, "{} by ipv6", self.family),
            afi => write!(f, "{} by AFI {afi}", self.family),
        }
    }
}
