//! FlowSpec NLRI as text: the words of ExaBGP, in the braces of BIRD.
//!
//! ```text
//! flow4 { destination 10.0.0.0/24; protocol =tcp; destination-port =80|>=1024&<=2048 }
//! flow4 { source 10.0.0.0/8; tcp-flags =syn&!ack; fragment is-fragment } rd 64512:1
//! flow6 { destination ::5:0:0:0/80 offset 16; flow-label =74565 }
//! ```
//!
//! A test of a number is `=`, `!=`, `<`, `<=`, `>`, `>=` and the number, or `true`, or `false`. A test
//! of flags is their names joined by `+`: one of them is set; with `=` before them, all of them; with
//! `!` before that, not so. `&` binds tests that must hold together, `|` alternatives. A value in
//! hexadecimal has as many octets as it has pairs of digits.

use std::fmt;
use std::str::FromStr;

use chanter_types::{ParseError, Prefix};

use super::component::{fragment, octets_of, tcp_flags};
use super::{
    BitmaskMatch, FlowSpecComponent, FlowSpecNlri, FlowSpecPrefix, FlowSpecType, NumericMatch,
};
use crate::family::Family;
use crate::text::serde_as_text;

impl fmt::Display for FlowSpecType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Destination => "destination",
            Self::Source => "source",
            Self::Protocol => "protocol",
            Self::Port => "port",
            Self::DestinationPort => "destination-port",
            Self::SourcePort => "source-port",
            Self::IcmpType => "icmp-type",
            Self::IcmpCode => "icmp-code",
            Self::TcpFlags => "tcp-flags",
            Self::PacketLength => "packet-length",
            Self::Dscp => "dscp",
            Self::Fragment => "fragment",
            Self::FlowLabel => "flow-label",
        })
    }
}

impl FlowSpecType {
    /// The type of that name; `next-header` is the protocol of IPv6.
    fn from_name(name: &str) -> Option<Self> {
        if name == "next-header" {
            return Some(Self::Protocol);
        }
        Self::ALL.into_iter().find(|kind| kind.to_string() == name)
    }

    /// Names of values.
    fn names(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Protocol => &PROTOCOLS,
            Self::TcpFlags => &TCP_FLAGS,
            Self::Fragment => &FRAGMENTS,
            _ => &[],
        }
    }
}

const PROTOCOLS: [(&str, u64); 9] = [
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("sctp", 132),
];

const TCP_FLAGS: [(&str, u64); 8] = [
    ("fin", tcp_flags::FIN),
    ("syn", tcp_flags::SYN),
    ("rst", tcp_flags::RST),
    ("psh", tcp_flags::PSH),
    ("ack", tcp_flags::ACK),
    ("urg", tcp_flags::URG),
    ("ece", tcp_flags::ECE),
    ("cwr", tcp_flags::CWR),
];

const FRAGMENTS: [(&str, u64); 4] = [
    ("dont-fragment", fragment::DONT_FRAGMENT),
    ("is-fragment", fragment::IS_FRAGMENT),
    ("first-fragment", fragment::FIRST_FRAGMENT),
    ("last-fragment", fragment::LAST_FRAGMENT),
];

impl fmt::Display for FlowSpecNlri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_v6 = self.family.afi == Family::IPV6_FLOWSPEC.afi;
        f.write_str(if is_v6 { "flow6 {" } else { "flow4 {" })?;
        for (place, component) in self.components().enumerate() {
            f.write_str(if place == 0 { " " } else { "; " })?;
            component.fmt(f)?;
        }
        f.write_str(" }")?;
        match self.rd {
            Some(rd) => write!(f, " rd {rd}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for FlowSpecComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        write!(f, "{kind} ")?;
        match self {
            Self::Destination(FlowSpecPrefix { prefix, offset })
            | Self::Source(FlowSpecPrefix { prefix, offset }) => match offset {
                0 => write!(f, "{prefix}"),
                offset => write!(f, "{prefix} offset {offset}"),
            },
            Self::Numeric(_, tests) => tests.iter().enumerate().try_for_each(|(place, test)| {
                write_joint(f, place, test.and)?;
                write_number(f, kind, test)
            }),
            Self::Bitmask(_, tests) => tests.iter().enumerate().try_for_each(|(place, test)| {
                write_joint(f, place, test.and)?;
                f.write_str(if test.not { "!" } else { "" })?;
                f.write_str(if test.all { "=" } else { "" })?;
                write_flags(f, kind, test)
            }),
        }
    }
}

