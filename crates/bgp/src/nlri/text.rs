//! NLRI as operators write them, in the notation of FRR.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chanter_types::{EthernetTag, Ipv4Prefix, Ipv6Prefix, ParseError, Prefix};

use super::{
    EthernetAd, EthernetSegment, EvpnNlri, EvpnPrefix, InclusiveMulticast, MacIp, Nlri,
    Vpnv4Prefix, Vpnv6Prefix,
};
use crate::text::{Hex, parse_hex, serde_as_text};

impl fmt::Display for Nlri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nlri::Ipv4(prefix) => prefix.fmt(f),
            Nlri::Ipv6(prefix) => prefix.fmt(f),
            Nlri::Evpn(nlri) => nlri.fmt(f),
            Nlri::Rtc(membership) => membership.fmt(f),
            Nlri::Vpn4(route) => write!(f, "{}:{}", route.rd, route.prefix),
            // With a colon, 1:2:2001:db8::/32 could as well be an IPv6 prefix.
            Nlri::Vpn6(route) => write!(f, "{} {}", route.rd, route.prefix),
            Nlri::FlowSpec(nlri) => nlri.fmt(f),
        }
    }
}

impl fmt::Display for EvpnNlri {
    /// `[1]:[TAG]:[ESI] rd RD`; `[2]:[TAG]:[48]:[MAC]:[IP length]:[IP] rd RD`, without the last two
    /// brackets where there is no IP; `[3]:[TAG]:[IP length]:[IP] rd RD`;
    /// `[4]:[ESI]:[IP length]:[IP] rd RD`; `[5]:[TAG]:[LENGTH]:[PREFIX] rd RD`; other types `[TYPE]:`
    /// and their octets.
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
            EvpnNlri::EthernetAd(EthernetAd { rd, esi, tag }) => {
                write!(f, "[1]:[{tag}]:[{esi}] rd {rd}")
            }
            EvpnNlri::EthernetSegment(EthernetSegment {
                rd,
                esi,
                originator,
            }) => {
                let bits = bits(originator);
                write!(f, "[4]:[{esi}]:[{bits}]:[{originator}] rd {rd}")
            }
            EvpnNlri::IpPrefix(EvpnPrefix { rd, tag, prefix }) => {
                let (len, addr) = (prefix.len(), prefix.addr());
                write!(f, "[5]:[{tag}]:[{len}]:[{addr}] rd {rd}")
            }
            EvpnNlri::Other { route_type, octets } => write!(f, "[{route_type}]:{}", Hex(octets)),
        }
    }
}

/// The length of an address in bits, as it stands in EVPN NLRI.
pub(crate) fn bits(ip: &IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Nlri {
    type Err = ParseError;

    /// Reads what `Display` prints; VPN prefixes behind a colon or a space.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let nlri = if text.starts_with('[') {
            parse_evpn(text).map(Nlri::Evpn)
        } else if text.starts_with("flow") {
            text.parse().ok().map(Nlri::FlowSpec)
        } else if text == "default" || text.contains(":target:") || text.contains(":0x") {
            text.parse().ok().map(Nlri::Rtc)
        } else {
            let prefix = text.parse::<Prefix>().ok().map(Nlri::from);
            prefix.or_else(|| parse_vpn(text))
        };
        nlri.ok_or_else(|| {
            ParseError::new(
                text,
                "an NLRI",
                "a prefix, RD:PREFIX or `RD PREFIX`, `[2]:[0]:[48]:[MAC]:[32]:[IP] rd RD`, \
                 `[3]:[0]:[32]:[IP] rd RD`, `[5]:[0]:[LENGTH]:[IP] rd RD`, `[1]:[TAG]:[ESI] rd RD`, \
                 `[4]:[ESI]:[32]:[IP] rd RD`, `[TYPE]:HEX`, AS:target:RT/96, `default` or \
                 `flow4 { destination PREFIX; protocol =tcp }`",
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

/// A route distinguisher and a prefix.
fn parse_vpn(text: &str) -> Option<Nlri> {
    let (rd, prefix) = text.split_once(' ').or_else(|| {
        // The distinguisher is one number in hexadecimal, or two parts.
        let is_raw = text.starts_with("0x");
        let (place, _) = text.match_indices(':').nth(usize::from(!is_raw))?;
        Some((&text[..place], &text[place + 1..]))
    })?;
    let rd = rd.parse().ok()?;
    Some(match prefix.parse().ok()? {
        Prefix::V4(prefix) => Nlri::Vpn4(Vpnv4Prefix { rd, prefix }),
        Prefix::V6(prefix) => Nlri::Vpn6(Vpnv6Prefix { rd, prefix }),
    })
}

fn parse_evpn(text: &str) -> Option<EvpnNlri> {
    let (route_type, rest) = text.strip_prefix('[')?.split_once("]:")?;
    let route_type: u8 = route_type.parse().ok()?;
    if !(EthernetAd::ROUTE_TYPE..=EvpnPrefix::ROUTE_TYPE).contains(&route_type) {
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
    let tag = |text: &str| text.parse().ok().map(EthernetTag);
    Some(match (route_type, &fields[..]) {
        (EthernetAd::ROUTE_TYPE, [number, esi]) => EvpnNlri::EthernetAd(EthernetAd {
            rd,
            esi: esi.parse().ok()?,
            tag: tag(number)?,
        }),
        (MacIp::ROUTE_TYPE, [number, "48", mac, ip @ ..]) => EvpnNlri::MacIp(MacIp {
            rd,
            tag: tag(number)?,
            mac: mac.parse().ok()?,
            ip: match ip {
                [] => None,
                [bits, ip] => Some(parse_ip(bits, ip)?),
                _ => return None,
            },
        }),
        (InclusiveMulticast::ROUTE_TYPE, [number, bits, ip]) => {
            EvpnNlri::InclusiveMulticast(InclusiveMulticast {
                rd,
                tag: tag(number)?,
                originator: parse_ip(bits, ip)?,
            })
        }
        (EthernetSegment::ROUTE_TYPE, [esi, bits, ip]) => {
            EvpnNlri::EthernetSegment(EthernetSegment {
                rd,
                esi: esi.parse().ok()?,
                originator: parse_ip(bits, ip)?,
            })
        }
        (EvpnPrefix::ROUTE_TYPE, [number, len, addr]) => {
            let addr: IpAddr = addr.parse().ok()?;
            let prefix = Prefix::new(addr, len.parse().ok()?)?;
            EvpnNlri::IpPrefix(EvpnPrefix {
                rd,
                tag: tag(number)?,
                prefix: Some(prefix).filter(|prefix| prefix.addr() == addr)?,
            })
        }
        _ => return None,
    })
}

fn parse_ip(length: &str, ip: &str) -> Option<IpAddr> {
    let ip: IpAddr = ip.parse().ok()?;
    (length.parse() == Ok(bits(&ip))).then_some(ip)
}

serde_as_text!(Nlri);
