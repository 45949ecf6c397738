//! Making attribute sets.

use std::net::{IpAddr, Ipv4Addr};

use chanter_types::Asn;

use super::{
    Aggregator, AttributeCode, Attributes, Block, FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL,
    FLAG_PARTIAL, FLAG_TRANSITIVE, LargeCommunity, Origin, SegmentKind,
};
use crate::extended_community::ExtendedCommunity;
use crate::pmsi::PmsiTunnel;

/// The longest value of an attribute; lists are cut to what fits.
const VALUE_LEN_MAX: usize = u16::MAX as usize;

/// Puts an attribute set together. Lists that are empty give no attribute; AS_PATH is always there.
#[derive(Debug, Clone, Default)]
pub struct AttributesBuilder {
    origin: Origin,
    as_path: Vec<u8>,
    next_hop: Option<IpAddr>,
    med: Option<u32>,
    local_pref: Option<u32>,
    atomic_aggregate: bool,
    aggregator: Option<Aggregator>,
    communities: Vec<u32>,
    originator_id: Option<Ipv4Addr>,
    cluster_list: Vec<Ipv4Addr>,
    extended_communities: Vec<ExtendedCommunity>,
    pmsi_tunnel: Option<PmsiTunnel>,
    large_communities: Vec<LargeCommunity>,
    /// By type, sorted.
    unknown: Vec<Unknown>,
    /// Known attributes that have the partial flag.
    partial: Vec<AttributeCode>,
}

#[derive(Debug, Clone)]
struct Unknown {
    flags: u8,
    code: AttributeCode,
    value: Box<[u8]>,
}

impl AttributesBuilder {
    /// Sets ORIGIN.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Puts `asn` in front of AS_PATH (RFC 4271 section 5.1.2).
    pub fn prepend(mut self, asn: Asn) -> Self {
        // A segment holds at most 255 numbers; a full one gets another in front of it.
        match self.as_path.first_chunk::<2>() {
            Some([kind, count]) if *kind == SegmentKind::Sequence.code() && *count < u8::MAX => {
                self.as_path[1] += 1;
                self.as_path.splice(2..2, asn.0.to_be_bytes());
            }
            _ => {
                let [a, b, c, d] = asn.0.to_be_bytes();
                self.as_path
                    .splice(0..0, [SegmentKind::Sequence.code(), 1, a, b, c, d]);
            }
        }
        self
    }

    /// Puts a segment at the end of AS_PATH; at most 255 AS numbers are taken, and none makes no
    /// segment.
    pub fn append_segment(mut self, kind: SegmentKind, asns: &[Asn]) -> Self {
        let asns = asns.get(..usize::from(u8::MAX)).unwrap_or(asns);
        if let Ok(count @ 1..) = u8::try_from(asns.len()) {
            self.as_path.extend([kind.code(), count]);
            self.as_path
                .extend(asns.iter().flat_map(|asn| asn.0.to_be_bytes()));
        }
        self
    }

    /// Empties AS_PATH.
    pub fn clear_as_path(mut self) -> Self {
        self.as_path.clear();
        self
    }

    /// Sets the next hop.
    pub fn next_hop(mut self, next_hop: impl Into<Option<IpAddr>>) -> Self {
        self.next_hop = next_hop.into();
        self
    }

    /// Sets MULTI_EXIT_DISC, or leaves it out.
    pub fn med(mut self, med: impl Into<Option<u32>>) -> Self {
        self.med = med.into();
        self
    }

    /// Sets LOCAL_PREF, or leaves it out.
    pub fn local_pref(mut self, local_pref: impl Into<Option<u32>>) -> Self {
        self.local_pref = local_pref.into();
        self
    }

    /// Sets or leaves out ATOMIC_AGGREGATE.
    pub fn atomic_aggregate(mut self, atomic_aggregate: bool) -> Self {
        self.atomic_aggregate = atomic_aggregate;
        self
    }

    /// Sets AGGREGATOR, or leaves it out.
    pub fn aggregator(mut self, aggregator: impl Into<Option<Aggregator>>) -> Self {
        self.aggregator = aggregator.into();
        self
    }

