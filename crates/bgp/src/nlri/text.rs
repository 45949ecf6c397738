//! NLRI as operators write them, in the notation of FRR.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chanter_types::{EthernetTag, Ipv4Prefix, Ipv6Prefix, ParseError, Prefix};

use super::{EvpnNlri, InclusiveMulticast, MacIp, Nlri};
use crate::text::{Hex, parse_hex, serde_as_text};

impl fmt::Display for Nlri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nlri::Ipv4(prefix) => prefix.fmt(f),
            Nlri::Ipv6(prefix) => prefix.fmt(f),
            Nlri::Evpn(nlri) => nlri.fmt(f),
            Nlri::Rtc(membership) => membership.fmt(f),
        }
    }
}

impl fmt::Display for EvpnNlri {
    /// `[2]:[TAG]:[48]:[MAC]:[IP length]:[IP] rd RD`, without the last two brackets where there is
    /// no IP; `[3]:[TAG]:[IP length]:[IP] rd RD`; other types `[TYPE]:` and their octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvpnNlri::MacIp(MacIp { rd, tag, mac, ip }) => {
                write!(f, "[2]:[{tag}]:[48]:[{mac}]")?;
                if let Some(ip) = ip {
                    write!(f, ":[{}]:[{ip}]", bits(ip))?;
                }
                write!(f, " rd {rd}")
            }
            EvpnNlri::InclusiveMulticast(InclusiveMulticast {
                rd,
                tag,
                originator,
            }) => {
                write!(
                    f,
                    "[3]:[{tag}]:[{}]:[{originator}] rd {rd}",
                    bits(originator)
                )
            }
            EvpnNlri::Other { route_type, octets } => write!(f, "[{route_type}]:{}", Hex(octets)),
        }
    }
}

/// The length of an address in bits, as it stands in EVPN NLRI.
pub(super) fn bits(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Nlri {
    type Err = ParseError;

    /// Reads what `Display` prints.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let nlri = if text.starts_with('[') {
            parse_evpn(text).map(Nlri::Evpn)
        } else if text == "default" || text.contains(":target:") || text.contains(":0x") {
            text.parse().ok().map(Nlri::Rtc)
        } else {
            text.parse::<Prefix>().ok().map(Nlri::from)
        };
        nlri.ok_or_else(|| {
            ParseError::new(
                text,
                "an NLRI",
                "a prefix, `[2]:[0]:[48]:[MAC]:[32]:[IP] rd RD`, `[3]:[0]:[32]:[IP] rd RD`, \
                 `[TYPE]:HEX`, AS:target:RT/96 or `default`",
            )
        })
    }
}

impl From<Prefix> for Nlri {
    fn from(prefix: Prefix) -> Self {
        match prefix {
            Prefix::V4(prefix) => Nlri::Ipv4(prefix),
            Prefix::V6(prefix) => Nlri::Ipv6(prefix),
        }
    }
}

impl From<Ipv4Prefix> for Nlri {
    fn from(prefix: Ipv4Prefix) -> Self {
        Nlri::Ipv4(prefix)
    }
}

impl From<Ipv6Prefix> for Nlri {
    fn from(prefix: Ipv6Prefix) -> Self {
        Nlri::Ipv6(prefix)
    }
}

fn parse_evpn(text: &str) -> Option<EvpnNlri> {
    let (route_type, rest) = text.strip_prefix('[')?.split_once("]:")?;
    let route_type: u8 = route_type.parse().ok()?;
    if ![MacIp::ROUTE_TYPE, InclusiveMulticast::ROUTE_TYPE].contains(&route_type) {
        let octets = parse_hex(rest).filter(|octets| octets.len() <= usize::from(u8::MAX))?;
        return Some(EvpnNlri::Other {
            route_type,
            octets: octets.into(),
        });
    }
    let (fields, rd) = rest.split_once(" rd ")?;
    let rd = rd.parse().ok()?;
    let fields: Vec<&str> = fields
        .strip_prefix('[')?
        .strip_suffix(']')?
        .split("]:[")
        .collect();
    let tag = EthernetTag(fields.first()?.parse().ok()?);
    match (route_type, &fields[1..]) {
        (MacIp::ROUTE_TYPE, ["48", mac, ip @ ..]) => {
            let ip = match ip {
                [] => None,
                [bits, ip] => Some(parse_ip(bits, ip)?),
                _ => return None,
            };
            let mac = mac.parse().ok()?;
            Some(EvpnNlri::MacIp(MacIp { rd, tag, mac, ip }))
        }
        (InclusiveMulticast::ROUTE_TYPE, [bits, ip]) => {
            let originator = parse_ip(bits, ip)?;
            Some(EvpnNlri::InclusiveMulticast(InclusiveMulticast {
                rd,
                tag,
                originator,
            }))
        }
        _ => None,
    }
}

fn parse_ip(length: &str, ip: &str) -> Option<IpAddr> {
    let ip: IpAddr = ip.parse().ok()?;
    (length.parse() == Ok(bits(&ip))).then_some(ip)
}

serde_as_text!(Nlri);
