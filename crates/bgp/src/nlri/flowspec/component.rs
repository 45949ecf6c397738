//! What a FlowSpec NLRI is made of (RFC 8955 section 4.2.2, RFC 8956 section 3).

use chanter_types::Prefix;

use super::FlowSpecError;
use crate::family::Family;

/// The type of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowSpecType {
    /// The destination address.
    Destination,
    /// The source address.
    Source,
    /// The IP protocol; the upper-layer protocol in IPv6.
    Protocol,
    /// The source or the destination port.
    Port,
    /// The destination port.
    DestinationPort,
    /// The source port.
    SourcePort,
    /// The type of an ICMP or ICMPv6 message.
    IcmpType,
    /// The code of an ICMP or ICMPv6 message.
    IcmpCode,
    /// The flags of TCP.
    TcpFlags,
    /// The total length, IP header included but for what is below it.
    PacketLength,
    /// The differentiated services code point.
    Dscp,
    /// Fragmentation.
    Fragment,
    /// The flow label, in IPv6.
    FlowLabel,
}

impl FlowSpecType {
    /// All, in ascending order of number.
    pub const ALL: [FlowSpecType; 13] = [
        Self::Destination,
        Self::Source,
        Self::Protocol,
        Self::Port,
        Self::DestinationPort,
        Self::SourcePort,
        Self::IcmpType,
        Self::IcmpCode,
        Self::TcpFlags,
        Self::PacketLength,
        Self::Dscp,
        Self::Fragment,
        Self::FlowLabel,
    ];

    /// The type with this number in NLRI of the family.
    pub fn from_code(code: u8, family: Family) -> Option<Self> {
        let kind = *Self::ALL.get(usize::from(code.checked_sub(1)?))?;
        (kind != Self::FlowLabel || family.afi == Family::IPV6_FLOWSPEC.afi).then_some(kind)
    }

    /// The number.
    pub fn code(self) -> u8 {
        self as u8 + 1
    }

    /// Whether values are compared bit by bit (RFC 8955 section 4.2.1.2).
    pub fn is_bitmask(self) -> bool {
        matches!(self, Self::TcpFlags | Self::Fragment)
    }

    /// The most octets that a value may have (RFC 8955 sections 4.2.2.9, 4.2.2.11, 4.2.2.12).
    pub(super) fn octets_max(self) -> u8 {
        match self {
            Self::TcpFlags => 2,
            Self::Dscp | Self::Fragment => 1,
            _ => 8,
        }
    }

    /// The least octets with which we write a value (RFC 8956 section 3.7).
    pub(super) fn octets_min(self) -> u8 {
        match self {
            Self::FlowLabel => 4,
            _ => 1,
        }
    }
}

/// A component: what a packet has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowSpecComponent {
    /// The destination address lies within.
    Destination(FlowSpecPrefix),
    /// The source address lies within.
    Source(FlowSpecPrefix),
    /// A number of one of the other types passes the tests.
    Numeric(FlowSpecType, Vec<NumericMatch>),
    /// Flags of [`FlowSpecType::TcpFlags`] or [`FlowSpecType::Fragment`] pass the tests.
    Bitmask(FlowSpecType, Vec<BitmaskMatch>),
}

impl FlowSpecComponent {
    /// The type.
    pub fn kind(&self) -> FlowSpecType {
        match self {
            Self::Destination(_) => FlowSpecType::Destination,
            Self::Source(_) => FlowSpecType::Source,
            Self::Numeric(kind, _) | Self::Bitmask(kind, _) => *kind,
        }
    }

