//! The routes that this node originates for a MAC-VRF.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, InclusiveMulticast, MacIp, Nlri, Origin, PathData,
    PmsiTunnel, RtMembership, encapsulation,
};
use chanter_types::{EthernetTag, MacAddr};

use crate::desired::DesiredKey;
use crate::program::{Gate, Program};
use crate::vpn::mac_vrf::{Local, MacEntry, MacVrf};

/// LOCAL_PREF where none is declared; what bagpipe-bgp sends.
pub(crate) const LOCAL_PREF: u32 = 100;

/// A route that is originated, beside its key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Originated {
    pub(crate) data: PathData,
    pub(crate) attributes: Attributes,
}

/// What to tell the RIB. What is new comes before what goes, so that a route that moves to another
/// key is never absent.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    pub(crate) originate: Vec<(Nlri, Originated)>,
    pub(crate) unoriginate: Vec<Nlri>,
}

impl MacVrf {
    /// Brings the originated routes of all that is marked up to date.
    pub(crate) fn settle_routes(&mut self, own_vtep: IpAddr, program: &Program) -> Updates {
        let mut updates = Updates::default();
        let mut macs = std::mem::take(&mut self.dirty.macs);
        if std::mem::take(&mut self.dirty.routes) {
            self.settle_multicast(own_vtep, program, &mut updates);
            macs.extend(self.macs.keys());
        }
        for mac in &macs {
            self.settle_mac_routes(*mac, own_vtep, program, &mut updates);
        }
        self.forget_empty(&macs);
        updates
    }

    /// Withdraws everything.
    pub(crate) fn withdraw_all(&mut self) -> Vec<Nlri> {
        let multicast = self.multicast.take().map(|(nlri, _)| Nlri::Evpn(nlri));
        let macs = self.macs.values_mut();
        let routes = macs.flat_map(|entry| std::mem::take(&mut entry.originated));
        routes
            .map(|(nlri, _)| Nlri::Evpn(nlri))
            .chain(multicast)
            .collect()
    }

    fn settle_multicast(&mut self, own: IpAddr, program: &Program, updates: &mut Updates) {
        let gate = program.gate(&DesiredKey::Domain(self.number));
        let ready = match gate {
            Gate::Confirmed => true,
            Gate::Waiting => self.multicast.is_some(),
            Gate::Gone => false,
        };
        let wanted = (ready && !self.export.is_empty()).then(|| self.multicast_route(own));
        if wanted == self.multicast {
            return;
        }
        let old = std::mem::replace(&mut self.multicast, wanted.clone());
        let new_key = wanted.as_ref().map(|(nlri, _)| nlri.clone());
        updates
            .originate
            .extend(wanted.map(|(nlri, route)| (nlri.into(), route)));
        let gone = old
            .map(|(nlri, _)| nlri)
            .filter(|nlri| Some(nlri) != new_key.as_ref());
        updates.unoriginate.extend(gone.map(Nlri::Evpn));
    }

    fn multicast_route(&self, own: IpAddr) -> (EvpnNlri, Originated) {
        let route = InclusiveMulticast {
            rd: self.rd,
            tag: EthernetTag::default(),
            originator: own,
        };
        let attributes = Attributes::builder()
            .origin(Origin::Igp)
            .next_hop(own)
            .local_pref(LOCAL_PREF)
            .extended_communities(self.communities())
            .pmsi_tunnel(PmsiTunnel::ingress_replication(self.vni.value(), own))
            .build();
        let originated = Originated {
            data: PathData::default(),
            attributes,
        };
        (EvpnNlri::InclusiveMulticast(route), originated)
    }

    fn settle_mac_routes(
        &mut self,
        mac: MacAddr,
        own: IpAddr,
        program: &Program,
        updates: &mut Updates,
    ) {
        let Some(entry) = self.macs.get(&mac) else {
            return;
        };
        let wanted: Vec<(EvpnNlri, Originated)> = if self.is_advertisable(mac, entry, program) {
            let routes = entry.local.iter().filter(|(ip, _)| advertised(entry, **ip));
            routes
                .map(|(ip, local)| self.mac_route(mac, *ip, local, entry, own))
                .collect()
        } else {
            Vec::new()
        };
        let Some(entry) = self.macs.get_mut(&mac) else {
            return;
        };
        let keys: BTreeSet<EvpnNlri> = wanted.iter().map(|(nlri, _)| nlri.clone()).collect();
        for (nlri, route) in wanted {
            if entry.originated.get(&nlri) != Some(&route) {
                updates.originate.push((nlri.clone().into(), route.clone()));
                entry.originated.insert(nlri, route);
            }
        }
        entry.originated.retain(|nlri, _| {
            let keep = keys.contains(nlri);
            if !keep {
                updates.unoriginate.push(nlri.clone().into());
            }
            keep
        });
    }

    /// Routes come when all that they promise is in place, and stay through failures that may pass;
    /// they go when the MAC is elsewhere or its port is gone.
    fn is_advertisable(&self, mac: MacAddr, entry: &MacEntry, program: &Program) -> bool {
        let Some(local) = entry.local.values().next().filter(|_| entry.is_local()) else {
            return false;
        };
        let gates = [
            DesiredKey::Domain(self.number),
            DesiredKey::Port(self.number, local.port.name.clone()),
            DesiredKey::LocalMac(self.number, mac),
        ]
        .map(|key| program.gate(&key));
        let ready = !entry.originated.is_empty() || gates.iter().all(|g| *g == Gate::Confirmed);
        ready && !gates.contains(&Gate::Gone) && !self.export.is_empty()
    }

    fn mac_route(
        &self,
        mac: MacAddr,
        ip: Option<IpAddr>,
        local: &Local,
        entry: &MacEntry,
        own: IpAddr,
    ) -> (EvpnNlri, Originated) {
        let route = MacIp {
            rd: self.rd,
            tag: EthernetTag::default(),
            mac,
            ip,
        };
        let mut communities = self.communities();
        let sticky = entry.local_sticky();
        if sticky || entry.sequence > 0 {
            communities.push(ExtendedCommunity::mac_mobility(sticky, entry.sequence));
        }
        let attributes = Attributes::builder()
            .origin(Origin::Igp)
            .next_hop(own)
            .local_pref(local.local_pref.unwrap_or(LOCAL_PREF))
            .extended_communities(communities)
            .build();
        let data = PathData::with_label(self.vni.value());
        (EvpnNlri::MacIp(route), Originated { data, attributes })
    }

    /// The communities of every route: export route targets and encapsulation.
    fn communities(&self) -> Vec<ExtendedCommunity> {
        let targets = self
            .export
            .iter()
            .map(|rt| ExtendedCommunity::route_target(*rt));
        targets
            .chain([ExtendedCommunity::encapsulation(encapsulation::VXLAN)])
            .collect()
    }
}

/// A MAC without address is advertised only as long as none of its addresses is.
pub(crate) fn advertised(entry: &MacEntry, ip: Option<IpAddr>) -> bool {
    ip.is_some() || !entry.local.keys().any(Option::is_some)
}

/// An RT membership route (RFC 4684 section 3.2). Its next hop is our address on each session.
pub(crate) fn membership(membership: RtMembership) -> (Nlri, Originated) {
    let attributes = Attributes::builder()
        .origin(Origin::Igp)
        .local_pref(LOCAL_PREF)
        .build();
    (
        Nlri::Rtc(membership),
        Originated {
            data: PathData::default(),
            attributes,
        },
    )
}
