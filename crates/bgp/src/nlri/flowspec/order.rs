//! Which of two FlowSpec NLRI comes first (RFC 8955 section 5.1, RFC 8956 section 4).

use std::cmp::Ordering;

use super::{FlowSpecComponent, FlowSpecNlri, FlowSpecPrefix, wire};

impl FlowSpecNlri {
    /// The order in which filters apply to traffic: `Less` means that this one is looked at first.
    /// Equal are only those with the same components; the route distinguisher does not count.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let ours = wire::raw_components(self.family, &self.rules).zip(self.components());
        let mut theirs = wire::raw_components(other.family, &other.rules).zip(other.components());
        for ((kind, octets), component) in ours {
            // One that has more to ask is looked at first.
            let Some(((other_kind, other_octets), other_component)) = theirs.next() else {
                return Ordering::Less;
            };
            let order = kind
                .cmp(&other_kind)
                .then_with(|| match (&component, &other_component) {
                    (FlowSpecComponent::Destination(a), FlowSpecComponent::Destination(b))
                    | (FlowSpecComponent::Source(a), FlowSpecComponent::Source(b)) => prefix(a, b),
                    _ => octets_first(octets, other_octets),
                });
            if order.is_ne() {
                return order;
            }
        }
        match theirs.next() {
            Some(_) => Ordering::Greater,
            None => Ordering::Equal,
        }
    }
}

/// A lower offset comes first, then a lower value of the common bits, then the longer prefix.
fn prefix(a: &FlowSpecPrefix, b: &FlowSpecPrefix) -> Ordering {
    let common = a.prefix.len().min(b.prefix.len());
    let bits = |prefix: &FlowSpecPrefix| {
        chanter_types::Prefix::new(prefix.prefix.addr(), common).map(|prefix| prefix.addr())
    };
    a.offset
        .cmp(&b.offset)
        .then_with(|| bits(a).cmp(&bits(b)))
        .then_with(|| b.prefix.len().cmp(&a.prefix.len()))
}

/// Lower octets come first; where one begins with the other, the longer one.
fn octets_first(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    a[..common]
        .cmp(&b[..common])
        .then_with(|| b.len().cmp(&a.len()))
}
