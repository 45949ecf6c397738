//! What is to be done with the packets that a FlowSpec route matches (RFC 8955 section 7).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use chanter_types::{ParseError, RouteTarget};

use crate::text::serde_as_text;

/// A FlowSpec action, carried as an extended community.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FlowAction {
    /// traffic-rate-bytes: at most so many octets a second; none discards all.
    RateBytes {
        /// Informative: the AS that asks for it.
        asn: u16,
        /// Octets a second.
        rate: f32,
    },
    /// traffic-rate-packets: at most so many packets a second.
    RatePackets {
        /// Informative: the AS that asks for it.
        asn: u16,
        /// Packets a second.
        rate: f32,
    },
    /// traffic-action.
    Action {
        /// Sample and log the packets.
        sample: bool,
        /// Later FlowSpec routes are evaluated also.
        terminal: bool,
    },
    /// rt-redirect: into the VRF that imports the route target.
    Redirect(RouteTarget),
    /// traffic-marking: set this DSCP.
    Marking(u8),
    /// To an address (draft-ietf-idr-flowspec-redirect-ip).
    RedirectToIp {
        /// The address.
        addr: Ipv4Addr,
        /// A copy goes there, the packet goes on.
        copy: bool,
    },
    /// To the next hop of the FlowSpec route (draft-simpson-idr-flowspec-redirect).
    RedirectToNextHop {
        /// A copy goes there, the packet goes on.
        copy: bool,
    },
}

impl FlowAction {
    /// Rate zero: no packet passes.
    pub const DISCARD: Self = Self::RateBytes { asn: 0, rate: 0.0 };

    pub(super) fn octets(self) -> [u8; 8] {
        match self {
            Self::RateBytes { asn, rate } => rate_octets(0x06, asn, rate),
            Self::RatePackets { asn, rate } => rate_octets(0x0c, asn, rate),
            Self::Action { sample, terminal } => {
                let flags = u8::from(sample) << 1 | u8::from(terminal);
                [0x80, 0x07, 0, 0, 0, 0, 0, flags]
            }
            Self::Redirect(rt) => {
                let [kind, _, a, b, c, d, e, f] = rt.octets();
                [0x80 | kind, 0x08, a, b, c, d, e, f]
            }
            Self::Marking(dscp) => [0x80, 0x09, 0, 0, 0, 0, 0, dscp & 0x3f],
            Self::RedirectToIp { addr, copy } => {
                let [a, b, c, d] = addr.octets();
                [0x01, 0x0c, a, b, c, d, 0, u8::from(copy)]
            }
            Self::RedirectToNextHop { copy } => [0x08, 0x00, 0, 0, 0, 0, 0, u8::from(copy)],
        }
    }

    /// The action in an extended community; reserved bits are ignored.
    pub(super) fn from_octets(octets: [u8; 8]) -> Option<Self> {
        Some(match octets {
            [0x80, kind @ (0x06 | 0x0c), a, b, rate @ ..] => {
                let asn = u16::from_be_bytes([a, b]);
                // RFC 8955 section 7.1: a negative rate is zero. So is what is no number.
                let rate = f32::from_be_bytes(rate);
                let rate = if rate > 0.0 { rate } else { 0.0 };
                match kind {
                    0x06 => Self::RateBytes { asn, rate },
                    _ => Self::RatePackets { asn, rate },
                }
            }
            [0x80, 0x07, .., flags] => Self::Action {
                sample: flags & 2 != 0,
                terminal: flags & 1 != 0,
            },
            [kind @ 0x80..=0x82, 0x08, a, b, c, d, e, f] => {
                let target = [kind & 0x7f, 0x02, a, b, c, d, e, f];
                Self::Redirect(RouteTarget::from_extended_community(target)?)
            }
            [0x80, 0x09, .., dscp] => Self::Marking(dscp & 0x3f),
            [0x01, 0x0c, a, b, c, d, _, flags] => Self::RedirectToIp {
                addr: Ipv4Addr::new(a, b, c, d),
                copy: flags & 1 != 0,
            },
            [0x08, 0x00, .., flags] => Self::RedirectToNextHop {
                copy: flags & 1 != 0,
            },
            _ => return None,
        })
    }
}