    /// Sets COMMUNITIES.
    pub fn communities(mut self, communities: Vec<u32>) -> Self {
        self.communities = communities;
        self
    }

    /// Sets LARGE_COMMUNITIES.
    pub fn large_communities(mut self, communities: Vec<LargeCommunity>) -> Self {
        self.large_communities = communities;
        self
    }

    /// Sets EXTENDED_COMMUNITIES.
    pub fn extended_communities(mut self, communities: Vec<ExtendedCommunity>) -> Self {
        self.extended_communities = communities;
        self
    }

    /// Adds an extended community.
    pub fn push_extended_community(mut self, community: ExtendedCommunity) -> Self {
        self.extended_communities.push(community);
        self
    }

    /// Keeps only the extended communities that `keep` wants.
    pub fn retain_extended_communities(
        mut self,
        mut keep: impl FnMut(ExtendedCommunity) -> bool,
    ) -> Self {
        self.extended_communities
            .retain(|community| keep(*community));
        self
    }

    /// Sets ORIGINATOR_ID, or leaves it out.
    pub fn originator_id(mut self, originator_id: impl Into<Option<Ipv4Addr>>) -> Self {
        self.originator_id = originator_id.into();
        self
    }

    /// Puts a cluster in front of CLUSTER_LIST (RFC 4456 section 8).
    pub fn prepend_cluster(mut self, cluster: Ipv4Addr) -> Self {
        self.cluster_list.insert(0, cluster);
        self
    }

    /// Leaves CLUSTER_LIST out.
    pub fn clear_cluster_list(mut self) -> Self {
        self.cluster_list.clear();
        self
    }

    /// Sets PMSI_TUNNEL, or leaves it out.
    pub fn pmsi_tunnel(mut self, tunnel: impl Into<Option<PmsiTunnel>>) -> Self {
        self.pmsi_tunnel = tunnel.into();
        self
    }

    /// Adds an attribute of a type that this crate does not know, in place of one of the same type.
    /// Known types are not taken this way.
    pub fn unknown(mut self, flags: u8, code: AttributeCode, value: &[u8]) -> Self {
        if code.is_known() {
            return self;
        }
        let unknown = Unknown {
            flags: flags & !FLAG_EXTENDED_LENGTH,
            code,
            value: value.get(..VALUE_LEN_MAX).unwrap_or(value).into(),
        };
        match self
            .unknown
            .binary_search_by_key(&code, |unknown| unknown.code)
        {
            Ok(at) => self.unknown[at] = unknown,
            Err(at) => self.unknown.insert(at, unknown),
        }
        self
    }

    /// Leaves out unknown attributes that are not transitive: they are not passed on (RFC 4271
    /// section 5). Received sets have none.
    pub fn drop_non_transitive_unknown(mut self) -> Self {
        self.unknown
            .retain(|unknown| unknown.flags & FLAG_TRANSITIVE != 0);
        self
    }

    /// Marks unknown attributes as partial, as they must be when passed on (RFC 4271 section 5).
    /// In received sets they are.
    pub fn mark_unknown_partial(mut self) -> Self {
        for unknown in &mut self.unknown {
            unknown.flags |= FLAG_PARTIAL;
        }
        self
    }

    /// The set.
    pub fn build(&self) -> Attributes {
        let mut parts = Parts::default();
        self.add_well_known(&mut parts);
        self.add_optional(&mut parts);
        for unknown in &self.unknown {
            parts.add(unknown.flags, unknown.code, unknown.value.iter().copied());
        }
        parts.places.sort_unstable_by_key(|place| place.code);
        let mut block = Block::new();
        for place in parts.places {
            block.push(place.flags, place.code, &parts.values[place.from..place.to]);
        }
        block.finish(self.next_hop, None)
    }

    fn add_well_known(&self, parts: &mut Parts) {
        self.add(parts, AttributeCode::ORIGIN, [self.origin.code()]);
        self.add(parts, AttributeCode::AS_PATH, self.as_path.iter().copied());
        if let Some(local_pref) = self.local_pref {
            self.add(parts, AttributeCode::LOCAL_PREF, local_pref.to_be_bytes());
        }
        if self.atomic_aggregate {
            self.add(parts, AttributeCode::ATOMIC_AGGREGATE, []);
        }
    }

