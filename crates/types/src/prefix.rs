//! IP prefixes with the host bits cleared.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::ParseError;
use crate::parse::serde_as_text;

/// An IPv4 prefix; host bits are zero, the length is at most 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Prefix {
    addr: Ipv4Addr,
    len: u8,
}

impl Ipv4Prefix {
    /// The prefix of `len` bits that holds `addr`, or `None` for a length above 32.
    pub fn new(addr: Ipv4Addr, len: u8) -> Option<Self> {
        let mask = match len {
            0 => 0,
            1..=32 => u32::MAX << (32 - len),
            _ => return None,
        };
        Some(Self {
            addr: Ipv4Addr::from_bits(addr.to_bits() & mask),
            len,
        })
    }

    /// The prefix that holds only `addr`.
    pub fn host(addr: Ipv4Addr) -> Self {
        Self { addr, len: 32 }
    }

    /// The first address.
    pub fn addr(self) -> Ipv4Addr {
        self.addr
    }

    /// The length in bits, 0 to 32.
    #[allow(clippy::len_without_is_empty)] // a length in bits, not a count of elements
    pub fn len(self) -> u8 {
        self.len
    }

    /// Whether `addr` lies within.
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        Self::new(addr, self.len) == Some(self)
    }
}

impl fmt::Display for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// An IPv6 prefix; host bits are zero, the length is at most 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv6Prefix {
    addr: Ipv6Addr,
    len: u8,
}

impl Ipv6Prefix {
    /// The prefix of `len` bits that holds `addr`, or `None` for a length above 128.
    pub fn new(addr: Ipv6Addr, len: u8) -> Option<Self> {
        let mask = match len {
            0 => 0,
            1..=128 => u128::MAX << (128 - len),
            _ => return None,
        };
        Some(Self {
            addr: Ipv6Addr::from_bits(addr.to_bits() & mask),
            len,
        })
    }

    /// The prefix that holds only `addr`.
    pub fn host(addr: Ipv6Addr) -> Self {
        Self { addr, len: 128 }
    }

    /// The first address.
    pub fn addr(self) -> Ipv6Addr {
        self.addr
    }

    /// The length in bits, 0 to 128.
    #[allow(clippy::len_without_is_empty)] // a length in bits, not a count of elements
    pub fn len(self) -> u8 {
        self.len
    }

    /// Whether `addr` lies within.
    pub fn contains(self, addr: Ipv6Addr) -> bool {
        Self::new(addr, self.len) == Some(self)
    }
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// A prefix of either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// IPv4.
    V4(Ipv4Prefix),
    /// IPv6.
    V6(Ipv6Prefix),
}

impl Prefix {
    /// The prefix of `len` bits that holds `addr`, or `None` if the length is above the version's.
    pub fn new(addr: IpAddr, len: u8) -> Option<Self> {
        match addr {
            IpAddr::V4(addr) => Ipv4Prefix::new(addr, len).map(Prefix::V4),
            IpAddr::V6(addr) => Ipv6Prefix::new(addr, len).map(Prefix::V6),
        }
    }

    /// The prefix that holds only `addr`.
    pub fn host(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => Prefix::V4(Ipv4Prefix::host(addr)),
            IpAddr::V6(addr) => Prefix::V6(Ipv6Prefix::host(addr)),
        }
    }

    /// The first address.
    pub fn addr(self) -> IpAddr {
        match self {
            Prefix::V4(prefix) => IpAddr::V4(prefix.addr),
            Prefix::V6(prefix) => IpAddr::V6(prefix.addr),
        }
    }

    /// The length in bits.
    #[allow(clippy::len_without_is_empty)] // a length in bits, not a count of elements
    pub fn len(self) -> u8 {
        match self {
            Prefix::V4(prefix) => prefix.len,
            Prefix::V6(prefix) => prefix.len,
        }
    }

    /// Whether `addr` lies within; an address of the other version never does.
    pub fn contains(self, addr: IpAddr) -> bool {
        match (self, addr) {
            (Prefix::V4(prefix), IpAddr::V4(addr)) => prefix.contains(addr),
            (Prefix::V6(prefix), IpAddr::V6(addr)) => prefix.contains(addr),
            _ => false,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prefix::V4(prefix) => prefix.fmt(f),
            Prefix::V6(prefix) => prefix.fmt(f),
        }
    }
}

const EXPECTED: &str = "ADDRESS/LENGTH such as 10.0.0.0/8 or 2001:db8::/32, host bits zero";

impl FromStr for Prefix {
    type Err = ParseError;

    /// Accepts `10.0.0.0/8`, `2001:db8::/32`, and a bare address as a host prefix. Host bits must be
    /// zero: a prefix with some is more often a mistake than meant.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, "an IP prefix", EXPECTED);
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => (addr, Some(len.parse::<u8>().map_err(|_| error())?)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| error())?;
        let Some(len) = len else {
            return Ok(Prefix::host(addr));
        };
        Prefix::new(addr, len)
            .filter(|prefix| prefix.addr() == addr)
            .ok_or_else(error)
    }
}

impl FromStr for Ipv4Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.parse()? {
            Prefix::V4(prefix) => Ok(prefix),
            Prefix::V6(_) => Err(ParseError::new(
                text,
                "an IPv4 prefix",
                "such as 10.0.0.0/8",
            )),
        }
    }
}

impl FromStr for Ipv6Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.parse()? {
            Prefix::V6(prefix) => Ok(prefix),
            Prefix::V4(_) => Err(ParseError::new(
                text,
                "an IPv6 prefix",
                "such as 2001:db8::/32",
            )),
        }
    }
}

serde_as_text!(Ipv4Prefix);
serde_as_text!(Ipv6Prefix);
serde_as_text!(Prefix);
