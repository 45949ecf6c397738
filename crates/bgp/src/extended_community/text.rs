//! Extended communities as text.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use chanter_types::{ParseError, RouteTarget};

use super::{ExtendedCommunity, encapsulation, flow_action};
use crate::text::{Hex, parse_hex, serde_as_text};

/// Sub-types whose value is an administrator (a two-octet AS, an IPv4 address or a four-octet AS)
/// and its number.
const ADMINISTERED: [(u8, &str); 6] = [
    (0x02, "target"),
    (0x03, "origin"),
    (0x05, "ospf-domain-id"),
    (0x09, "source-as"),
    (0x0b, "vrf-route-import"),
    (0x13, "rt-record"),
];

impl fmt::Display for ExtendedCommunity {
    /// In the field's words where every octet is told by them, else `0x` and 16 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let administered = ADMINISTERED
            .iter()
            .find_map(|(sub_type, name)| Some((name, self.as_administered(*sub_type)?)));
        if let Some((name, value)) = administered {
            return write!(f, "{name}:{value}");
        }
        // Reserved octets that are not zero, and numbers that are none, have no words.
        match Words::of(*self).filter(|words| words.community() == Some(*self)) {
            Some(words) => words.fmt(f),
            None => write!(f, "0x{}", Hex(&self.0)),
        }
    }
}

/// What a community says.
enum Words {
    Encapsulation(u16),
    Color {
        co: u8,
        color: u32,
    },
    DefaultGateway,
    HashOrder(u32),
    OspfRouteType(Ipv4Addr, u8, u8),
    OspfRouterId(Ipv4Addr),
    MacMobility {
        sticky: bool,
        sequence: u32,
    },
    EsiLabel {
        single_active: bool,
        label: u32,
    },
    EsImport(chanter_types::MacAddr),
    RouterMac(chanter_types::MacAddr),
    LinkBandwidth {
        transitive: bool,
        asn: u16,
        rate: f32,
    },
    Flow(super::FlowAction),
}

impl Words {
    fn of(community: ExtendedCommunity) -> Option<Self> {
        Some(match community.0 {
            [0x03, 0x0c, ..] => Self::Encapsulation(community.as_encapsulation()?),
            [0x03, 0x0b, flags, ..] => Self::Color {
                co: flags >> 6,
                color: community.as_color()?,
            },
            [0x03, 0x0d, ..] => Self::DefaultGateway,
            [0x03, 0x14, ..] => Self::HashOrder(community.as_hash_order()?),
            [0x03, 0x06, ..] => {
                let (area, route_type, options) = community.as_ospf_route_type()?;
                Self::OspfRouteType(area, route_type, options)
            }
            [0x01, 0x07, a, b, c, d, ..] => Self::OspfRouterId(Ipv4Addr::new(a, b, c, d)),
            [0x06, 0x00, ..] => {
                let (sticky, sequence) = community.as_mac_mobility()?;
                Self::MacMobility { sticky, sequence }
            }
            [0x06, 0x01, ..] => {
                let (single_active, label) = community.as_esi_label()?;
                Self::EsiLabel {
                    single_active,
                    label,
                }
            }
            [0x06, 0x02, ..] => Self::EsImport(community.as_es_import()?),
            [0x06, 0x03, ..] => Self::RouterMac(community.as_router_mac()?),
            [0x00 | 0x40, 0x04, ..] => {
                let (asn, rate) = community.as_link_bandwidth()?;
                Self::LinkBandwidth {
                    transitive: community.is_transitive(),
                    asn,
                    rate,
                }
            }
            _ => Self::Flow(community.as_flow_action()?),
        })
    }

    /// The community that these words make.
    fn community(&self) -> Option<ExtendedCommunity> {
        Some(match *self {
            Self::Encapsulation(tunnel_type) => ExtendedCommunity::encapsulation(tunnel_type),
            Self::Color { co, color } => {
                let ExtendedCommunity([a, b, _, rest @ ..]) = ExtendedCommunity::color(color);
                let [c, d, e, f, g] = rest;
                ExtendedCommunity([a, b, co << 6, c, d, e, f, g])
            }
            Self::DefaultGateway => ExtendedCommunity::DEFAULT_GATEWAY,
            Self::HashOrder(order) => ExtendedCommunity::hash_order(order),
            Self::OspfRouteType(area, route_type, options) => {
                ExtendedCommunity::ospf_route_type(area, route_type, options)
            }
            Self::OspfRouterId(router_id) => {
                let [a, b, c, d] = router_id.octets();
                ExtendedCommunity([0x01, 0x07, a, b, c, d, 0, 0])
            }
            Self::MacMobility { sticky, sequence } => {
                ExtendedCommunity::mac_mobility(sticky, sequence)
            }
            Self::EsiLabel {
                single_active,
                label,
            } => ExtendedCommunity::esi_label(single_active, label),
            Self::EsImport(mac) => ExtendedCommunity::es_import(mac),
            Self::RouterMac(mac) => ExtendedCommunity::router_mac(mac),
            Self::LinkBandwidth {
                transitive,
                asn,
                rate,
            } if is_plain(rate) => {
                let ExtendedCommunity([_, rest @ ..]) =
                    ExtendedCommunity::link_bandwidth(asn, rate);
                let [b, c, d, e, f, g, h] = rest;
                let kind = if transitive { 0x00 } else { 0x40 };
                ExtendedCommunity([kind, b, c, d, e, f, g, h])
            }
            Self::LinkBandwidth { .. } => return None,
            Self::Flow(
                super::FlowAction::RateBytes { rate, .. }
                | super::FlowAction::RatePackets { rate, .. },
            ) if !is_plain(rate) => return None,
            Self::Flow(action) => action.into(),
        })
    }
}

