//! An address in the tables that no VPN instance of this node stands behind: IP routes, VPN routes that
//! are passed on, filters; and what was not taken from peers.

use std::net::IpAddr;

use chanter_bgp::{EvpnNlri, Family, Nlri};
use chanter_types::{Ipv4Prefix, Ipv6Prefix};

use super::text::rib_step;
use crate::Engine;
use crate::rib;
use crate::view::{RouteQuery, RouteView, WhyStep, WhySubject};

/// Tables without an index by address; a page of each is looked at.
const SCANNED: [Family; 6] = [
    Family::IPV4_VPN,
    Family::IPV6_VPN,
    Family::IPV4_FLOWSPEC,
    Family::IPV6_FLOWSPEC,
    Family::IPV4_FLOWSPEC_VPN,
    Family::IPV6_FLOWSPEC_VPN,
];

impl Engine {
    /// The routes outside EVPN that concern an address, the most specific first.
    pub(super) fn plain_routes(&self, subject: WhySubject) -> Vec<WhyStep> {
        let WhySubject::Ip(ip) = subject else {
            return Vec::new();
        };
        let mut routes: Vec<RouteView> = prefixes_of(ip)
            .filter_map(|nlri| self.route(&nlri))
            .collect();
        for family in SCANNED {
            let query = RouteQuery {
                family: Some(family),
                ip: Some(ip),
                ..RouteQuery::default()
            };
            routes.extend(self.routes(&query).routes);
        }
        routes.iter().map(rib_step).collect()
    }

    /// Routes about the address that were not taken lately, with peer and reason.
    pub(super) fn not_taken(&self, subject: WhySubject) -> Vec<String> {
        let about = |nlri: &Nlri| match subject {
            WhySubject::Ip(ip) => rib::concerns(nlri, ip),
            WhySubject::Mac(mac) => {
                matches!(nlri, Nlri::Evpn(EvpnNlri::MacIp(route)) if route.mac == mac)
            }
        };
        let last = self.rib.rejected_routes();
        last.filter(|(_, route)| about(&route.nlri))
            .map(|(peer, route)| {
                let session = self.rib.session(peer);
                let addr = session.map(|(session, _)| session.peer_addr.to_string());
                let addr = addr.unwrap_or_default();
                format!("{} from peer {addr}: {route}", route.nlri)
            })
            .collect()
    }
}

/// All prefixes that hold the address, the longest first.
fn prefixes_of(ip: IpAddr) -> Box<dyn Iterator<Item = Nlri>> {
    match ip {
        IpAddr::V4(addr) => Box::new(
            (0..=32)
                .rev()
                .filter_map(move |len| masked4(addr.to_bits(), len).map(Nlri::Ipv4)),
        ),
        IpAddr::V6(addr) => Box::new(
            (0..=128)
                .rev()
                .filter_map(move |len| masked6(addr.to_bits(), len).map(Nlri::Ipv6)),
        ),
    }
}

fn masked4(bits: u32, len: u8) -> Option<Ipv4Prefix> {
    let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
    Ipv4Prefix::new((bits & mask).into(), len)
}

fn masked6(bits: u128, len: u8) -> Option<Ipv6Prefix> {
    let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
    Ipv6Prefix::new((bits & mask).into(), len)
}