fn rate_octets(sub_type: u8, asn: u16, rate: f32) -> [u8; 8] {
    let ([a, b], [c, d, e, f]) = (asn.to_be_bytes(), rate.to_be_bytes());
    [0x80, sub_type, a, b, c, d, e, f]
}

impl fmt::Display for FlowAction {
    /// `discard`, `traffic-rate-bytes:64512:1000`, `traffic-action:sample-terminal`,
    /// `redirect:64512:1`, `traffic-marking:46`, `redirect-to-ip:192.0.2.1:copy`, ...
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |copy| if copy { ":copy" } else { "" };
        match *self {
            Self::DISCARD => f.write_str("discard"),
            Self::RateBytes { asn, rate } => write!(f, "traffic-rate-bytes:{asn}:{rate}"),
            Self::RatePackets { asn, rate } => write!(f, "traffic-rate-packets:{asn}:{rate}"),
            Self::Action { sample, terminal } => write!(
                f,
                "traffic-action:{}",
                match (sample, terminal) {
                    (true, true) => "sample-terminal",
                    (true, false) => "sample",
                    (false, true) => "terminal",
                    (false, false) => "none",
                }
            ),
            Self::Redirect(rt) => write!(f, "redirect:{rt}"),
            Self::Marking(dscp) => write!(f, "traffic-marking:{dscp}"),
            Self::RedirectToIp { addr, copy } => write!(f, "redirect-to-ip:{addr}{}", mark(copy)),
            Self::RedirectToNextHop { copy } => write!(f, "redirect-to-nexthop{}", mark(copy)),
        }
    }
}

impl FromStr for FlowAction {
    type Err = ParseError;

    /// Reads what `Display` prints.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new(
                text,
                "a FlowSpec action",
                "discard, traffic-rate-bytes:AS:RATE, traffic-rate-packets:AS:RATE, \
                 traffic-action:sample (or terminal, sample-terminal, none), redirect:RT, \
                 traffic-marking:DSCP, redirect-to-ip:IPV4 or redirect-to-nexthop, the last two \
                 also with :copy",
            )
        })
    }
}

serde_as_text!(FlowAction);

pub(super) fn parse(text: &str) -> Option<FlowAction> {
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    Some(match (kind, value) {
        ("discard", "") => FlowAction::DISCARD,
        ("redirect-to-nexthop", "") => FlowAction::RedirectToNextHop { copy: false },
        ("redirect-to-nexthop", "copy") => FlowAction::RedirectToNextHop { copy: true },
        ("traffic-rate-bytes", value) => {
            let (asn, rate) = parse_rate(value)?;
            FlowAction::RateBytes { asn, rate }
        }
        ("traffic-rate-packets", value) => {
            let (asn, rate) = parse_rate(value)?;
            FlowAction::RatePackets { asn, rate }
        }
        ("traffic-action", flags) => {
            let (sample, terminal) = match flags {
                "sample-terminal" => (true, true),
                "sample" => (true, false),
                "terminal" => (false, true),
                "none" => (false, false),
                _ => return None,
            };
            FlowAction::Action { sample, terminal }
        }
        ("redirect", rt) => FlowAction::Redirect(super::text::administered(rt)?),
        ("traffic-marking", dscp) => {
            let dscp = dscp.parse().ok().filter(|dscp| *dscp < 64)?;
            FlowAction::Marking(dscp)
        }
        ("redirect-to-ip", value) => {
            let (addr, copy) = match value.strip_suffix(":copy") {
                Some(addr) => (addr, true),
                None => (value, false),
            };
            let addr = addr.parse().ok()?;
            FlowAction::RedirectToIp { addr, copy }
        }
        _ => return None,
    })
}

/// `AS:RATE`; the rate is a number that is not negative.
pub(super) fn parse_rate(text: &str) -> Option<(u16, f32)> {
    let (asn, rate) = text.split_once(':')?;
    let digits = |octet: u8| octet.is_ascii_digit() || octet == b'.';
    let rate = rate.bytes().all(digits).then_some(rate)?;
    let rate = rate.parse().ok().filter(|rate: &f32| rate.is_finite())?;
    Some((asn.parse().ok()?, rate))
}
