//! Path attributes: an immutable, shared set of them.
//!
//! A set is one allocation: a header of scalars that path selection asks for over and over, then the
//! attributes as they go on the wire, in canonical form. Canonical means: in ascending order of
//! type, AS numbers in four octets, the extended-length flag only where needed, and without what
//! depends on the message: NEXT_HOP is kept in the header, MP_REACH_NLRI and MP_UNREACH_NLRI are not
//! part of it. Two sets are therefore equal if and only if their octets are.

mod aigp;
mod as_path;
mod attr_set;
mod block;
mod builder;
mod code;
mod display;
mod next_hop;
mod prefix_sid;
mod tunnel;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use chanter_types::{Asn, RouteTarget};

pub(crate) use aigp::is_aigp;
pub use as_path::{AsPath, AsPathSegment, SegmentKind};
pub(crate) use attr_set::is_attr_set;
pub(crate) use block::{Block, push_attribute};
pub use builder::AttributesBuilder;
pub use code::AttributeCode;
pub(crate) use code::{FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_PARTIAL, FLAG_TRANSITIVE};
pub(crate) use next_hop::NextHop;
pub(crate) use prefix_sid::PrefixSidError;
pub use prefix_sid::{PrefixSid, PrefixSidTlv, SidStructure, Srv6Service, Srv6Sid};
pub use tunnel::{Tunnel, TunnelEncapsulation, TunnelSubTlv};

use crate::community::{Community, LargeCommunity};
use crate::extended_community::{ExtendedCommunity, Ipv6ExtendedCommunity};
use crate::pmsi::PmsiTunnel;
use block::Header;

/// Where a route came into BGP (RFC 4271 section 5.1.1). The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Origin {
    /// From inside the AS.
    #[default]
    Igp,
    /// From EGP.
    Egp,
    /// Another way.
    Incomplete,
}

impl Origin {
    /// The value on the wire.
    pub fn code(self) -> u8 {
        match self {
            Origin::Igp => 0,
            Origin::Egp => 1,
            Origin::Incomplete => 2,
        }
    }

    /// The origin of that value on the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Origin::Igp),
            1 => Some(Origin::Egp),
            2 => Some(Origin::Incomplete),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::Igp => "igp",
            Origin::Egp => "egp",
            Origin::Incomplete => "incomplete",
        })
    }
}

/// Who aggregated the route (RFC 4271 section 5.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregator {
    /// The AS.
    pub asn: Asn,
    /// The speaker's BGP identifier.
    pub router_id: Ipv4Addr,
}

/// An attribute as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// The flags.
    pub flags: u8,
    /// The type.
    pub code: AttributeCode,
    /// The value.
    pub value: &'a [u8],
}

impl RawAttribute<'_> {
    /// The octets before the value.
    pub(crate) fn head_len(&self) -> usize {
        if self.flags & FLAG_EXTENDED_LENGTH == 0 {
            3
        } else {
            4
        }
    }
}

/// The path attributes of a route. A clone shares them.
///
/// Equality and hash are those of the content; a fingerprint made beforehand makes both cheap.
#[derive(Clone)]
pub struct Attributes(Arc<[u8]>);

impl Attributes {
    /// A builder that begins with ORIGIN IGP, an empty AS_PATH and nothing else.
    pub fn builder() -> AttributesBuilder {
        AttributesBuilder::default()
    }

    /// A builder that begins with these attributes.
    pub fn to_builder(&self) -> AttributesBuilder {
        AttributesBuilder::from(self)
    }

    /// A hash of the content, the same in every process.
    pub fn fingerprint(&self) -> u64 {
        self.header().fingerprint()
    }

    /// Whether both share one allocation.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// ORIGIN.
    pub fn origin(&self) -> Origin {
        self.header().origin()
    }

