//! Attribute types (IANA "BGP Path Attributes") and flags.

use std::fmt;

/// The optional flag (RFC 4271 section 4.3).
pub(crate) const FLAG_OPTIONAL: u8 = 0x80;
/// The transitive flag.
pub(crate) const FLAG_TRANSITIVE: u8 = 0x40;
/// The partial flag.
pub(crate) const FLAG_PARTIAL: u8 = 0x20;
/// The length has two octets.
pub(crate) const FLAG_EXTENDED_LENGTH: u8 = 0x10;

/// An attribute type. Its text is the standard's name, or `attribute NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeCode(pub u8);

impl AttributeCode {
    /// ORIGIN (RFC 4271).
    pub const ORIGIN: Self = Self(1);
    /// AS_PATH (RFC 4271).
    pub const AS_PATH: Self = Self(2);
    /// NEXT_HOP (RFC 4271).
    pub const NEXT_HOP: Self = Self(3);
    /// MULTI_EXIT_DISC (RFC 4271).
    pub const MULTI_EXIT_DISC: Self = Self(4);
    /// LOCAL_PREF (RFC 4271).
    pub const LOCAL_PREF: Self = Self(5);
    /// ATOMIC_AGGREGATE (RFC 4271).
    pub const ATOMIC_AGGREGATE: Self = Self(6);
    /// AGGREGATOR (RFC 4271).
    pub const AGGREGATOR: Self = Self(7);
    /// COMMUNITIES (RFC 1997).
    pub const COMMUNITIES: Self = Self(8);
    /// ORIGINATOR_ID (RFC 4456).
    pub const ORIGINATOR_ID: Self = Self(9);
    /// CLUSTER_LIST (RFC 4456).
    pub const CLUSTER_LIST: Self = Self(10);
    /// MP_REACH_NLRI (RFC 4760).
    pub const MP_REACH_NLRI: Self = Self(14);
    /// MP_UNREACH_NLRI (RFC 4760).
    pub const MP_UNREACH_NLRI: Self = Self(15);
    /// EXTENDED_COMMUNITIES (RFC 4360).
    pub const EXTENDED_COMMUNITIES: Self = Self(16);
    /// AS4_PATH (RFC 6793).
    pub const AS4_PATH: Self = Self(17);
    /// AS4_AGGREGATOR (RFC 6793).
    pub const AS4_AGGREGATOR: Self = Self(18);
    /// PMSI_TUNNEL (RFC 6514).
    pub const PMSI_TUNNEL: Self = Self(22);
    /// TUNNEL_ENCAPSULATION (RFC 9012).
    pub const TUNNEL_ENCAPSULATION: Self = Self(23);
    /// IPV6_EXTENDED_COMMUNITIES (RFC 5701).
    pub const IPV6_EXTENDED_COMMUNITIES: Self = Self(25);
    /// AIGP (RFC 7311).
    pub const AIGP: Self = Self(26);
    /// LARGE_COMMUNITIES (RFC 8092).
    pub const LARGE_COMMUNITIES: Self = Self(32);
    /// BGPSEC_PATH (RFC 8205).
    pub const BGPSEC_PATH: Self = Self(33);
    /// ONLY_TO_CUSTOMER (RFC 9234).
    pub const ONLY_TO_CUSTOMER: Self = Self(35);
    /// PREFIX_SID (RFC 8669).
    pub const PREFIX_SID: Self = Self(40);
    /// ATTR_SET (RFC 6368).
    pub const ATTR_SET: Self = Self(128);

    /// All that have a name here, in ascending order.
    pub const KNOWN: [Self; 24] = [
        Self::ORIGIN,
        Self::AS_PATH,
        Self::NEXT_HOP,
        Self::MULTI_EXIT_DISC,
        Self::LOCAL_PREF,
        Self::ATOMIC_AGGREGATE,
        Self::AGGREGATOR,
        Self::COMMUNITIES,
        Self::ORIGINATOR_ID,
        Self::CLUSTER_LIST,
        Self::MP_REACH_NLRI,
        Self::MP_UNREACH_NLRI,
        Self::EXTENDED_COMMUNITIES,
        Self::AS4_PATH,
        Self::AS4_AGGREGATOR,
        Self::PMSI_TUNNEL,
        Self::TUNNEL_ENCAPSULATION,
        Self::IPV6_EXTENDED_COMMUNITIES,
        Self::AIGP,
        Self::LARGE_COMMUNITIES,
        Self::BGPSEC_PATH,
        Self::ONLY_TO_CUSTOMER,
        Self::PREFIX_SID,
        Self::ATTR_SET,
    ];