    fn add_optional(&self, parts: &mut Parts) {
        if let Some(med) = self.med {
            self.add(parts, AttributeCode::MULTI_EXIT_DISC, med.to_be_bytes());
        }
        if let Some(Aggregator { asn, router_id }) = self.aggregator {
            let value = asn.0.to_be_bytes().into_iter().chain(router_id.octets());
            self.add(parts, AttributeCode::AGGREGATOR, value);
        }
        let octets = self
            .communities
            .iter()
            .map(|community| community.to_be_bytes());
        self.add_list(parts, AttributeCode::COMMUNITIES, octets);
        if let Some(originator) = self.originator_id {
            self.add(parts, AttributeCode::ORIGINATOR_ID, originator.octets());
        }
        let octets = self.cluster_list.iter().map(Ipv4Addr::octets);
        self.add_list(parts, AttributeCode::CLUSTER_LIST, octets);
        let octets = self
            .extended_communities
            .iter()
            .map(|community| community.0);
        self.add_list(parts, AttributeCode::EXTENDED_COMMUNITIES, octets);
        if let Some(tunnel) = &self.pmsi_tunnel {
            let mut value = Vec::new();
            tunnel.encode(&mut value);
            self.add(parts, AttributeCode::PMSI_TUNNEL, value);
        }
        let octets = self.large_communities.iter().map(LargeCommunity::octets);
        self.add_list(parts, AttributeCode::LARGE_COMMUNITIES, octets);
    }

    fn add(&self, parts: &mut Parts, code: AttributeCode, value: impl IntoIterator<Item = u8>) {
        let partial = if self.partial.contains(&code) {
            FLAG_PARTIAL
        } else {
            0
        };
        parts.add(code.flags().unwrap_or(FLAG_OPTIONAL) | partial, code, value);
    }

    fn add_list<const N: usize>(
        &self,
        parts: &mut Parts,
        code: AttributeCode,
        items: impl ExactSizeIterator<Item = [u8; N]>,
    ) {
        if items.len() > 0 {
            self.add(parts, code, items.take(VALUE_LEN_MAX / N).flatten());
        }
    }
}

/// Attributes in whatever order.
#[derive(Default)]
struct Parts {
    values: Vec<u8>,
    places: Vec<Place>,
}

struct Place {
    flags: u8,
    code: AttributeCode,
    from: usize,
    to: usize,
}

impl Parts {
    fn add(&mut self, flags: u8, code: AttributeCode, value: impl IntoIterator<Item = u8>) {
        let from = self.values.len();
        self.values.extend(value.into_iter().take(VALUE_LEN_MAX));
        self.places.push(Place {
            flags,
            code,
            from,
            to: self.values.len(),
        });
    }
}

impl From<&Attributes> for AttributesBuilder {
    fn from(attributes: &Attributes) -> Self {
        let is_partial = |flags: u8| flags & FLAG_PARTIAL != 0;
        let mut builder = Self {
            origin: attributes.origin(),
            as_path: attributes.as_path().octets().to_vec(),
            next_hop: attributes.next_hop(),
            med: attributes.med(),
            local_pref: attributes.local_pref(),
            atomic_aggregate: attributes.atomic_aggregate(),
            aggregator: attributes.aggregator(),
            communities: attributes.communities().collect(),
            originator_id: attributes.originator_id(),
            cluster_list: attributes.cluster_list().collect(),
            extended_communities: attributes.extended_communities().collect(),
            pmsi_tunnel: attributes.pmsi_tunnel(),
            large_communities: attributes.large_communities().collect(),
            ..Self::default()
        };
        for attribute in attributes.raw() {
            if !attribute.code.is_known() {
                builder.unknown.push(Unknown {
                    flags: attribute.flags & !FLAG_EXTENDED_LENGTH,
                    code: attribute.code,
                    value: attribute.value.into(),
                });
            } else if is_partial(attribute.flags) {
                builder.partial.push(attribute.code);
            }
        }
        builder
    }
}
