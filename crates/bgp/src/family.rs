//! Address families (RFC 4760).

use std::fmt;
use std::str::FromStr;

use chanter_types::ParseError;
use smallvec::SmallVec;

use crate::text::serde_as_text;

/// An address family and subsequent address family, as registered with IANA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family {
    /// The address family identifier.
    pub afi: u16,
    /// The subsequent address family identifier.
    pub safi: u8,
}

impl Family {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Family = Family { afi: 1, safi: 1 };
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Family = Family { afi: 2, safi: 1 };
    /// EVPN (RFC 7432).
    pub const L2VPN_EVPN: Family = Family { afi: 25, safi: 70 };
    /// Route target membership (RFC 4684).
    pub const IPV4_RTC: Family = Family { afi: 1, safi: 132 };

    /// The families whose routes this crate decodes and encodes.
    pub const SUPPORTED: [Family; 4] = [
        Self::IPV4_UNICAST,
        Self::IPV6_UNICAST,
        Self::L2VPN_EVPN,
        Self::IPV4_RTC,
    ];

    /// Whether its routes belong to VPNs and are therefore filtered by route target membership
    /// (RFC 4684 section 2).
    pub fn is_vpn(self) -> bool {
        self == Self::L2VPN_EVPN
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::IPV4_UNICAST => Some("ipv4-unicast"),
            Self::IPV6_UNICAST => Some("ipv6-unicast"),
            Self::L2VPN_EVPN => Some("l2vpn-evpn"),
            Self::IPV4_RTC => Some("ipv4-rtc"),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "{}/{}", self.afi, self.safi),
        }
    }
}

impl FromStr for Family {
    type Err = ParseError;

    /// Accepts the names, and `AFI/SAFI` in numbers.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Some(family) = Self::SUPPORTED
            .into_iter()
            .find(|family| family.name() == Some(text))
        {
            return Ok(family);
        }
        text.split_once('/')
            .and_then(|(afi, safi)| {
                Some(Family {
                    afi: afi.parse().ok()?,
                    safi: safi.parse().ok()?,
                })
            })
            .ok_or_else(|| {
                ParseError::new(
                    text,
                    "an address family",
                    "ipv4-unicast, ipv6-unicast, l2vpn-evpn, ipv4-rtc, or AFI/SAFI in numbers",
                )
            })
    }
}

serde_as_text!(Family);

/// A few families, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FamilySet(SmallVec<[Family; 4]>);

impl FamilySet {
    /// No family.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `family` is in the set.
    pub fn contains(&self, family: Family) -> bool {
        self.0.contains(&family)
    }

    /// Adds `family`; says whether it was not in the set before.
    pub fn insert(&mut self, family: Family) -> bool {
        match self.0.binary_search(&family) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, family);
                true
            }
        }
    }

    /// The families, sorted.
    pub fn iter(&self) -> impl Iterator<Item = Family> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        let mut set = Self::new();
        for family in families {
            set.insert(family);
        }
        set
    }
}

impl<const N: usize> From<[Family; N]> for FamilySet {
    fn from(families: [Family; N]) -> Self {
        families.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_and_printed() {
        for family in Family::SUPPORTED {
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        let unknown = Family { afi: 1, safi: 128 };
        assert_eq!(unknown.to_string(), "1/128");
        assert_eq!("1/128".parse(), Ok(unknown));
        assert_eq!("25/70".parse(), Ok(Family::L2VPN_EVPN));
        for bad in ["", "ipv4", "1/256", "65536/1", "1"] {
            assert!(bad.parse::<Family>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_set_keeps_each_family_once() {
        let mut set = FamilySet::from([Family::L2VPN_EVPN, Family::IPV4_RTC, Family::L2VPN_EVPN]);
        assert_eq!(set.len(), 2);
        assert!(!set.insert(Family::IPV4_RTC));
        assert!(set.insert(Family::IPV4_UNICAST));
        let all: Vec<_> = set.iter().collect();
        assert!(all.is_sorted());
    }
}
