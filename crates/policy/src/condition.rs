//! What a rule asks of a route.

use chanter_bgp::{Attributes, EvpnNlri, Family, Nlri, Origin};
use chanter_types::{Asn, Prefix, RouteDistinguisher};

use crate::as_path::AsPathSet;
use crate::community::CommunitySet;
use crate::numbers::NumberSet;
use crate::policy::PolicyRoute;
use crate::prefix_set::PrefixSet;
use crate::rd::RdPattern;

/// What a rule asks of a route. Of several values in one condition, one has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The prefix, of whatever family; of an EVPN MAC/IP route its IP address, of FlowSpec the
    /// destination. A route without one does not match.
    Prefix(std::sync::Arc<PrefixSet>),
    /// The family.
    Family(Vec<Family>),
    /// A community of any kind; route targets are extended communities.
    Community(std::sync::Arc<CommunitySet>),
    /// AS_PATH by regular expressions.
    AsPath(std::sync::Arc<AsPathSet>),
    /// The length of AS_PATH as path selection counts it.
    AsPathLength(NumberSet),
    /// An AS anywhere in AS_PATH.
    AsPathContains(Vec<Asn>),
    /// The first AS of AS_PATH.
    NeighborAs(Vec<Asn>),
    /// The last AS of AS_PATH; ours where the path is empty.
    OriginAs(Vec<Asn>),
    /// The AS of the peer.
    PeerAs(Vec<Asn>),
    /// The next hop is within one of these.
    NextHop(PrefixSet),
    /// LOCAL_PREF; 100 where there is none.
    LocalPref(NumberSet),
    /// MULTI_EXIT_DISC; 0 where there is none.
    Med(NumberSet),
    /// ORIGIN.
    Origin(Vec<Origin>),
    /// The EVPN route type.
    EvpnType(Vec<u8>),
    /// The route distinguisher.
    Rd(Vec<RdPattern>),
    /// The label field as a VNI (RFC 8365 section 5.1.3), either of two.
    Vni(NumberSet),
    /// The label field as an MPLS label, either of two.
    Label(NumberSet),
}

/// The LOCAL_PREF of a route that has none.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

impl Condition {
    /// Whether it depends on more of a route than its family and its attributes.
    pub fn looks_at_nlri(&self) -> bool {
        matches!(
            self,
            Condition::Prefix(_)
                | Condition::EvpnType(_)
                | Condition::Rd(_)
                | Condition::Vni(_)
                | Condition::Label(_)
        )
    }

    /// Whether it holds for `route`.
    pub fn holds(&self, route: &PolicyRoute<'_>) -> bool {
        let attributes = route.attributes;
        match self {
            Condition::Prefix(set) => prefix(route.nlri).is_some_and(|prefix| set.matches(prefix)),
            Condition::Family(families) => families.contains(&route.nlri.family()),
            Condition::Community(set) => set.matches(attributes),
            Condition::AsPath(set) => set.matches(attributes.as_path()),
            Condition::AsPathLength(lengths) => lengths.contains(attributes.as_path_len()),
            Condition::AsPathContains(asns) => {
                attributes.as_path().asns().any(|asn| asns.contains(&asn))
            }
            Condition::NeighborAs(asns) => {
                let first = attributes.as_path().first_as();
                first.is_some_and(|asn| asns.contains(&asn))
            }
            Condition::OriginAs(asns) => asns.contains(&origin_as(attributes, route.local_as)),
            Condition::PeerAs(asns) => asns.contains(&route.peer_as),
            Condition::NextHop(set) => attributes
                .next_hop()
                .is_some_and(|next_hop| set.matches_host(next_hop)),
            Condition::LocalPref(numbers) => {
                numbers.contains(attributes.local_pref().unwrap_or(DEFAULT_LOCAL_PREF))
            }
            Condition::Med(numbers) => numbers.contains(attributes.med().unwrap_or(0)),
            Condition::Origin(origins) => origins.contains(&attributes.origin()),
            Condition::EvpnType(types) => match route.nlri {
                Nlri::Evpn(nlri) => types.contains(&nlri.route_type()),
                _ => false,
            },
            Condition::Rd(patterns) => {
                rd(route.nlri).is_some_and(|rd| patterns.iter().any(|pattern| pattern.matches(rd)))
            }
            Condition::Vni(numbers) => labels(route).any(|field| numbers.contains(field)),
            Condition::Label(numbers) => labels(route).any(|field| numbers.contains(field >> 4)),
        }
    }
}

fn origin_as(attributes: &Attributes, local_as: Asn) -> Asn {
    attributes.as_path().asns().last().unwrap_or(local_as)
}

/// The label fields of a route of a family that has them.
fn labels(route: &PolicyRoute<'_>) -> impl Iterator<Item = u32> {
    let labelled = matches!(route.nlri, Nlri::Evpn(_) | Nlri::Vpn4(_) | Nlri::Vpn6(_));
    let fields = [Some(route.path.label), route.path.label2()];
    fields.into_iter().flatten().filter(move |_| labelled)
}

fn rd(nlri: &Nlri) -> Option<RouteDistinguisher> {
    match nlri {
        Nlri::Evpn(nlri) => nlri.rd(),
        Nlri::Vpn4(route) => Some(route.rd),
        Nlri::Vpn6(route) => Some(route.rd),
        Nlri::FlowSpec(nlri) => nlri.rd(),
        Nlri::Ipv4(_) | Nlri::Ipv6(_) | Nlri::Rtc(_) => None,
    }
}

/// The prefix that a route is about; of FlowSpec the destination.
fn prefix(nlri: &Nlri) -> Option<Prefix> {
    match nlri {
        Nlri::Ipv4(prefix) => Some(Prefix::V4(*prefix)),
        Nlri::Ipv6(prefix) => Some(Prefix::V6(*prefix)),
        Nlri::Vpn4(route) => Some(Prefix::V4(route.prefix)),
        Nlri::Vpn6(route) => Some(Prefix::V6(route.prefix)),
        Nlri::Evpn(EvpnNlri::MacIp(route)) => route.ip.map(Prefix::host),
        Nlri::Evpn(EvpnNlri::IpPrefix(route)) => Some(route.prefix),
        Nlri::FlowSpec(nlri) => nlri.destination(),
        Nlri::Evpn(_) | Nlri::Rtc(_) => None,
    }
}