    /// Appends type and value.
    pub(super) fn encode(&self, family: Family, out: &mut Vec<u8>) -> Result<(), FlowSpecError> {
        let kind = self.kind();
        out.push(kind.code());
        let matches: Vec<(u8, u64, u8)> = match self {
            Self::Destination(prefix) | Self::Source(prefix) => return prefix.encode(family, out),
            Self::Numeric(_, tests) => tests.iter().map(NumericMatch::raw).collect(),
            Self::Bitmask(_, tests) => tests.iter().map(BitmaskMatch::raw).collect(),
        };
        let is_right = match self {
            Self::Bitmask(..) => kind.is_bitmask(),
            _ => !kind.is_bitmask() && kind > FlowSpecType::Source,
        };
        if !is_right || matches.is_empty() {
            let message = format!("no values, or the wrong kind of values, for {kind}");
            return Err(FlowSpecError(message));
        }
        let last = matches.len() - 1;
        for (place, (operator, value, octets)) in matches.into_iter().enumerate() {
            let wanted = if octets == 0 {
                kind.octets_min()
            } else {
                octets
            };
            let octets = wanted.max(octets_of(value)).next_power_of_two().min(8);
            let end = if place == last { END } else { 0 };
            let exponent = octets.trailing_zeros() as u8;
            out.push(operator | end | exponent << 4);
            out.extend(&value.to_be_bytes()[8 - usize::from(octets)..]);
        }
        Ok(())
    }
}

/// The operator octet (RFC 8955 sections 4.2.1.1 and 4.2.1.2).
pub(super) const END: u8 = 0x80;
pub(super) const AND: u8 = 0x40;
pub(super) const LESS: u8 = 0x04;
pub(super) const GREATER: u8 = 0x02;
pub(super) const EQUAL: u8 = 0x01;
pub(super) const NOT: u8 = 0x02;
pub(super) const ALL_BITS: u8 = 0x01;

/// The least octets of 1, 2, 4 and 8 that hold the value.
pub(super) fn octets_of(value: u64) -> u8 {
    match value {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// A test of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericMatch {
    /// Whether the test before has to be passed too; else this is an alternative to it. Means
    /// nothing in the first test.
    pub and: bool,
    /// Whether a number below the value passes.
    pub less: bool,
    /// Whether a number above it does.
    pub greater: bool,
    /// Whether the value itself does.
    pub equal: bool,
    /// The value.
    pub value: u64,
    /// In how many octets the value is sent: 1, 2, 4 or 8, more if it does not fit; 0: in as few as
    /// value and type want.
    pub octets: u8,
}

impl NumericMatch {
    /// The number is `value`; an alternative to the test before.
    pub fn equal(value: u64) -> Self {
        Self {
            and: false,
            less: false,
            greater: false,
            equal: true,
            value,
            octets: 0,
        }
    }

    /// The number is in a range, both ends included.
    pub fn range(low: u64, high: u64) -> [Self; 2] {
        let from = Self {
            greater: true,
            ..Self::equal(low)
        };
        let to = Self {
            and: true,
            less: true,
            ..Self::equal(high)
        };
        [from, to]
    }

    fn raw(&self) -> (u8, u64, u8) {
        let operator = flag(self.and, AND)
            | flag(self.less, LESS)
            | flag(self.greater, GREATER)
            | flag(self.equal, EQUAL);
        (operator, self.value, self.octets)
    }

    pub(super) fn from_raw(operator: u8, value: u64, octets: u8) -> Self {
        Self {
            and: operator & AND != 0,
            less: operator & LESS != 0,
            greater: operator & GREATER != 0,
            equal: operator & EQUAL != 0,
            value,
            octets,
        }
    }
}

/// A test of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitmaskMatch {
    /// Whether the test before has to be passed too; else this is an alternative to it. Means
    /// nothing in the first test.
    pub and: bool,
    /// Whether the outcome is inverted.
    pub not: bool,
    /// Whether all bits of the value have to be set; else one is enough.
    pub all: bool,
    /// The flags.
    pub value: u64,
    /// In how many octets the value is sent, more if it does not fit; 0: in as few as it wants.
    pub octets: u8,
}

