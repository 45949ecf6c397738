//! What follows from what was said, written down as the RFCs have it, without regard to cost.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chanter_bgp::{Attributes, ExtendedCommunity, Family, Nlri, PathData, RtMembership};
use chanter_engine::rib::PathOrigin;
use chanter_engine::{PeerId, PeerRole};

use super::{Model, ModelPath, ModelPeer};
use crate::rib_support::{CLUSTER_ID, LOCAL_ADDR, LOCAL_AS, ROUTER_ID};

impl Model {
    fn peer_of(&self, path: &ModelPath) -> Option<&ModelPeer> {
        match path.origin {
            PathOrigin::Peer(peer) => self.peers.get(&peer),
            PathOrigin::Local(_) => None,
        }
    }

    fn role_of(&self, path: &ModelPath) -> Option<PeerRole> {
        self.peer_of(path).map(|peer| peer.session.role)
    }

    fn router_id(&self, path: &ModelPath) -> Ipv4Addr {
        self.peer_of(path)
            .map_or(ROUTER_ID, |peer| peer.session.peer_router_id)
    }

    pub(crate) fn best(&self, nlri: &Nlri) -> Option<&ModelPath> {
        self.best_among(nlri, self.paths.get(nlri)?.iter().collect())
    }

    fn best_among<'a>(&self, nlri: &Nlri, mut left: Vec<&'a ModelPath>) -> Option<&'a ModelPath> {
        fn keep<'a, R: Ord>(left: &mut Vec<&'a ModelPath>, rank: impl Fn(&'a ModelPath) -> R) {
            if let Some(best) = left.iter().map(|path| rank(path)).min() {
                left.retain(|path| rank(path) == best);
            }
        }
        let is_mac = matches!(nlri, Nlri::Evpn(chanter_bgp::EvpnNlri::MacIp(_)));
        let mobility = |path: &ModelPath| {
            let mut communities = path.attributes.extended_communities();
            communities
                .find_map(ExtendedCommunity::as_mac_mobility)
                .unwrap_or((false, 0))
        };
        if is_mac {
            keep(&mut left, |path| Reverse(mobility(path)));
        }
        let is_external = |path: &ModelPath| self.role_of(path) == Some(PeerRole::Ebgp);
        keep(&mut left, |path| {
            Reverse(path.attributes.local_pref().unwrap_or(100))
        });
        keep(&mut left, |path| matches!(path.origin, PathOrigin::Peer(_)));
        keep(&mut left, |path| path.attributes.as_path().path_len());
        keep(&mut left, |path| path.attributes.origin().code());
        let meds: Vec<_> = left
            .iter()
            .map(|path| {
                (
                    path.attributes.as_path().first_as(),
                    path.attributes.med().unwrap_or(0),
                )
            })
            .collect();
        left.retain(|path| {
            let neighbor = path.attributes.as_path().first_as();
            let med = path.attributes.med().unwrap_or(0);
            !meds
                .iter()
                .any(|(other, lower)| *other == neighbor && *lower < med)
        });
        keep(&mut left, |path| !is_external(path));
        keep(&mut left, |path| {
            path.attributes
                .originator_id()
                .unwrap_or_else(|| self.router_id(path))
        });
        keep(&mut left, |path| path.attributes.cluster_list().count());
        keep(&mut left, |path| {
            self.peer_of(path).map(|peer| peer.session.peer_addr)
        });
        keep(&mut left, |path| path.path_id);
        keep(&mut left, |path| path.origin);
        left.first().copied()
    }

    /// All that an established peer must have been sent.
    pub(crate) fn adj_rib_out(&self, target: PeerId) -> BTreeMap<Nlri, (PathData, Attributes)> {
        let mut out = BTreeMap::new();
        let peer = &self.peers[&target];
        for (nlri, paths) in &self.paths {
            if !peer.session.families.contains(&nlri.family()) {
                continue;
            }
            let sent = if nlri.family() == Family::IPV4_RTC {
                // RFC 4684 section 3.2: the best of those that may go there.
                let eligible: Vec<_> = paths
                    .iter()
                    .filter(|path| self.form(target, nlri, path).is_some())
                    .collect();
                self.best_among(nlri, eligible)
            } else {
                self.best(nlri)
            };
            let form = sent.and_then(|path| Some((path.data, self.form(target, nlri, path)?)));
            out.extend(form.map(|form| (nlri.clone(), form)));
        }
        self.add_default_membership(peer, &mut out);
        out
    }

    fn add_default_membership(
        &self,
        peer: &ModelPeer,
        out: &mut BTreeMap<Nlri, (PathData, Attributes)>,
    ) {
        let is_asked = self.reflect
            && peer.session.role == PeerRole::RouteReflectorClient
            && peer.session.families.contains(&Family::IPV4_RTC);
        if !is_asked {
            return;
        }
        let own = Attributes::builder()
            .local_pref(100)
            .next_hop(LOCAL_ADDR)
            .build();
        let nlri = Nlri::Rtc(RtMembership::DEFAULT);
        // It stands among the paths that this node originates, as one of the node itself.
        let locals = self.paths.get(&nlri).into_iter().flatten();
        let locals = locals.filter(|path| matches!(path.origin, PathOrigin::Local(_)));
        let own_path = ModelPath {
            origin: PathOrigin::Local(0),
            path_id: 0,
            data: PathData::default(),
            attributes: own.clone(),
            stale: false,
            unrepeated: false,
        };
        let sendable = locals.filter(|path| {
            !path
                .attributes
                .communities()
                .any(|community| community.0 == 0xffff_ff02)
        });
        let best = self.best_among(&nlri, sendable.chain([&own_path]).collect());
        if best.is_some_and(|path| path.origin == own_path.origin) {
            out.insert(nlri, (PathData::default(), own));
        }
    }

    /// The attributes with which a path goes to a peer, if it does.
    fn form(&self, target: PeerId, nlri: &Nlri, path: &ModelPath) -> Option<Attributes> {
        let family = nlri.family();
        let peer = &self.peers[&target];
        let role = peer.session.role;
        let (to_client, to_other_as) = (
            role == PeerRole::RouteReflectorClient,
            role == PeerRole::Ebgp,
        );
        let communities: Vec<u32> = path.attributes.communities().map(|one| one.0).collect();
        let is_membership = family == Family::IPV4_RTC;
        let from = self.role_of(path);
        if path.origin == PathOrigin::Peer(target)
            || communities.contains(&0xffff_ff02)
            || (to_other_as && communities.contains(&0xffff_ff01))
            || (is_membership && self.reflect && to_client && from.is_some())
            || (family.is_vpn() && !self.is_wanted(target, path))
        {
            return None;
        }
        let builder = path.attributes.to_builder();
        if to_other_as {
            let next_hop = match family {
                // The next hop of IPv6 routes is an IPv6 address, be it a mapped one.
                Family::IPV6_UNICAST => Some(mapped(LOCAL_ADDR)),
                Family::IPV4_UNICAST | Family::IPV4_RTC => Some(LOCAL_ADDR),
                // A label or VNI stays with its next hop.
                _ => path.attributes.next_hop(),
            };
            let med = path.attributes.med().filter(|_| from.is_none());
            let builder = builder.prepend(LOCAL_AS).local_pref(None).med(med);
            let builder = builder
                .originator_id(None)
                .clear_cluster_list()
                .next_hop(next_hop);
            return Some(builder.build());
        }
        let builder = builder.local_pref(path.attributes.local_pref().unwrap_or(100));
        let builder = match from {
            None | Some(PeerRole::Ebgp) => builder,
            Some(PeerRole::Ibgp) if !to_client => return None,
            Some(_) if is_membership && to_client => builder
                .originator_id(ROUTER_ID)
                .prepend_cluster(CLUSTER_ID)
                .next_hop(LOCAL_ADDR),
            Some(_) => {
                let originator = path
                    .attributes
                    .originator_id()
                    .unwrap_or_else(|| self.router_id(path));
                if originator == peer.session.peer_router_id {
                    return None;
                }
                builder
                    .originator_id(originator)
                    .prepend_cluster(CLUSTER_ID)
            }
        };
        Some(builder.build())
    }

    fn is_wanted(&self, target: PeerId, path: &ModelPath) -> bool {
        if !self.peers[&target]
            .session
            .families
            .contains(&Family::IPV4_RTC)
        {
            return true;
        }
        let asked = |membership: &RtMembership| {
            membership.is_default()
                || path
                    .attributes
                    .route_targets()
                    .any(|rt| membership.covers(rt))
        };
        self.paths.iter().any(|(nlri, paths)| {
            matches!(nlri, Nlri::Rtc(membership) if asked(membership))
                && paths
                    .iter()
                    .any(|path| path.origin == PathOrigin::Peer(target))
        })
    }
}

fn mapped(addr: std::net::IpAddr) -> std::net::IpAddr {
    match addr {
        std::net::IpAddr::V4(addr) => addr.to_ipv6_mapped().into(),
        addr => addr,
    }
}