/// Whether the rate can be told in digits.
fn is_plain(rate: f32) -> bool {
    rate.is_finite() && rate.is_sign_positive()
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encapsulation(number) => write!(f, "encap:{}", encapsulation::text(*number)),
            Self::Color { co: 0, color } => write!(f, "color:{color}"),
            Self::Color { co, color } => write!(f, "color:{co:02b}:{color}"),
            Self::DefaultGateway => f.write_str("default-gateway"),
            Self::HashOrder(order) => write!(f, "hash-order:{order}"),
            Self::OspfRouteType(area, route_type, options) => {
                write!(f, "ospf-route-type:{area}:{route_type}:{options}")
            }
            Self::OspfRouterId(router_id) => write!(f, "ospf-router-id:{router_id}"),
            Self::MacMobility { sticky, sequence } => {
                let mark = if *sticky { ":sticky" } else { "" };
                write!(f, "mac-mobility:{sequence}{mark}")
            }
            Self::EsiLabel {
                single_active,
                label,
            } => {
                let mark = if *single_active { ":single-active" } else { "" };
                write!(f, "esi-label:{label}{mark}")
            }
            Self::EsImport(mac) => write!(f, "es-import:{mac}"),
            Self::RouterMac(mac) => write!(f, "router-mac:{mac}"),
            Self::LinkBandwidth {
                transitive,
                asn,
                rate,
            } => {
                let mark = if *transitive { ":transitive" } else { "" };
                write!(f, "link-bandwidth:{asn}:{rate}{mark}")
            }
            Self::Flow(action) => action.fmt(f),
        }
    }
}

impl FromStr for ExtendedCommunity {
    type Err = ParseError;

    /// Reads what `Display` prints, and `soo:` for `origin:`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new(
                text,
                "an extended community",
                "such as target:64512:1, origin:64512:1, encap:vxlan, color:100, \
                 mac-mobility:3:sticky, esi-label:1000, es-import:MAC, router-mac:MAC, \
                 default-gateway, link-bandwidth:64512:125000000, a FlowSpec action such as \
                 redirect:64512:1, traffic-rate-bytes:64512:0 or traffic-marking:46, or 0x with 16 \
                 hexadecimal digits",
            )
        })
    }
}

fn parse(text: &str) -> Option<ExtendedCommunity> {
    if text == "default-gateway" {
        return Some(ExtendedCommunity::DEFAULT_GATEWAY);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return Some(ExtendedCommunity(parse_hex(digits)?.try_into().ok()?));
    }
    if let Some(action) = flow_action::parse(text) {
        return Some(action.into());
    }
    let (kind, value) = text.split_once(':')?;
    let kind = if kind == "soo" { "origin" } else { kind };
    if let Some((sub_type, _)) = ADMINISTERED.iter().find(|(_, name)| *name == kind) {
        return Some(ExtendedCommunity::administered(
            *sub_type,
            administered(value)?,
        ));
    }
    parse_words(kind, value)?.community()
}

fn parse_words(kind: &str, value: &str) -> Option<Words> {
    let marked = |mark: &str| match value.strip_suffix(mark) {
        Some(value) => (value, true),
        None => (value, false),
    };
    Some(match kind {
        "encap" => Words::Encapsulation(encapsulation::parse(value)?),
        "color" => {
            let (co, color) = value.split_once(':').unwrap_or(("00", value));
            let co = u8::from_str_radix(co, 2).ok().filter(|_| co.len() == 2)?;
            let color = color.parse().ok()?;
            Words::Color { co, color }
        }
        "hash-order" => Words::HashOrder(value.parse().ok()?),
        "ospf-router-id" => Words::OspfRouterId(value.parse().ok()?),
        "ospf-route-type" => {
            let mut parts = value.split(':');
            let area = parts.next()?.parse().ok()?;
            let (route_type, options) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next().is_none().then_some(())?;
            Words::OspfRouteType(area, route_type, options)
        }
        "mac-mobility" => {
            let (sequence, sticky) = marked(":sticky");
            let sequence = sequence.parse().ok()?;
            Words::MacMobility { sticky, sequence }
        }
        "esi-label" => {
            let (label, single_active) = marked(":single-active");
            let label = label.parse().ok().filter(|label: &u32| label >> 24 == 0)?;
            Words::EsiLabel {
                single_active,
                label,
            }
        }
        "es-import" => Words::EsImport(value.parse().ok()?),
        "router-mac" => Words::RouterMac(value.parse().ok()?),
        "link-bandwidth" => {
            let (value, transitive) = marked(":transitive");
            let (asn, rate) = flow_action::parse_rate(value)?;
            Words::LinkBandwidth {
                transitive,
                asn,
                rate,
            }
        }
        _ => return None,
    })
}

/// An administrator and its number, in the form of a route target.
pub(super) fn administered(text: &str) -> Option<RouteTarget> {
    let plain = !text.starts_with("target:");
    plain.then(|| text.parse().ok()).flatten()
}

serde_as_text!(ExtendedCommunity);

#[cfg(test)]
mod tests;
