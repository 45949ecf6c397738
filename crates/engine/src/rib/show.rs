//! What the RIB shows of itself.

use std::net::IpAddr;

use chanter_bgp::{Attributes, Family, Nlri, PathData};
use chanter_types::{Instant, MacAddr, RouteTarget};

use super::key::{FlowSpec4, FlowSpecKey, Key};
use super::{
    DestRef, LossReason, NotExported, PathOrigin, RejectReason, RejectedRoute, Rib, TableId,
    in_table,
};
use crate::view::{FamilySummary, PeerFamilyView};
use crate::{PeerId, SessionInfo};

/// A path as it stands.
#[derive(Debug, Clone, Copy)]
pub struct PathRef<'a> {
    /// Who said it.
    pub origin: PathOrigin,
    /// Its attributes, as they were received or originated.
    pub attributes: &'a Attributes,
    /// What the NLRI carries beside its key.
    pub data: PathData,
    /// Since when it has been as it is.
    pub since: Instant,
    /// Whether it is kept from before a restart of its peer.
    pub stale: bool,
}

/// A destination as it stands.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    rib: &'a Rib,
    at: DestRef,
}

/// Which destinations of a table to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// Those with a path of this node.
    Local,
    /// Those with a path of the peer.
    ReceivedFrom(PeerId),
    /// Those that the peer has been sent.
    AdvertisedTo(PeerId),
    /// Those with a path that has the route target.
    RouteTarget(RouteTarget),
}

/// Whether a destination is about this address, or a prefix that holds it.
pub(crate) fn concerns(nlri: &Nlri, ip: IpAddr) -> bool {
    match nlri {
        Nlri::Ipv4(key) => key.concerns(ip),
        Nlri::Ipv6(key) => key.concerns(ip),
        Nlri::Evpn(key) => key.concerns(ip),
        Nlri::Rtc(key) => key.concerns(ip),
        Nlri::Vpn4(key) => key.concerns(ip),
        Nlri::Vpn6(key) => key.concerns(ip),
        Nlri::FlowSpec(nlri) => FlowSpec4::concerns(&FlowSpecKey(nlri.clone()), ip),
    }
}

impl<'a> Destination<'a> {
    /// The reference by which it was asked for.
    pub fn at(&self) -> DestRef {
        self.at
    }

    /// Its key; `None` once the reference is no longer valid.
    pub fn nlri(&self) -> Option<Nlri> {
        in_table!(self.rib, self.at.table, table => table.nlri(self.at.index))
    }

    /// The best path, if there is a path.
    pub fn best(&self) -> Option<PathRef<'a>> {
        let rib = self.rib;
        in_table!(rib, self.at.table, table => table.best(&rib.peers, self.at.index))
    }

    /// The best of the paths that peers sent, whether or not the best of all is our own.
    pub fn best_of_peers(&self) -> Option<PathRef<'a>> {
        let rib = self.rib;
        in_table!(rib, self.at.table, table => table.best_of_peers(&rib.peers, self.at.index))
    }

    /// All paths, the best first; with the others why they lost.
    pub fn paths(&self) -> Vec<(PathRef<'a>, Option<LossReason>)> {
        let rib = self.rib;
        in_table!(rib, self.at.table, table => table.show_paths(&rib.peers, self.at.index))
    }

    /// Whether it is about this address, or a prefix that holds it.
    pub fn concerns(&self, ip: IpAddr) -> bool {
        in_table!(self.rib, self.at.table, table => table.concerns(self.at.index, ip))
    }
}

