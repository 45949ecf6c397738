//! Capabilities in OPEN (RFC 5492).

mod graceful;
mod hostname;
mod paths;

use std::fmt;

use chanter_types::Asn;

use super::role::BgpRole;
use crate::family::Family;
use crate::text::Hex;

pub use graceful::{GracefulRestart, LongLivedFamily};
pub use hostname::Hostname;
pub(super) use hostname::printable;
pub use paths::{AddPathMode, ExtendedNextHop};

/// A capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// A family (RFC 4760).
    MultiProtocol(Family),
    /// ROUTE-REFRESH is understood (RFC 2918).
    RouteRefresh,
    /// Families whose next hop may be of another address family (RFC 8950).
    ExtendedNextHop(Vec<ExtendedNextHop>),
    /// Messages of up to 65535 octets are understood (RFC 8654).
    ExtendedMessage,
    /// What the sender is to its peer (RFC 9234).
    Role(BgpRole),
    /// Graceful restart (RFC 4724).
    GracefulRestart(GracefulRestart),
    /// AS numbers have four octets (RFC 6793); this is the sender's.
    FourOctetAs(Asn),
    /// Families of which several paths per destination are sent or taken (RFC 7911).
    AddPath(Vec<(Family, AddPathMode)>),
    /// Begin and end of an answer to ROUTE-REFRESH are marked (RFC 7313).
    EnhancedRouteRefresh,
    /// Long-lived graceful restart (RFC 9494).
    LongLivedGracefulRestart(Vec<LongLivedFamily>),
    /// The name of the sender (draft-walton-bgp-hostname-capability).
    Hostname(Hostname),
    /// One that this crate does not know, or whose value its RFC wants ignored.
    Unknown {
        /// Its code.
        code: u8,
        /// Its value.
        value: Box<[u8]>,
    },
}

/// IANA "Capability Codes".
mod code {
    pub(super) const MULTI_PROTOCOL: u8 = 1;
    pub(super) const ROUTE_REFRESH: u8 = 2;
    pub(super) const EXTENDED_NEXT_HOP: u8 = 5;
    pub(super) const EXTENDED_MESSAGE: u8 = 6;
    pub(super) const ROLE: u8 = 9;
    pub(super) const GRACEFUL_RESTART: u8 = 64;
    pub(super) const FOUR_OCTET_AS: u8 = 65;
    pub(super) const ADD_PATH: u8 = 69;
    pub(super) const ENHANCED_ROUTE_REFRESH: u8 = 70;
    pub(super) const LONG_LIVED_GRACEFUL_RESTART: u8 = 71;
    pub(super) const HOSTNAME: u8 = 73;
}

impl Capability {
    /// The code of [`Capability::Role`]; a value that is no role is [`Capability::Unknown`].
    pub const ROLE: u8 = code::ROLE;

    /// Its code (IANA "Capability Codes").
    pub fn code(&self) -> u8 {
        match self {
            Capability::MultiProtocol(_) => code::MULTI_PROTOCOL,
            Capability::RouteRefresh => code::ROUTE_REFRESH,
            Capability::ExtendedNextHop(_) => code::EXTENDED_NEXT_HOP,
            Capability::ExtendedMessage => code::EXTENDED_MESSAGE,
            Capability::Role(_) => code::ROLE,
            Capability::GracefulRestart(_) => code::GRACEFUL_RESTART,
            Capability::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Capability::AddPath(_) => code::ADD_PATH,
            Capability::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
            Capability::LongLivedGracefulRestart(_) => code::LONG_LIVED_GRACEFUL_RESTART,
            Capability::Hostname(_) => code::HOSTNAME,
            Capability::Unknown { code, .. } => *code,
        }
    }

