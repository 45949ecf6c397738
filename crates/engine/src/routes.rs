//! The tables as plain values, page by page.

use std::net::IpAddr;

use chanter_bgp::{EvpnNlri, Family, Nlri};
use chanter_types::MacAddr;

use crate::rib::{DestRef, Destination, PathOrigin, Scope};
use crate::view::{PageToken, PathSource, PathView, RoutePage, RouteQuery, RouteView};
use crate::{Engine, PeerId};

/// How many destinations are looked at for a page, unless the query says otherwise.
const SCAN_MAX: usize = 10_000;

/// Where a listing stands: the family by its place among the supported ones, and the place in that
/// family's table.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    family: u32,
    place: u32,
}

impl Cursor {
    fn of(token: PageToken) -> Self {
        Cursor {
            family: (token.0 >> 32) as u32,
            place: token.0 as u32,
        }
    }

    fn token(self) -> PageToken {
        PageToken(u64::from(self.family) << 32 | u64::from(self.place))
    }
}

impl Engine {
    /// A page of destinations with their paths.
    pub fn routes(&self, query: &RouteQuery) -> RoutePage {
        // A MAC address has few destinations, found by an index: no pages.
        if let Some(mac) = query.mac {
            let all = self.rib.destinations_with_mac(mac);
            let routes = all.filter_map(|at| self.route_view(at, query)).collect();
            return RoutePage { routes, next: None };
        }
        let start = query.after.map_or(
            Cursor {
                family: 0,
                place: 0,
            },
            Cursor::of,
        );
        let mut left = if query.scan_max == 0 {
            SCAN_MAX
        } else {
            query.scan_max
        };
        let mut routes = Vec::new();
        for (number, family) in (0..).zip(Family::SUPPORTED) {
            if number < start.family || query.family.is_some_and(|only| only != family) {
                continue;
            }
            let from = if number == start.family {
                start.place
            } else {
                0
            };
            for at in self.rib.scan(family, scope(query), from) {
                if left == 0 {
                    let next = Cursor {
                        family: number,
                        place: at.index(),
                    };
                    return RoutePage {
                        routes,
                        next: Some(next.token()),
                    };
                }
                left -= 1;
                routes.extend(self.route_view(at, query));
            }
        }
        RoutePage { routes, next: None }
    }

    /// One destination with its paths.
    pub(crate) fn route(&self, nlri: &Nlri) -> Option<RouteView> {
        let destination = self.rib.destination(self.rib.lookup(nlri)?);
        Some(self.view_of(destination.nlri()?, &destination))
    }

    /// Whether there is a peer to talk to.
    pub(crate) fn has_established(&self) -> bool {
        self.peers.tally().established > 0
    }

    /// The peers that are sent a destination, by address.
    pub(crate) fn advertised_to(&self, nlri: &Nlri) -> Vec<IpAddr> {
        let Some(at) = self.rib.lookup(nlri) else {
            return Vec::new();
        };
        let established = self.peers.iter().filter(|(_, peer)| peer.established);
        let told = established.filter(|(peer, _)| self.rib.is_advertised(*peer, at));
        told.map(|(_, peer)| peer.session.peer_addr).collect()
    }

    /// Why each peer that is not sent a destination is not.
    pub(crate) fn not_advertised_to(&self, nlri: &Nlri) -> Vec<(IpAddr, String)> {
        let Some(at) = self.rib.lookup(nlri) else {
            return Vec::new();
        };
        let established = self.peers.iter().filter(|(_, peer)| peer.established);
        established
            .filter(|(peer, _)| !self.rib.is_advertised(*peer, at))
            .map(|(peer, state)| {
                let reason = match self.rib.exported(peer, at) {
                    Ok(_) => "it is about to be sent".to_owned(),
                    Err(reason) => reason.to_string(),
                };
                (state.session.peer_addr, reason)
            })
            .collect()
    }

    /// The destination, if the query asks for it.
    fn route_view(&self, at: DestRef, query: &RouteQuery) -> Option<RouteView> {
        let destination = self.rib.destination(at);
        let nlri = destination.nlri()?;
        self.is_wanted(&nlri, &destination, query)
            .then(|| self.view_of(nlri, &destination))
    }

    fn is_wanted(&self, nlri: &Nlri, destination: &Destination<'_>, query: &RouteQuery) -> bool {
        let RouteQuery {
            family,
            instance,
            mac,
            ip,
            peer,
            advertised_to,
            local_only,
            ..
        } = query;
        let from = |peer: PeerId| {
            destination
                .paths()
                .iter()
                .any(|(path, _)| path.origin == PathOrigin::Peer(peer))
        };
        let local = || {
            let paths = destination.paths();
            paths
                .iter()
                .any(|(path, _)| matches!(path.origin, PathOrigin::Local(_)))
        };
        family.is_none_or(|family| nlri.family() == family)
            && mac.is_none_or(|mac| has_mac(nlri, mac))
            && ip.is_none_or(|ip| destination.concerns(ip))
            && peer.is_none_or(from)
            && advertised_to.is_none_or(|peer| self.rib.is_advertised(peer, destination.at()))
            && (!local_only || local())
            && instance.as_ref().is_none_or(|id| {
                let Some(number) = self.vpn.number_of(id) else {
                    return false;
                };
                let origin = PathOrigin::Local(number);
                let paths = destination.paths();
                let imported = matches!(nlri, Nlri::Evpn(nlri)
                    if self.vpn.holders(nlri).any(|vrf| vrf.id == *id));
                imported || paths.iter().any(|(path, _)| path.origin == origin)
            })
    }

    fn view_of(&self, nlri: Nlri, destination: &Destination<'_>) -> RouteView {
        let imported_by = match &nlri {
            Nlri::Evpn(nlri) => {
                let usable = self
                    .vpn
                    .holders(nlri)
                    .filter(|vrf| !vrf.unusable.contains_key(nlri));
                usable.map(|vrf| vrf.id.clone()).collect()
            }
            _ => Vec::new(),
        };
        let paths = destination
            .paths()
            .into_iter()
            .enumerate()
            .map(|(place, (path, lost))| PathView {
                source: self.path_source(path.origin),
                attributes: path.attributes.clone(),
                data: path.data,
                since: path.since,
                stale: path.stale,
                lost_because: lost.map(|reason| reason.to_string()),
                imported_by: if place == 0 {
                    imported_by.clone()
                } else {
                    Vec::new()
                },
            });
        let paths = paths.collect();
        RouteView { nlri, paths }
    }

    fn path_source(&self, origin: PathOrigin) -> PathSource {
        match origin {
            PathOrigin::Peer(peer) => {
                let session = self.rib.session(peer);
                let unknown = IpAddr::from([0, 0, 0, 0]);
                let addr = session.map_or(unknown, |(session, _)| session.peer_addr);
                PathSource::Peer { peer, addr }
            }
            PathOrigin::Local(number) => match self.vpn.get(number) {
                Some(vrf) => PathSource::Instance(vrf.id.clone()),
                None => PathSource::Local,
            },
        }
    }
}

/// The narrowest set of destinations that holds all that is asked for.
fn scope(query: &RouteQuery) -> Scope {
    match (query.peer, query.advertised_to) {
        (Some(peer), _) => Scope::ReceivedFrom(peer),
        (None, Some(peer)) => Scope::AdvertisedTo(peer),
        (None, None) if query.local_only => Scope::Local,
        (None, None) => Scope::All,
    }
}

fn has_mac(nlri: &Nlri, mac: MacAddr) -> bool {
    matches!(nlri, Nlri::Evpn(EvpnNlri::MacIp(route)) if route.mac == mac)
}
