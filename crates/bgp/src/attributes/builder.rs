//! Making attribute sets.

mod as_path;
mod carried;
mod communities;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Aggregator, AttributeCode, Attributes, Block, FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL,
    FLAG_PARTIAL, NextHop, Origin, PrefixSid, TunnelEncapsulation, aigp,
};
use crate::community::{Community, LargeCommunity};
use crate::extended_community::{ExtendedCommunity, Ipv6ExtendedCommunity};
use crate::pmsi::PmsiTunnel;

/// The longest value of an attribute; lists are cut to what fits.
const VALUE_LEN_MAX: usize = u16::MAX as usize;

/// Puts an attribute set together. Lists that are empty give no attribute; AS_PATH is always there.
#[derive(Debug, Clone, Default)]
pub struct AttributesBuilder {
    origin: Origin,
    as_path: Vec<u8>,
    next_hop: Option<NextHop>,
    med: Option<u32>,
    local_pref: Option<u32>,
    atomic_aggregate: bool,
    aggregator: Option<Aggregator>,
    communities: Vec<Community>,
    originator_id: Option<Ipv4Addr>,
    cluster_list: Vec<Ipv4Addr>,
    extended_communities: Vec<ExtendedCommunity>,
    pmsi_tunnel: Option<PmsiTunnel>,
    ipv6_extended_communities: Vec<Ipv6ExtendedCommunity>,
    large_communities: Vec<LargeCommunity>,
    /// Attributes that are kept as octets, sorted by type.
    carried: Vec<Carried>,
    /// Known attributes that have the partial flag.
    partial: Vec<AttributeCode>,
}

#[derive(Debug, Clone)]
struct Carried {
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

    /// Sets the next hop, without a link-local address beside it.
    pub fn next_hop(mut self, next_hop: impl Into<Option<IpAddr>>) -> Self {
        self.next_hop = next_hop.into().map(NextHop::from);
        self
    }

    /// Sets the link-local address beside a global IPv6 next hop (RFC 2545 section 3), or leaves it
    /// out. Without a next hop, or beside one that is link-local itself, it is left out.
    pub fn next_hop_link_local(mut self, link_local: impl Into<Option<Ipv6Addr>>) -> Self {
        if let Some(next_hop) = &mut self.next_hop {
            next_hop.set_link_local(link_local.into());
        }
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

    /// The set.
    pub fn build(&self) -> Attributes {
        let mut parts = Parts::default();
        self.add_well_known(&mut parts);
        self.add_optional(&mut parts);
        for carried in &self.carried {
            parts.add(carried.flags, carried.code, carried.value.iter().copied());
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
            .map(|community| community.0.to_be_bytes());
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
        let octets = self
            .ipv6_extended_communities
            .iter()
            .map(|community| community.0);
        self.add_list(parts, AttributeCode::IPV6_EXTENDED_COMMUNITIES, octets);
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
            next_hop: attributes.next_hop_pair(),
            med: attributes.med(),
            local_pref: attributes.local_pref(),
            atomic_aggregate: attributes.atomic_aggregate(),
            aggregator: attributes.aggregator(),
            communities: attributes.communities().collect(),
            originator_id: attributes.originator_id(),
            cluster_list: attributes.cluster_list().collect(),
            extended_communities: attributes.extended_communities().collect(),
            pmsi_tunnel: attributes.pmsi_tunnel(),
            ipv6_extended_communities: attributes.ipv6_extended_communities().collect(),
            large_communities: attributes.large_communities().collect(),
            ..Self::default()
        };
        for attribute in attributes.raw() {
            if is_carried(attribute.code) {
                builder.carried.push(Carried {
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

/// Whether the builder keeps the attribute as octets.
fn is_carried(code: AttributeCode) -> bool {
    !code.is_known()
        || matches!(
            code,
            AttributeCode::TUNNEL_ENCAPSULATION
                | AttributeCode::AIGP
                | AttributeCode::ONLY_TO_CUSTOMER
                | AttributeCode::PREFIX_SID
                | AttributeCode::ATTR_SET
        )
}