fn write_joint(f: &mut fmt::Formatter<'_>, place: usize, and: bool) -> fmt::Result {
    match (place, and) {
        (0, _) => Ok(()),
        (_, true) => f.write_str("&"),
        (_, false) => f.write_str("|"),
    }
}

fn write_number(
    f: &mut fmt::Formatter<'_>,
    kind: FlowSpecType,
    test: &NumericMatch,
) -> fmt::Result {
    f.write_str(match (test.less, test.greater, test.equal) {
        (false, false, false) => "false",
        (true, true, true) => "true",
        (false, false, true) => "=",
        (true, true, false) => "!=",
        (true, false, false) => "<",
        (true, false, true) => "<=",
        (false, true, false) => ">",
        (false, true, true) => ">=",
    })?;
    let is_usual = test.octets == usual_octets(kind, test.value);
    if test.less == test.greater && test.less == test.equal && test.value == 0 && is_usual {
        return Ok(());
    }
    let name = kind
        .names()
        .iter()
        .find(|(_, value)| is_usual && test.equal && !test.less && *value == test.value);
    match name {
        Some((name, _)) if !test.greater => f.write_str(name),
        _ if is_usual => write!(f, "{}", test.value),
        _ => write_hex(f, test.value, test.octets),
    }
}

fn write_flags(f: &mut fmt::Formatter<'_>, kind: FlowSpecType, test: &BitmaskMatch) -> fmt::Result {
    let names = kind.names();
    let known = names.iter().fold(0, |known, (_, value)| known | value);
    if test.value == 0 || test.value & !known != 0 || test.octets != 1 {
        return write_hex(f, test.value, test.octets);
    }
    let set = names.iter().filter(|(_, value)| test.value & value != 0);
    for (place, (name, _)) in set.enumerate() {
        f.write_str(if place == 0 { "" } else { "+" })?;
        f.write_str(name)?;
    }
    Ok(())
}

fn write_hex(f: &mut fmt::Formatter<'_>, value: u64, octets: u8) -> fmt::Result {
    write!(f, "0x{value:0width$x}", width = 2 * usize::from(octets))
}

/// In how many octets a value is sent, if nobody says otherwise.
fn usual_octets(kind: FlowSpecType, value: u64) -> u8 {
    octets_of(value).max(kind.octets_min())
}

impl FromStr for FlowSpecNlri {
    type Err = ParseError;

    /// Reads what `Display` prints; components in any order.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new(
                text,
                "a FlowSpec NLRI",
                "`flow4 { destination 10.0.0.0/24; protocol =tcp; port =80|>=1024&<=2048 }`, or \
                 `flow6`, and `rd RD` behind it in a VPN",
            )
        })
    }
}

fn parse(text: &str) -> Option<FlowSpecNlri> {
    let (head, rest) = text.split_once('{')?;
    let (body, tail) = rest.split_once('}')?;
    let rd = match tail.trim() {
        "" => None,
        rd => Some(rd.strip_prefix("rd ")?.trim().parse().ok()?),
    };
    let family = match (head.trim(), rd) {
        ("flow4", None) => Family::IPV4_FLOWSPEC,
        ("flow6", None) => Family::IPV6_FLOWSPEC,
        ("flow4", Some(_)) => Family::IPV4_FLOWSPEC_VPN,
        ("flow6", Some(_)) => Family::IPV6_FLOWSPEC_VPN,
        _ => return None,
    };
    let components: Option<Vec<FlowSpecComponent>> = body
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(parse_component)
        .collect();
    FlowSpecNlri::new(family, rd, &components?).ok()
}