    /// AS_PATH.
    pub fn as_path(&self) -> AsPath<'_> {
        AsPath::new(self.header().as_path(&self.0))
    }

    /// The length of AS_PATH as path selection counts it, without walking it.
    pub fn as_path_len(&self) -> u32 {
        self.header().as_path_len()
    }

    /// The next hop, of NEXT_HOP or of MP_REACH_NLRI.
    pub fn next_hop(&self) -> Option<IpAddr> {
        self.header().next_hop()
    }

    /// The link-local address of an IPv6 next hop (RFC 2545 section 3): the second of a pair, or
    /// the only one if that is link-local.
    pub fn next_hop_link_local(&self) -> Option<Ipv6Addr> {
        let only = || match self.next_hop() {
            Some(IpAddr::V6(addr)) if addr.is_unicast_link_local() => Some(addr),
            _ => None,
        };
        self.header().link_local(&self.0).or_else(only)
    }

    /// The next hop with the second address of a pair.
    pub(crate) fn next_hop_pair(&self) -> Option<NextHop> {
        let addr = self.next_hop()?;
        let link_local = self.header().link_local(&self.0);
        Some(NextHop { addr, link_local })
    }

    /// MULTI_EXIT_DISC.
    pub fn med(&self) -> Option<u32> {
        self.header().med()
    }

    /// LOCAL_PREF.
    pub fn local_pref(&self) -> Option<u32> {
        self.header().local_pref()
    }

    /// Whether ATOMIC_AGGREGATE is there.
    pub fn atomic_aggregate(&self) -> bool {
        self.find(AttributeCode::ATOMIC_AGGREGATE).is_some()
    }

    /// AGGREGATOR.
    pub fn aggregator(&self) -> Option<Aggregator> {
        let value = self.find(AttributeCode::AGGREGATOR)?.value;
        let (asn, router_id) = value.split_first_chunk::<4>()?;
        let router_id: [u8; 4] = router_id.try_into().ok()?;
        Some(Aggregator {
            asn: Asn(u32::from_be_bytes(*asn)),
            router_id: router_id.into(),
        })
    }

    /// COMMUNITIES.
    pub fn communities(&self) -> impl Iterator<Item = Community> + '_ {
        chunks(self.value(AttributeCode::COMMUNITIES))
            .map(|octets| Community(u32::from_be_bytes(octets)))
    }

    /// Whether `community` is in COMMUNITIES.
    pub fn has_community(&self, community: Community) -> bool {
        self.communities().any(|other| other == community)
    }

    /// LARGE_COMMUNITIES.
    pub fn large_communities(&self) -> impl Iterator<Item = LargeCommunity> + '_ {
        chunks(self.value(AttributeCode::LARGE_COMMUNITIES)).map(LargeCommunity::from_octets)
    }

    /// ORIGINATOR_ID.
    pub fn originator_id(&self) -> Option<Ipv4Addr> {
        chunks(self.value(AttributeCode::ORIGINATOR_ID))
            .map(Ipv4Addr::from)
            .next()
    }

    /// CLUSTER_LIST, the cluster that reflected last first.
    pub fn cluster_list(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        chunks(self.value(AttributeCode::CLUSTER_LIST)).map(Ipv4Addr::from)
    }

    /// EXTENDED_COMMUNITIES.
    pub fn extended_communities(&self) -> impl Iterator<Item = ExtendedCommunity> + '_ {
        chunks(self.header().extended_communities(&self.0)).map(ExtendedCommunity)
    }

    /// The route targets among the extended communities.
    pub fn route_targets(&self) -> impl Iterator<Item = RouteTarget> + '_ {
        self.extended_communities()
            .filter_map(ExtendedCommunity::as_route_target)
    }

    /// PMSI_TUNNEL.
    pub fn pmsi_tunnel(&self) -> Option<PmsiTunnel> {
        PmsiTunnel::decode(self.find(AttributeCode::PMSI_TUNNEL)?.value)
    }

    /// IPV6_EXTENDED_COMMUNITIES.
    pub fn ipv6_extended_communities(&self) -> impl Iterator<Item = Ipv6ExtendedCommunity> + '_ {
        chunks(self.value(AttributeCode::IPV6_EXTENDED_COMMUNITIES)).map(Ipv6ExtendedCommunity)
    }

    /// TUNNEL_ENCAPSULATION.
    pub fn tunnel_encapsulation(&self) -> Option<TunnelEncapsulation> {
        TunnelEncapsulation::decode(self.find(AttributeCode::TUNNEL_ENCAPSULATION)?.value)
    }

    /// The metric in AIGP: of its first TLV of type 1 (RFC 7311 section 3).
    pub fn aigp(&self) -> Option<u64> {
        aigp::metric(self.find(AttributeCode::AIGP)?.value)
    }

    /// The AS in ONLY_TO_CUSTOMER.
    pub fn only_to_customer(&self) -> Option<Asn> {
        chunks(self.value(AttributeCode::ONLY_TO_CUSTOMER))
            .map(|octets| Asn(u32::from_be_bytes(octets)))
            .next()
    }

    /// PREFIX_SID.
    pub fn prefix_sid(&self) -> Option<PrefixSid> {
        PrefixSid::decode(self.find(AttributeCode::PREFIX_SID)?.value).ok()
    }

    /// The origin AS of ATTR_SET and the octets of the attributes in it, which are only carried
    /// (RFC 6368 section 5).
    pub fn attr_set(&self) -> Option<(Asn, &[u8])> {
        let (asn, octets) = self.value(AttributeCode::ATTR_SET).split_first_chunk()?;
        Some((Asn(u32::from_be_bytes(*asn)), octets))
    }

    /// Attributes that are passed on without being understood, in ascending order of type.
    pub fn unknown(&self) -> impl Iterator<Item = RawAttribute<'_>> {
        self.raw().filter(|attribute| !attribute.code.is_known())
    }

    /// All attributes but the next hop as they stand in their canonical form, in ascending order
    /// of type.
    pub fn raw(&self) -> impl Iterator<Item = RawAttribute<'_>> {
        block::attributes(self.wire())
    }

    /// The canonical octets of all attributes but the next hop.
    pub(crate) fn wire(&self) -> &[u8] {
        self.header().wire(&self.0)
    }

    fn header(&self) -> Header<'_> {
        Header::new(&self.0)
    }

    fn find(&self, code: AttributeCode) -> Option<RawAttribute<'_>> {
        self.raw().find(|attribute| attribute.code == code)
    }

    fn value(&self, code: AttributeCode) -> &[u8] {
        self.find(code).map_or(&[], |attribute| attribute.value)
    }
}

/// The whole chunks of `N` octets in `value`.
fn chunks<const N: usize>(value: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    value.as_chunks::<N>().0.iter().copied()
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        // The octets begin with the fingerprint, so that different sets differ at once.
        self.ptr_eq(other) || self.0 == other.0
    }
}

impl Eq for Attributes {}

impl Hash for Attributes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint());
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({self})")
    }
}
