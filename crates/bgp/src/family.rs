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
    /// VPNv4 (RFC 4364).
    pub const IPV4_VPN: Family = Family { afi: 1, safi: 128 };
    /// VPNv6 (RFC 4659).
    pub const IPV6_VPN: Family = Family { afi: 2, safi: 128 };
    /// IPv4 FlowSpec (RFC 8955).
    pub const IPV4_FLOWSPEC: Family = Family { afi: 1, safi: 133 };
    /// IPv6 FlowSpec (RFC 8956).
    pub const IPV6_FLOWSPEC: Family = Family { afi: 2, safi: 133 };
    /// IPv4 FlowSpec within VPNs (RFC 8955 section 8).
    pub const IPV4_FLOWSPEC_VPN: Family = Family { afi: 1, safi: 134 };
    /// IPv6 FlowSpec within VPNs (RFC 8956 section 2).
    pub const IPV6_FLOWSPEC_VPN: Family = Family { afi: 2, safi: 134 };
    /// Route target membership (RFC 4684).
    pub const IPV4_RTC: Family = Family { afi: 1, safi: 132 };

    /// The families whose routes this crate decodes and encodes.
    pub const SUPPORTED: [Family; 10] = [
        Self::IPV4_UNICAST,
        Self::IPV6_UNICAST,
        Self::L2VPN_EVPN,
        Self::IPV4_RTC,
        Self::IPV4_VPN,
        Self::IPV6_VPN,
        Self::IPV4_FLOWSPEC,
        Self::IPV6_FLOWSPEC,
        Self::IPV4_FLOWSPEC_VPN,
        Self::IPV6_FLOWSPEC_VPN,
    ];

    /// Whether its routes belong to VPNs and are therefore filtered by route target membership
    /// (RFC 4684 section 2).
    pub fn is_vpn(self) -> bool {
        matches!(
            self,
            Self::L2VPN_EVPN
                | Self::IPV4_VPN
                | Self::IPV6_VPN
                | Self::IPV4_FLOWSPEC_VPN
                | Self::IPV6_FLOWSPEC_VPN
        )
    }

    /// Whether its NLRI are traffic filters and have no next hop (RFC 8955 section 4).
    pub fn is_flowspec(self) -> bool {
        matches!(
            self,
            Self::IPV4_FLOWSPEC
                | Self::IPV6_FLOWSPEC
                | Self::IPV4_FLOWSPEC_VPN
                | Self::IPV6_FLOWSPEC_VPN
        )
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::IPV4_UNICAST => Some("ipv4-unicast"),
            Self::IPV6_UNICAST => Some("ipv6-unicast"),
            Self::L2VPN_EVPN => Some("l2vpn-evpn"),
            Self::IPV4_RTC => Some("ipv4-rtc"),
            Self::IPV4_VPN => Some("ipv4-vpn"),
            Self::IPV6_VPN => Some("ipv6-vpn"),
            Self::IPV4_FLOWSPEC => Some("ipv4-flowspec"),
            Self::IPV6_FLOWSPEC => Some("ipv6-flowspec"),
            Self::IPV4_FLOWSPEC_VPN => Some("ipv4-flowspec-vpn"),
            Self::IPV6_FLOWSPEC_VPN => Some("ipv6-flowspec-vpn"),
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
                    "ipv4-unicast, ipv6-unicast, l2vpn-evpn, ipv4-rtc, ipv4-vpn, ipv6-vpn, \
                     ipv4-flowspec, ipv6-flowspec, ipv4-flowspec-vpn, ipv6-flowspec-vpn, \
                     or AFI/SAFI in numbers",
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
        let unknown = Family { afi: 1, safi: 5 };
        assert_eq!(unknown.to_string(), "1/5");
        assert_eq!("1/5".parse(), Ok(unknown));
        assert_eq!("1/128".parse(), Ok(Family::IPV4_VPN));
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
