//! Attribute sets as an operator reads them.

use std::fmt;

use super::Attributes;
use crate::text::Hex;

impl fmt::Display for Attributes {
    /// `next-hop 192.0.2.1, origin igp, as-path 64512 65000, local-pref 100, ...`: what is not
    /// there is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(next_hop) = self.next_hop() {
            write!(f, "next-hop {next_hop}, ")?;
        }
        write!(f, "origin {}", self.origin())?;
        if !self.as_path().is_empty() {
            write!(f, ", as-path {}", self.as_path())?;
        }
        if let Some(local_pref) = self.local_pref() {
            write!(f, ", local-pref {local_pref}")?;
        }
        if let Some(med) = self.med() {
            write!(f, ", med {med}")?;
        }
        if self.atomic_aggregate() {
            f.write_str(", atomic-aggregate")?;
        }
        if let Some(aggregator) = self.aggregator() {
            write!(
                f,
                ", aggregator {} {}",
                aggregator.asn, aggregator.router_id
            )?;
        }
        list(f, "communities", self.communities())?;
        list(f, "large-communities", self.large_communities())?;
        list(f, "ext-communities", self.extended_communities())?;
        list(f, "ipv6-ext-communities", self.ipv6_extended_communities())?;
        if let Some(tunnel) = self.pmsi_tunnel() {
            write!(f, ", pmsi-tunnel {tunnel}")?;
        }
        if let Some(originator) = self.originator_id() {
            write!(f, ", originator-id {originator}")?;
        }
        list(f, "cluster-list", self.cluster_list())?;
        if let Some(tunnels) = self.tunnel_encapsulation() {
            write!(f, ", tunnel-encapsulation {tunnels}")?;
        }
        if let Some(sid) = self.prefix_sid() {
            write!(f, ", prefix-sid {sid}")?;
        }
        if let Some(metric) = self.aigp() {
            write!(f, ", aigp {metric}")?;
        }
        if let Some(asn) = self.only_to_customer() {
            write!(f, ", only-to-customer {asn}")?;
        }
        if let Some((asn, octets)) = self.attr_set() {
            write!(f, ", attr-set {asn} 0x{}", Hex(octets))?;
        }
        for unknown in self.unknown() {
            write!(f, ", {} 0x{}", unknown.code, Hex(unknown.value))?;
        }
        Ok(())
    }
}

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index == 0 {
            write!(f, ", {name}")?;
        }
        write!(f, " {item}")?;
    }
    Ok(())
}