    /// Whether this crate looks at its value.
    pub fn is_known(self) -> bool {
        self.flags().is_some()
    }

    /// Optional and transitive flag as its RFC wants them; `None` for unknown attributes.
    pub(crate) fn flags(self) -> Option<u8> {
        match self {
            Self::ORIGIN
            | Self::AS_PATH
            | Self::NEXT_HOP
            | Self::LOCAL_PREF
            | Self::ATOMIC_AGGREGATE => Some(FLAG_TRANSITIVE),
            Self::MULTI_EXIT_DISC
            | Self::ORIGINATOR_ID
            | Self::CLUSTER_LIST
            | Self::MP_REACH_NLRI
            | Self::MP_UNREACH_NLRI
            | Self::AIGP
            | Self::BGPSEC_PATH => Some(FLAG_OPTIONAL),
            Self::AGGREGATOR
            | Self::COMMUNITIES
            | Self::EXTENDED_COMMUNITIES
            | Self::AS4_PATH
            | Self::AS4_AGGREGATOR
            | Self::PMSI_TUNNEL
            | Self::TUNNEL_ENCAPSULATION
            | Self::IPV6_EXTENDED_COMMUNITIES
            | Self::LARGE_COMMUNITIES
            | Self::ONLY_TO_CUSTOMER
            | Self::PREFIX_SID
            | Self::ATTR_SET => Some(FLAG_OPTIONAL | FLAG_TRANSITIVE),
            _ => None,
        }
    }

    /// Whether it stays within the AS: neither sent to another nor taken from one (RFC 4271 section
    /// 5.1.5, RFC 4456 section 8, RFC 7311 section 3.1 where AIGP is not switched on for the peer, RFC
    /// 8669 section 4: another AS is outside the SR domain).
    pub(crate) fn is_internal(self) -> bool {
        matches!(
            self,
            Self::LOCAL_PREF
                | Self::ORIGINATOR_ID
                | Self::CLUSTER_LIST
                | Self::AIGP
                | Self::PREFIX_SID
        )
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ORIGIN => "ORIGIN",
            Self::AS_PATH => "AS_PATH",
            Self::NEXT_HOP => "NEXT_HOP",
            Self::MULTI_EXIT_DISC => "MULTI_EXIT_DISC",
            Self::LOCAL_PREF => "LOCAL_PREF",
            Self::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
            Self::AGGREGATOR => "AGGREGATOR",
            Self::COMMUNITIES => "COMMUNITIES",
            Self::ORIGINATOR_ID => "ORIGINATOR_ID",
            Self::CLUSTER_LIST => "CLUSTER_LIST",
            Self::MP_REACH_NLRI => "MP_REACH_NLRI",
            Self::MP_UNREACH_NLRI => "MP_UNREACH_NLRI",
            Self::EXTENDED_COMMUNITIES => "EXTENDED_COMMUNITIES",
            Self::AS4_PATH => "AS4_PATH",
            Self::AS4_AGGREGATOR => "AS4_AGGREGATOR",
            Self::PMSI_TUNNEL => "PMSI_TUNNEL",
            Self::TUNNEL_ENCAPSULATION => "TUNNEL_ENCAPSULATION",
            Self::IPV6_EXTENDED_COMMUNITIES => "IPV6_EXTENDED_COMMUNITIES",
            Self::AIGP => "AIGP",
            Self::LARGE_COMMUNITIES => "LARGE_COMMUNITIES",
            Self::BGPSEC_PATH => "BGPSEC_PATH",
            Self::ONLY_TO_CUSTOMER => "ONLY_TO_CUSTOMER",
            Self::PREFIX_SID => "PREFIX_SID",
            Self::ATTR_SET => "ATTR_SET",
            _ => return None,
        })
    }
}

impl fmt::Display for AttributeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "attribute {}", self.0),
        }
    }
}