impl Rib {
    /// The destination, as it stands.
    pub fn destination(&self, at: DestRef) -> Destination<'_> {
        Destination { rib: self, at }
    }

    /// The destination with this key, if it has a path.
    pub fn lookup(&self, nlri: &Nlri) -> Option<DestRef> {
        let (table, index) = match nlri {
            Nlri::Rtc(key) => (TableId::Rtc, self.rtc.find(key)),
            Nlri::Ipv4(key) => (TableId::Ipv4, self.ipv4.find(key)),
            Nlri::Ipv6(key) => (TableId::Ipv6, self.ipv6.find(key)),
            Nlri::Evpn(key) => (TableId::Evpn, self.evpn.find(key)),
            Nlri::Vpn4(key) => (TableId::Vpn4, self.vpn4.find(key)),
            Nlri::Vpn6(key) => (TableId::Vpn6, self.vpn6.find(key)),
            Nlri::FlowSpec(nlri) => {
                let (table, nlri) = (TableId::of_flowspec(nlri), nlri.clone());
                let index = match table {
                    TableId::FlowSpec6 => self.flowspec6.find(&FlowSpecKey(nlri)),
                    TableId::FlowSpecVpn4 => self.flowspec_vpn4.find(&FlowSpecKey(nlri)),
                    TableId::FlowSpecVpn6 => self.flowspec_vpn6.find(&FlowSpecKey(nlri)),
                    _ => self.flowspec4.find(&FlowSpecKey(nlri)),
                };
                (table, index)
            }
        };
        let at = DestRef {
            table,
            index: index?,
        };
        in_table!(self, table, table => table.is_live_index(at.index)).then_some(at)
    }

    /// Goes through destinations of a family in the order of their places, from the place `from` on:
    /// a listing goes on at the place after the last one shown, whatever has changed meanwhile.
    pub fn scan(
        &self,
        family: Family,
        scope: Scope,
        from: u32,
    ) -> impl Iterator<Item = DestRef> + '_ {
        let table = TableId::of(family);
        let mut from = Some(from);
        std::iter::from_fn(move || {
            let table = table?;
            let index = self.next_in_scope(table, scope, from?)?;
            from = index.checked_add(1);
            Some(DestRef { table, index })
        })
    }

    fn next_in_scope(&self, table: TableId, scope: Scope, from: u32) -> Option<u32> {
        in_table!(self, table, table => match scope {
            Scope::All => table.next_live(from),
            Scope::Local => table.next_local(from),
            Scope::ReceivedFrom(peer) => table.next_received(self.peers.slot(peer)?, from),
            Scope::AdvertisedTo(peer) => table.next_advertised(self.peers.slot(peer)?, from),
            Scope::RouteTarget(rt) => table.next_with_rt(rt, from),
        })
    }

    /// All destinations with a path that has the route target.
    pub fn destinations_with_rt(
        &self,
        family: Family,
        rt: RouteTarget,
    ) -> impl Iterator<Item = DestRef> + '_ {
        self.scan(family, Scope::RouteTarget(rt), 0)
    }

    /// All MAC/IP advertisements of a MAC address.
    pub fn destinations_with_mac(&self, mac: MacAddr) -> impl Iterator<Item = DestRef> + '_ {
        let table = TableId::Evpn;
        self.evpn
            .with_mac(mac)
            .map(move |index| DestRef { table, index })
    }

    /// Destinations and paths, by family.
    pub fn summary(&self) -> Vec<FamilySummary> {
        TableId::ALL
            .into_iter()
            .map(|id| {
                in_table!(self, id, table => FamilySummary {
                    family: id.family(),
                    destinations: table.destination_count(),
                    paths: table.path_count(),
                })
            })
            .collect()
    }

    /// Distinct attribute sets in store, counted in each family.
    pub fn attribute_set_count(&self) -> usize {
        TableId::ALL
            .into_iter()
            .map(|id| in_table!(self, id, table => table.attribute_set_count()))
            .sum()
    }

    /// Paths of a family that originate at this node.
    pub fn local_path_count(&self, family: Family) -> usize {
        TableId::of(family).map_or(
            0,
            |id| in_table!(self, id, table => table.local_path_count()),
        )
    }

    /// Whether nothing is left: no destination, path, attribute set or index entry.
    pub fn is_empty(&self) -> bool {
        TableId::ALL
            .into_iter()
            .all(|id| in_table!(self, id, table => table.is_empty()))
    }

    /// The peers that are established, or of which stale paths are left; in ascending order.
    pub fn peers(&self) -> Vec<PeerId> {
        let mut peers: Vec<PeerId> = self.peers.iter().map(|(_, peer)| peer.id).collect();
        peers.sort_unstable();
        peers
    }

    /// The session of a peer, the last one where it is not established; and whether it is.
    pub fn session(&self, peer: PeerId) -> Option<(&SessionInfo, bool)> {
        let peer = self.peers.get(self.peers.slot(peer)?)?;
        Some((&peer.session, peer.established))
    }

    /// A peer in numbers, by family.
    pub fn peer_families(&self, peer: PeerId) -> Vec<PeerFamilyView> {
        let Some(slot) = self.peers.slot(peer) else {
            return Vec::new();
        };
        let families = self
            .peers
            .get(slot)
            .map(|peer| peer.session.families.as_slice());
        TableId::ALL
            .into_iter()
            .filter(|id| families.is_some_and(|families| families.contains(&id.family())))
            .map(|id| {
                let counts = in_table!(self, id, table => table.counts(slot));
                PeerFamilyView {
                    family: id.family(),
                    received: counts.received,
                    stale: counts.stale,
                    advertised: counts.advertised,
                    end_of_rib_received: counts.end_of_rib_received,
                    end_of_rib_sent: counts.end_of_rib_sent,
                }
            })
            .collect()
    }

    /// Whether the peer has sent End-of-RIB of the family in this session.
    pub fn end_of_rib_received(&self, peer: PeerId, family: Family) -> bool {
        let (Some(slot), Some(id)) = (self.peers.slot(peer), TableId::of(family)) else {
            return false;
        };
        in_table!(self, id, table => table.counts(slot)).end_of_rib_received
    }

    /// The single route targets that a peer asked for, and whether it asked for all; `None`: it need
    /// not ask.
    pub fn wanted_rts(&self, peer: PeerId) -> Option<(Vec<RouteTarget>, bool)> {
        let peer = self.peers.get(self.peers.slot(peer)?)?;
        peer.constrains_rts()
            .then(|| (peer.wanted.sorted(), peer.wanted.wants_all()))
    }

    /// Routes of a peer that were not taken in this session, by reason.
    pub fn rejected(&self, peer: PeerId) -> Vec<(RejectReason, u64)> {
        let slot = self.peers.slot(peer);
        let Some(peer) = slot.and_then(|slot| self.peers.get(slot)) else {
            return Vec::new();
        };
        peer.rejected.counts().collect()
    }

    /// Routes of a peer that its import policy rejected in this session, by the name of the rule.
    pub fn rejected_by_rule(&self, peer: PeerId) -> Vec<(String, u64)> {
        let slot = self.peers.slot(peer);
        let Some(peer) = slot.and_then(|slot| self.peers.get(slot)) else {
            return Vec::new();
        };
        let rules = peer.rejected.by_rule();
        rules
            .map(|(rule, count)| (rule.to_owned(), count))
            .collect()
    }

    /// The last routes that were not taken, of all peers.
    pub fn rejected_routes(&self) -> impl Iterator<Item = (PeerId, &RejectedRoute)> {
        self.peers
            .iter()
            .flat_map(|(_, peer)| peer.rejected.last().map(|route| (peer.id, route)))
    }

    /// Whether the peer has been sent the destination.
    pub fn is_advertised(&self, peer: PeerId, at: DestRef) -> bool {
        let Some(slot) = self.peers.slot(peer) else {
            return false;
        };
        in_table!(self, at.table, table => table.is_advertised(slot, at.index))
    }

    /// The attributes with which the peer is sent the destination as it now stands, or why it is not.
    pub fn exported(&self, peer: PeerId, at: DestRef) -> Result<Attributes, NotExported> {
        let slot = self.peers.slot(peer).ok_or(NotExported::NotEstablished)?;
        let session = self.peers.get(slot).ok_or(NotExported::NotEstablished)?;
        if !session.session.families.contains(&at.family()) {
            return Err(NotExported::FamilyNotNegotiated);
        }
        in_table!(self, at.table, table => {
            if !table.is_live_index(at.index) {
                return Err(NotExported::NoPath);
            }
            let (path, form) = table.best_for(&self.peers, &self.rules, slot, at.index)?;
            table.attributes_for(&self.rules, session, at.index, (path, form))
        })
    }
}
