//! Capabilities in OPEN (RFC 5492).

use std::fmt;

use chanter_types::Asn;

use crate::family::Family;
use crate::reader::Reader;
use crate::text::Hex;

/// A capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// A family (RFC 4760).
    MultiProtocol(Family),
    /// ROUTE-REFRESH is understood (RFC 2918).
    RouteRefresh,
    /// Messages of up to 65535 octets are understood (RFC 8654).
    ExtendedMessage,
    /// Graceful restart (RFC 4724).
    GracefulRestart(GracefulRestart),
    /// AS numbers have four octets (RFC 6793); this is the sender's.
    FourOctetAs(Asn),
    /// Begin and end of an answer to ROUTE-REFRESH are marked (RFC 7313).
    EnhancedRouteRefresh,
    /// One that this crate does not know.
    Unknown {
        /// Its code.
        code: u8,
        /// Its value.
        value: Box<[u8]>,
    },
}

/// The value of the graceful restart capability.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GracefulRestart {
    /// The R flag: the sender has restarted.
    pub restarting: bool,
    /// How long its paths may be retained, in seconds, 0 to 4095.
    pub restart_time: u16,
    /// The families whose forwarding state it can preserve, each with the F flag: it did preserve
    /// it. Empty: it only marks End-of-RIB.
    pub families: Vec<(Family, bool)>,
}

impl GracefulRestart {
    /// The largest restart time.
    pub const RESTART_TIME_MAX: u16 = 0x0fff;
}

mod code {
    pub(super) const MULTI_PROTOCOL: u8 = 1;
    pub(super) const ROUTE_REFRESH: u8 = 2;
    pub(super) const EXTENDED_MESSAGE: u8 = 6;
    pub(super) const GRACEFUL_RESTART: u8 = 64;
    pub(super) const FOUR_OCTET_AS: u8 = 65;
    pub(super) const ENHANCED_ROUTE_REFRESH: u8 = 70;
}

const FLAG_RESTARTING: u16 = 0x8000;
const FLAG_FORWARDING: u8 = 0x80;

impl Capability {
    /// Its code (IANA "Capability Codes").
    pub fn code(&self) -> u8 {
        match self {
            Capability::MultiProtocol(_) => code::MULTI_PROTOCOL,
            Capability::RouteRefresh => code::ROUTE_REFRESH,
            Capability::ExtendedMessage => code::EXTENDED_MESSAGE,
            Capability::GracefulRestart(_) => code::GRACEFUL_RESTART,
            Capability::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Capability::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
            Capability::Unknown { code, .. } => *code,
        }
    }

    /// The capability of that code and value; `None` if a known one has a value of a wrong length.
    pub fn decode(code: u8, value: &[u8]) -> Option<Self> {
        let empty = |capability| value.is_empty().then_some(capability);
        match code {
            code::MULTI_PROTOCOL => {
                let [a, b, _, safi] = value.try_into().ok()?;
                let afi = u16::from_be_bytes([a, b]);
                Some(Capability::MultiProtocol(Family { afi, safi }))
            }
            code::ROUTE_REFRESH => empty(Capability::RouteRefresh),
            code::EXTENDED_MESSAGE => empty(Capability::ExtendedMessage),
            code::GRACEFUL_RESTART => decode_graceful_restart(value),
            code::FOUR_OCTET_AS => {
                let asn = u32::from_be_bytes(value.try_into().ok()?);
                Some(Capability::FourOctetAs(Asn(asn)))
            }
            code::ENHANCED_ROUTE_REFRESH => empty(Capability::EnhancedRouteRefresh),
            _ => Some(Capability::Unknown {
                code,
                value: value.into(),
            }),
        }
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
            Capability::GracefulRestart(restart) => encode_graceful_restart(restart, out),
            Capability::FourOctetAs(asn) => out.extend(asn.0.to_be_bytes()),
            Capability::Unknown { value, .. } => out.extend_from_slice(value),
            Capability::RouteRefresh
            | Capability::ExtendedMessage
            | Capability::EnhancedRouteRefresh => {}
        }
    }
}

fn decode_graceful_restart(value: &[u8]) -> Option<Capability> {
    let mut reader = Reader::new(value, 0);
    let head = reader.u16()?;
    let mut restart = GracefulRestart {
        restarting: head & FLAG_RESTARTING != 0,
        restart_time: head & GracefulRestart::RESTART_TIME_MAX,
        families: Vec::new(),
    };
    while !reader.is_empty() {
        let [a, b, safi, flags] = reader.array()?;
        let family = Family {
            afi: u16::from_be_bytes([a, b]),
            safi,
        };
        restart
            .families
            .push((family, flags & FLAG_FORWARDING != 0));
    }
    Some(Capability::GracefulRestart(restart))
}

/// At most 63 families fit.
fn encode_graceful_restart(restart: &GracefulRestart, out: &mut Vec<u8>) {
    let restarting = if restart.restarting {
        FLAG_RESTARTING
    } else {
        0
    };
    let head = restarting | restart.restart_time.min(GracefulRestart::RESTART_TIME_MAX);
    out.extend(head.to_be_bytes());
    for (family, preserved) in restart.families.iter().take(63) {
        out.extend(family.afi.to_be_bytes());
        out.extend([family.safi, if *preserved { FLAG_FORWARDING } else { 0 }]);
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::MultiProtocol(family) => write!(f, "multiprotocol {family}"),
            Capability::RouteRefresh => f.write_str("route-refresh"),
            Capability::ExtendedMessage => f.write_str("extended-message"),
            Capability::GracefulRestart(restart) => {
                write!(f, "graceful-restart {} s", restart.restart_time)?;
                f.write_str(if restart.restarting {
                    " restarting"
                } else {
                    ""
                })?;
                for (family, preserved) in &restart.families {
                    write!(
                        f,
                        " {family}{}",
                        if *preserved { " (preserved)" } else { "" }
                    )?;
                }
                Ok(())
            }
            Capability::FourOctetAs(asn) => write!(f, "four-octet-as {asn}"),
            Capability::EnhancedRouteRefresh => f.write_str("enhanced-route-refresh"),
            Capability::Unknown { code, value } if value.is_empty() => {
                write!(f, "capability {code}")
            }
            Capability::Unknown { code, value } => write!(f, "capability {code} 0x{}", Hex(value)),
        }
    }
}