    /// The capability of that code and value; `None` if one without which the session would not be
    /// what the peer thinks has a value of a wrong length. Others that are malformed are kept as
    /// [`Capability::Unknown`], and so have no effect (RFC 7911 section 4).
    pub fn decode(code: u8, value: &[u8]) -> Option<Self> {
        let empty = |capability| value.is_empty().then_some(capability);
        let known = match code {
            code::MULTI_PROTOCOL => {
                let [a, b, _, safi] = value.try_into().ok()?;
                let afi = u16::from_be_bytes([a, b]);
                return Some(Capability::MultiProtocol(Family { afi, safi }));
            }
            code::ROUTE_REFRESH => return empty(Capability::RouteRefresh),
            code::EXTENDED_MESSAGE => return empty(Capability::ExtendedMessage),
            code::ENHANCED_ROUTE_REFRESH => return empty(Capability::EnhancedRouteRefresh),
            code::GRACEFUL_RESTART => {
                return GracefulRestart::decode(value).map(Capability::GracefulRestart);
            }
            code::FOUR_OCTET_AS => {
                let asn = u32::from_be_bytes(value.try_into().ok()?);
                return Some(Capability::FourOctetAs(Asn(asn)));
            }
            code::EXTENDED_NEXT_HOP => {
                ExtendedNextHop::decode_list(value).map(Capability::ExtendedNextHop)
            }
            code::ROLE => match value {
                [role] => BgpRole::from_code(*role).map(Capability::Role),
                _ => None,
            },
            code::ADD_PATH => paths::decode_add_path(value).map(Capability::AddPath),
            code::LONG_LIVED_GRACEFUL_RESTART => {
                LongLivedFamily::decode_list(value).map(Capability::LongLivedGracefulRestart)
            }
            code::HOSTNAME => Hostname::decode(value).map(Capability::Hostname),
            _ => None,
        };
        let value = value.into();
        Some(known.unwrap_or(Capability::Unknown { code, value }))
    }

    /// Appends code, length and value. A value above 255 octets is cut: no capability can be
    /// longer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([self.code(), 0]);
        let start = out.len();
        self.encode_value(out);
        out.truncate(start + usize::from(u8::MAX));
        out[start - 1] = u8::try_from(out.len() - start).unwrap_or(u8::MAX);
    }

    fn encode_value(&self, out: &mut Vec<u8>) {
        match self {
            Capability::MultiProtocol(family) => {
                out.extend(family.afi.to_be_bytes());
                out.extend([0, family.safi]);
            }
            Capability::ExtendedNextHop(list) => ExtendedNextHop::encode_list(list, out),
            Capability::Role(role) => out.push(role.code()),
            Capability::GracefulRestart(restart) => restart.encode(out),
            Capability::FourOctetAs(asn) => out.extend(asn.0.to_be_bytes()),
            Capability::AddPath(list) => paths::encode_add_path(list, out),
            Capability::LongLivedGracefulRestart(list) => LongLivedFamily::encode_list(list, out),
            Capability::Hostname(hostname) => hostname.encode(out),
            Capability::Unknown { value, .. } => out.extend_from_slice(value),
            Capability::RouteRefresh
            | Capability::ExtendedMessage
            | Capability::EnhancedRouteRefresh => {}
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::MultiProtocol(family) => write!(f, "multiprotocol {family}"),
            Capability::RouteRefresh => f.write_str("route-refresh"),
            Capability::ExtendedNextHop(list) => write_list(f, "extended-next-hop", list),
            Capability::ExtendedMessage => f.write_str("extended-message"),
            Capability::Role(role) => write!(f, "role {role}"),
            Capability::GracefulRestart(restart) => write!(f, "graceful-restart {restart}"),
            Capability::FourOctetAs(asn) => write!(f, "four-octet-as {asn}"),
            Capability::AddPath(list) => {
                let list = list.iter().map(|(family, mode)| format!("{family} {mode}"));
                write_list(f, "add-path", list)
            }
            Capability::EnhancedRouteRefresh => f.write_str("enhanced-route-refresh"),
            Capability::LongLivedGracefulRestart(list) => {
                write_list(f, "long-lived-graceful-restart", list)
            }
            Capability::Hostname(hostname) => write!(f, "fqdn {hostname}"),
            Capability::Unknown { code, value } if value.is_empty() => {
                write!(f, "capability {code}")
            }
            Capability::Unknown { code, value } => write!(f, "capability {code} 0x{}", Hex(value)),
        }
    }
}

/// `name first, second`.
fn write_list(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    list: impl IntoIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    f.write_str(name)?;
    for (place, entry) in list.into_iter().enumerate() {
        f.write_str(if place == 0 { " " } else { ", " })?;
        write!(f, "{entry}")?;
    }
    Ok(())
}
