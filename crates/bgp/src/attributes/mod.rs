//! Path attributes: an immutable, shared set of them.
//!
//! A set is one allocation: a header of scalars that path selection asks for over and over, then the
//! attributes as they go on the wire, in canonical form. Canonical means: in ascending order of
//! type, AS numbers in four octets, the extended-length flag only where needed, and without what
//! depends on the message: NEXT_HOP is kept in the header, MP_REACH_NLRI and MP_UNREACH_NLRI are not
//! part of it. Two sets are therefore equal if and only if their octets are.

mod as_path;
mod block;
mod builder;
mod code;
mod display;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chanter_types::{Asn, RouteTarget};

pub use as_path::{AsPath, AsPathSegment, SegmentKind};
pub(crate) use block::{Block, push_attribute};
pub use builder::AttributesBuilder;
pub use code::AttributeCode;
pub(crate) use code::{FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_PARTIAL, FLAG_TRANSITIVE};

use crate::extended_community::ExtendedCommunity;
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

/// A large community (RFC 8092).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// The AS that gives the rest its meaning.
    pub admin: u32,
    /// The first number.
    pub data1: u32,
    /// The second number.
    pub data2: u32,
}

impl LargeCommunity {
    /// The octets on the wire.
    pub(crate) fn octets(&self) -> [u8; 12] {
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) = (
            self.admin.to_be_bytes(),
            self.data1.to_be_bytes(),
            self.data2.to_be_bytes(),
        );
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.admin, self.data1, self.data2)
    }
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
    pub fn communities(&self) -> impl Iterator<Item = u32> + '_ {
        chunks(self.value(AttributeCode::COMMUNITIES)).map(u32::from_be_bytes)
    }

    /// LARGE_COMMUNITIES.
    pub fn large_communities(&self) -> impl Iterator<Item = LargeCommunity> + '_ {
        chunks(self.value(AttributeCode::LARGE_COMMUNITIES)).map(
            |[a, b, c, d, e, f, g, h, i, j, k, l]| LargeCommunity {
                admin: u32::from_be_bytes([a, b, c, d]),
                data1: u32::from_be_bytes([e, f, g, h]),
                data2: u32::from_be_bytes([i, j, k, l]),
            },
        )
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
        self.0.get(Header::LEN..).unwrap_or_default()
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