fn parse_component(text: &str) -> Option<FlowSpecComponent> {
    let (name, value) = text.split_once(' ')?;
    let kind = FlowSpecType::from_name(name)?;
    let value = value.trim();
    Some(match kind {
        FlowSpecType::Destination => FlowSpecComponent::Destination(parse_prefix(value)?),
        FlowSpecType::Source => FlowSpecComponent::Source(parse_prefix(value)?),
        _ if kind.is_bitmask() => {
            let tests = parse_tests(value, |and, text| parse_flags(kind, and, text))?;
            FlowSpecComponent::Bitmask(kind, tests)
        }
        _ => {
            let tests = parse_tests(value, |and, text| parse_number(kind, and, text))?;
            FlowSpecComponent::Numeric(kind, tests)
        }
    })
}

fn parse_prefix(text: &str) -> Option<FlowSpecPrefix> {
    let (prefix, offset) = match text.split_once(" offset ") {
        Some((prefix, offset)) => (prefix, offset.trim().parse().ok()?),
        None => (text, 0),
    };
    FlowSpecPrefix::new(prefix.trim().parse::<Prefix>().ok()?, offset)
}

fn parse_tests<T>(text: &str, parse: impl Fn(bool, &str) -> Option<T>) -> Option<Vec<T>> {
    let mut tests = Vec::new();
    for alternative in text.split('|') {
        for (place, test) in alternative.split('&').enumerate() {
            tests.push(parse(place > 0, test.trim())?);
        }
    }
    Some(tests)
}

fn parse_number(kind: FlowSpecType, and: bool, text: &str) -> Option<NumericMatch> {
    const OPERATORS: [(&str, [bool; 3]); 8] = [
        ("true", [true, true, true]),
        ("false", [false, false, false]),
        ("!=", [true, true, false]),
        ("<=", [true, false, true]),
        (">=", [false, true, true]),
        ("<", [true, false, false]),
        (">", [false, true, false]),
        ("=", [false, false, true]),
    ];
    let (rest, [less, greater, equal]) = OPERATORS.into_iter().find_map(|(name, operator)| {
        let rest = text.strip_prefix(name)?;
        Some((rest.trim_start(), operator))
    })?;
    let (value, octets) = match rest {
        "" if less == greater && less == equal => (0, kind.octets_min()),
        _ => parse_value(kind, rest)?,
    };
    Some(NumericMatch {
        and,
        less,
        greater,
        equal,
        value,
        octets,
    })
}

fn parse_flags(kind: FlowSpecType, and: bool, text: &str) -> Option<BitmaskMatch> {
    let (not, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let (all, text) = match text.strip_prefix('=') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let (mut value, mut octets) = (0, 1);
    for part in text.split('+') {
        let (bits, needed) = parse_value(kind, part.trim())?;
        value |= bits;
        octets = octets.max(needed);
    }
    Some(BitmaskMatch {
        and,
        not,
        all,
        value,
        octets,
    })
}

/// A value and its octets, which digits in hexadecimal tell.
fn parse_value(kind: FlowSpecType, text: &str) -> Option<(u64, u8)> {
    if let Some((_, value)) = kind.names().iter().find(|(name, _)| *name == text) {
        return Some((*value, usual_octets(kind, *value)));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        let is_right = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u64::from_str_radix(digits, 16).ok().filter(|_| is_right)?;
        let octets = u8::try_from(digits.len().div_ceil(2)).ok()?;
        return Some((value, octets.next_power_of_two()));
    }
    let is_right = text.bytes().all(|digit| digit.is_ascii_digit());
    let value = text.parse().ok().filter(|_| is_right)?;
    Some((value, usual_octets(kind, value)))
}

serde_as_text!(FlowSpecNlri);
