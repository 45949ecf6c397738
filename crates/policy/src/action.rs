//! What a rule does to the attributes of a route.

use std::net::IpAddr;
use std::sync::Arc;

use chanter_bgp::{Attributes, AttributesBuilder, Family, Origin};
use chanter_types::Asn;

use crate::community::{Communities, CommunitySet};
use crate::condition::DEFAULT_LOCAL_PREF;
use crate::policy::PolicyRoute;

/// What a rule does to the attributes of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sets or changes LOCAL_PREF; a route without has 100.
    LocalPref(Adjust),
    /// Sets or changes MULTI_EXIT_DISC; a route without has 0.
    Med(Adjust),
    /// Leaves MULTI_EXIT_DISC out.
    RemoveMed,
    /// Sets ORIGIN.
    Origin(Origin),
    /// Sets the next hop.
    NextHop(IpAddr),
    /// Sets the next hop to our address on the session. Of IP routes only: the label of a VPN route
    /// belongs to the next hop that it came with.
    NextHopSelf,
    /// Puts an AS in front of AS_PATH, so many times.
    Prepend {
        /// The AS.
        asn: PrependAs,
        /// How often.
        times: u8,
    },
    /// Changes communities.
    Community(CommunityEdit),
}

/// How a number is changed. Results stay between 0 and 4294967295.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjust {
    /// To this.
    Set(u32),
    /// By this more.
    Add(u32),
    /// By this less.
    Subtract(u32),
}

impl Adjust {
    fn apply(self, number: u32) -> u32 {
        match self {
            Adjust::Set(number) => number,
            Adjust::Add(more) => number.saturating_add(more),
            Adjust::Subtract(less) => number.saturating_sub(less),
        }
    }
}

/// Which AS is put in front of AS_PATH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrependAs {
    /// Ours.
    Local,
    /// The peer's.
    Peer,
    /// This one.
    Number(Asn),
}

/// How communities are changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommunityEdit {
    /// These are added unless they are there.
    Add(Communities),
    /// Those in the set go.
    Remove(Arc<CommunitySet>),
    /// These take the place of all of their kinds.
    Set(Communities),
}

impl Action {
    /// The attributes afterwards; `None` if they are as they were.
    pub(crate) fn apply(&self, route: &PolicyRoute<'_>) -> Option<Attributes> {
        let before = route.attributes;
        let builder = before.to_builder();
        let after = match self {
            Action::LocalPref(adjust) => {
                builder.local_pref(adjust.apply(before.local_pref().unwrap_or(DEFAULT_LOCAL_PREF)))
            }
            Action::Med(adjust) => builder.med(adjust.apply(before.med().unwrap_or(0))),
            Action::RemoveMed => builder.med(None),
            Action::Origin(origin) => builder.origin(*origin),
            Action::NextHop(next_hop) => builder.next_hop(*next_hop),
            Action::NextHopSelf => builder.next_hop(own_next_hop(route)?),
            Action::Prepend { asn, times } => {
                let asn = match asn {
                    PrependAs::Local => route.local_as,
                    PrependAs::Peer => route.peer_as,
                    PrependAs::Number(asn) => *asn,
                };
                (0..*times).fold(builder, |builder, _| builder.prepend(asn))
            }
            Action::Community(edit) => edit.apply(builder, before),
        };
        Some(after.build()).filter(|after| after != before)
    }
}

impl CommunityEdit {
    fn apply(&self, builder: AttributesBuilder, before: &Attributes) -> AttributesBuilder {
        let standard = before.communities();
        let large = before.large_communities();
        let extended = before.extended_communities();
        match self {
            CommunityEdit::Add(more) => builder
                .communities(with(standard, &more.standard))
                .large_communities(with(large, &more.large))
                .extended_communities(with(extended, &more.extended)),
            CommunityEdit::Remove(set) => builder
                .communities(standard.filter(|one| !set.has_standard(*one)).collect())
                .large_communities(large.filter(|one| !set.has_large(*one)).collect())
                .extended_communities(extended.filter(|one| !set.has_extended(*one)).collect()),
            CommunityEdit::Set(those) => {
                let mut builder = builder;
                if !those.standard.is_empty() {
                    builder = builder.communities(those.standard.clone());
                }
                if !those.large.is_empty() {
                    builder = builder.large_communities(those.large.clone());
                }
                if !those.extended.is_empty() {
                    builder = builder.extended_communities(those.extended.clone());
                }
                builder
            }
        }
    }
}

/// `list` and those of `more` that are not in it.
fn with<T: PartialEq + Copy>(list: impl Iterator<Item = T>, more: &[T]) -> Vec<T> {
    let mut list: Vec<T> = list.collect();
    for one in more {
        if !list.contains(one) {
            list.push(*one);
        }
    }
    list
}

/// Our address as a next hop, where that means something.
fn own_next_hop(route: &PolicyRoute<'_>) -> Option<IpAddr> {
    match (route.nlri.family(), route.local_addr?) {
        // RFC 4798 section 2.
        (Family::IPV6_UNICAST, IpAddr::V4(addr)) => Some(addr.to_ipv6_mapped().into()),
        (Family::IPV4_UNICAST | Family::IPV6_UNICAST, addr) => Some(addr),
        _ => None,
    }
}

/// Whether an AS number is for private use (RFC 6996 section 5).
pub(crate) fn is_private(asn: Asn) -> bool {
    matches!(asn.0, 64_512..=65_534 | 4_200_000_000..=4_294_967_294)
}

/// Leaves private AS numbers out of AS_PATH.
pub(crate) fn without_private(
    builder: AttributesBuilder,
    attributes: &Attributes,
) -> AttributesBuilder {
    let segments = attributes.as_path().segments();
    segments.fold(builder.clear_as_path(), |builder, segment| {
        let kept: Vec<Asn> = segment.asns().filter(|asn| !is_private(*asn)).collect();
        builder.append_segment(segment.kind(), &kept)
    })
}