impl BitmaskMatch {
    /// All these flags are set; an alternative to the test before.
    pub fn all(value: u64) -> Self {
        Self {
            and: false,
            not: false,
            all: true,
            value,
            octets: 0,
        }
    }

    /// One of these flags is set; an alternative to the test before.
    pub fn any(value: u64) -> Self {
        Self {
            all: false,
            ..Self::all(value)
        }
    }

    fn raw(&self) -> (u8, u64, u8) {
        let operator = flag(self.and, AND) | flag(self.not, NOT) | flag(self.all, ALL_BITS);
        (operator, self.value, self.octets)
    }

    pub(super) fn from_raw(operator: u8, value: u64, octets: u8) -> Self {
        Self {
            and: operator & AND != 0,
            not: operator & NOT != 0,
            all: operator & ALL_BITS != 0,
            value,
            octets,
        }
    }
}

fn flag(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

/// Addresses by their leading bits, or in IPv6 by bits behind the first few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSpecPrefix {
    /// The prefix; bits before the offset are zero.
    pub prefix: Prefix,
    /// How many of the leading bits do not count (RFC 8956 section 3.1); 0 in IPv4.
    pub offset: u8,
}

impl FlowSpecPrefix {
    /// All addresses of which the first `offset` bits are anything and the others up to the length
    /// are those of `prefix`. `None` if nothing is left between them, or if an IPv4 prefix has an
    /// offset.
    pub fn new(prefix: Prefix, offset: u8) -> Option<Self> {
        match prefix {
            _ if offset == 0 => Some(Self { prefix, offset }),
            Prefix::V6(v6) if offset < v6.len() => {
                let bits = v6.addr().to_bits() & (u128::MAX >> offset);
                let prefix = Prefix::new(std::net::Ipv6Addr::from_bits(bits).into(), v6.len())?;
                Some(Self { prefix, offset })
            }
            _ => None,
        }
    }

    fn encode(&self, family: Family, out: &mut Vec<u8>) -> Result<(), FlowSpecError> {
        let error = || FlowSpecError(format!("prefix {} in family {family}", self.prefix));
        let is_v6 = family.afi == Family::IPV6_FLOWSPEC.afi;
        let len = self.prefix.len();
        out.push(len);
        let (octets, bits) = match self.prefix {
            Prefix::V4(prefix) if !is_v6 && self.offset == 0 => {
                let left = u128::from(prefix.addr().to_bits()) << 96;
                (left.to_be_bytes(), len)
            }
            Prefix::V6(prefix) if is_v6 => {
                out.push(self.offset);
                let left = prefix.addr().to_bits().checked_shl(self.offset.into());
                let bits = len.checked_sub(self.offset).ok_or_else(error)?;
                (left.unwrap_or(0).to_be_bytes(), bits)
            }
            _ => return Err(error()),
        };
        out.extend(octets.iter().take(usize::from(bits).div_ceil(8)));
        Ok(())
    }
}

/// The flags of TCP.
pub mod tcp_flags {
    /// No more data.
    pub const FIN: u64 = 0x01;
    /// Sequence numbers begin.
    pub const SYN: u64 = 0x02;
    /// Reset.
    pub const RST: u64 = 0x04;
    /// Push.
    pub const PSH: u64 = 0x08;
    /// The acknowledgement counts.
    pub const ACK: u64 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u64 = 0x20;
    /// ECN echo.
    pub const ECE: u64 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u64 = 0x80;
}

/// The flags of a fragment (RFC 8955 section 4.2.2.12).
pub mod fragment {
    /// It may not be fragmented; never in IPv6.
    pub const DONT_FRAGMENT: u64 = 0x01;
    /// It is a fragment other than the first.
    pub const IS_FRAGMENT: u64 = 0x02;
    /// It is the first fragment.
    pub const FIRST_FRAGMENT: u64 = 0x04;
    /// It is the last fragment.
    pub const LAST_FRAGMENT: u64 = 0x08;
}
