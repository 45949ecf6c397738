//! The RIB: what every peer and this node itself say of each destination, which path is the best, and
//! what goes to whom.
//!
//! ```text
//!   apply(peer, batch) --.                       .--> export(peer)        an UPDATE stream for each
//!                        +--> Table, by family --+
//!   originate(instance) -'    best path, journal '--> poll_changed()      import into VPN instances
//! ```
//!
//! One owner, no locks. A [`table`] holds destinations and paths as nodes of fixed size that name each
//! other by index; attribute sets stand in a store, each once. A change moves its destination to the
//! end of the table's [`journal`]. Peers take changes from there at their own pace; a peer that wants
//! few route targets (RFC 4684) has them put aside instead, by an index. What a peer was sent is one
//! bit for each destination: attributes are made when they go out, and put together by attribute set
//! within the window of what is waiting, so that packing costs no delay.

mod attr_store;
mod best;
mod chunked;
mod index_set;
mod journal;
mod key;
mod mac_index;
mod membership;
mod peers;
mod rt_constraint;
mod rt_index;
mod session;
mod show;
mod table;
mod transform;
mod verdict;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_bgp::{
    Attributes, EvpnNlri, Family, Nlri, PathData, RouteEvent, RtMembership, UpdateBatch,
    UpdateWriter,
};
use chanter_types::{Asn, Instant, Ipv4Prefix, Ipv6Prefix};
use serde::{Deserialize, Serialize};

pub use best::LossReason;
pub(crate) use best::mac_mobility;
pub use peers::RejectReason;
pub use show::{Destination, PathRef, Scope};
pub use verdict::NotExported;

use crate::PeerId;
use key::Key;
use peers::{ExportState, Peer, Peers, Source};
use table::{NewPath, Pull, Table, Window};
use transform::Transforms;
use verdict::ExportRules;

/// The degree of preference of a path that has no LOCAL_PREF.
const LOCAL_PREF_DEFAULT: u32 = 100;

/// What the RIB has to know of this node.
#[derive(Debug, Clone)]
pub struct RibConfig {
    /// Our AS, where a session does not say otherwise.
    pub local_as: Asn,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Our cluster as a route reflector; by default the BGP identifier (RFC 4456 section 7).
    pub cluster_id: Option<Ipv4Addr>,
    /// Whether clients are asked for all routes by a default RT membership, and not told each
    /// other's memberships.
    pub reflect: bool,
    /// How long the End-of-RIB of VPN families waits for that of the peer's RT memberships.
    pub membership_wait: Duration,
}

/// Who said a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathOrigin {
    /// A peer.
    Peer(PeerId),
    /// A VPN instance of this node by its number; 0 is the node itself.
    Local(u32),
}

/// A table, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum TableId {
    /// First, since peers hold VPN routes back until they know what we want.
    Rtc,
    Ipv4,
    Ipv6,
    Evpn,
}

impl TableId {
    const ALL: [TableId; 4] = [TableId::Rtc, TableId::Ipv4, TableId::Ipv6, TableId::Evpn];

    fn of(family: Family) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.family() == family)
    }

    fn family(self) -> Family {
        match self {
            TableId::Rtc => Family::IPV4_RTC,
            TableId::Ipv4 => Family::IPV4_UNICAST,
            TableId::Ipv6 => Family::IPV6_UNICAST,
            TableId::Evpn => Family::L2VPN_EVPN,
        }
    }
}

/// A destination of the RIB. It stays the same for as long as the destination has a path, and until
/// [`Rib::poll_changed`] has told that it has none and is called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestRef {
    table: TableId,
    index: u32,
}

impl DestRef {
    /// The family in whose table it stands.
    pub fn family(self) -> Family {
        self.table.family()
    }

    /// Its place in the table, to go on from with [`Rib::scan`].
    pub fn index(self) -> u32 {
        self.index
    }
}

/// An End-of-RIB marker that a peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndOfRib {
    /// The family.
    pub family: Family,
    /// Stale paths that the peer had not repeated, and that went now.
    pub stale_removed: usize,
}

/// The RIB.
#[derive(Debug)]
pub struct Rib {
    config: RibConfig,
    rules: ExportRules,
    peers: Peers,
    rtc: Table<RtMembership>,
    ipv4: Table<Ipv4Prefix>,
    ipv6: Table<Ipv6Prefix>,
    evpn: Table<EvpnNlri>,
    transforms: Transforms,
    window: Window,
    /// Peers to be told that something is waiting for them.
    ready: VecDeque<u32>,
    /// Whether End-of-RIB is held back.
    end_of_rib_held: bool,
    /// Not later than the first deadline.
    deadline: Option<Instant>,
}

/// Evaluates `$body` with `$table` bound to the table `$id` of `$rib`.
macro_rules! on_table {
    ($rib:expr, $id:expr, $table:ident => $body:expr) => {
        match $id {
            $crate::rib::TableId::Rtc => {
                let $table = &mut $rib.rtc;
                $body
            }
            $crate::rib::TableId::Ipv4 => {
                let $table = &mut $rib.ipv4;
                $body
            }
            $crate::rib::TableId::Ipv6 => {
                let $table = &mut $rib.ipv6;
                $body
            }
            $crate::rib::TableId::Evpn => {
                let $table = &mut $rib.evpn;
                $body
            }
        }
    };
}
use on_table;

/// As [`on_table`], to look only.
macro_rules! in_table {
    ($rib:expr, $id:expr, $table:ident => $body:expr) => {
        match $id {
            $crate::rib::TableId::Rtc => {
                let $table = &$rib.rtc;
                $body
            }
            $crate::rib::TableId::Ipv4 => {
                let $table = &$rib.ipv4;
                $body
            }
            $crate::rib::TableId::Ipv6 => {
                let $table = &$rib.ipv6;
                $body
            }
            $crate::rib::TableId::Evpn => {
                let $table = &$rib.evpn;
                $body
            }
        }
    };
}
use in_table;

/// What became of the attribute sets of a batch: each is judged and stored once.
struct Judged {
    table: TableId,
    verdict: Result<u32, RejectReason>,
}

impl Rib {
    /// An empty RIB; that of a reflector holds the default RT membership for its clients.
    pub fn new(config: RibConfig) -> Rib {
        let rules = ExportRules {
            router_id: config.router_id,
            cluster_id: config.cluster_id.unwrap_or(config.router_id),
            reflect: config.reflect,
        };
        let mut rib = Rib {
            peers: Peers::new(config.router_id),
            rules,
            rtc: Table::new(),
            ipv4: Table::new(),
            ipv6: Table::new(),
            evpn: Table::new(),
            transforms: Transforms::new(rules),
            window: Window::default(),
            ready: VecDeque::new(),
            end_of_rib_held: false,
            deadline: None,
            config,
        };
        if rib.config.reflect {
            let attributes = Attributes::builder().local_pref(LOCAL_PREF_DEFAULT).build();
            let nlri = Nlri::Rtc(RtMembership::DEFAULT);
            rib.put(
                Source::DEFAULT_MEMBERSHIP,
                (nlri, PathData::default()),
                &attributes,
                Instant::ZERO,
            );
        }
        rib
    }

    /// Takes in UPDATE messages of an established peer. A route that would loop is taken as withdrawn,
    /// and counted by reason.
    pub fn apply(&mut self, peer: PeerId, batch: UpdateBatch, now: Instant) -> Vec<EndOfRib> {
        let mut ends = Vec::new();
        let Some(slot) = self.established(peer) else {
            return ends;
        };
        let mut judged: Vec<Option<Judged>> = Vec::new();
        judged.resize_with(batch.attributes.len(), || None);
        let mut held = Vec::new();
        for event in batch.events {
            match event {
                RouteEvent::Reach {
                    nlri,
                    data,
                    attributes,
                } => {
                    let place = attributes as usize;
                    let Some(set) = batch.attributes.get(place) else {
                        continue;
                    };
                    let table = table_of(&nlri);
                    let known = judged[place]
                        .as_ref()
                        .filter(|judged| judged.table == table);
                    let verdict = match known {
                        Some(judged) => judged.verdict,
                        None => {
                            let verdict = self.judge(slot, table, set);
                            held.extend(verdict.ok().map(|set| (table, set)));
                            judged[place] = Some(Judged { table, verdict });
                            verdict
                        }
                    };
                    match verdict {
                        Ok(set) => self.reach(Source::peer(slot), (nlri, data), set, now),
                        Err(reason) => self.reject(slot, &nlri, reason),
                    }
                }
                RouteEvent::Withdraw { nlri } => self.withdraw(Source::peer(slot), &nlri),
                RouteEvent::EndOfRib(family) => ends.extend(self.end_of_rib(slot, family)),
            }
        }
        for (table, set) in held {
            on_table!(self, table, table => table.release_set(set));
        }
        ends
    }

    /// Checks attributes that a peer sent, and puts them in store.
    fn judge(
        &mut self,
        slot: u32,
        table: TableId,
        attributes: &Attributes,
    ) -> Result<u32, RejectReason> {
        let Some(peer) = self.peers.get(slot) else {
            return Err(RejectReason::FamilyNotNegotiated);
        };
        if !peer.session.families.contains(&table.family()) {
            return Err(RejectReason::FamilyNotNegotiated);
        }
        if attributes.as_path().contains(peer.session.local_as) {
            return Err(RejectReason::AsLoop);
        }
        if !peer.is_ebgp() {
            if attributes.originator_id() == Some(self.rules.router_id) {
                return Err(RejectReason::OwnOriginatorId);
            }
            if attributes
                .cluster_list()
                .any(|cluster| cluster == self.rules.cluster_id)
            {
                return Err(RejectReason::ClusterLoop);
            }
        }
        Ok(on_table!(self, table, table => table.hold_set(attributes)))
    }

    fn reject(&mut self, slot: u32, nlri: &Nlri, reason: RejectReason) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.rejected[reason as usize] += 1;
        }
        self.withdraw(Source::peer(slot), nlri);
    }

    /// Originates a route of the instance `number`, in place of the one that it originated to the same
    /// destination. The node itself has number 0: memberships of route targets.
    pub fn originate(
        &mut self,
        number: u32,
        nlri: Nlri,
        data: PathData,
        attributes: &Attributes,
        now: Instant,
    ) {
        self.put(Source::local(number), (nlri, data), attributes, now);
    }

    /// Withdraws what [`Rib::originate`] originated.
    pub fn unoriginate(&mut self, number: u32, nlri: &Nlri) {
        self.withdraw(Source::local(number), nlri);
    }

    fn put(
        &mut self,
        source: Source,
        route: (Nlri, PathData),
        attributes: &Attributes,
        now: Instant,
    ) {
        let table = table_of(&route.0);
        let set = on_table!(self, table, table => table.hold_set(attributes));
        self.reach(source, route, set, now);
        on_table!(self, table, table => table.release_set(set));
    }

    fn reach(&mut self, source: Source, (nlri, data): (Nlri, PathData), set: u32, now: Instant) {
        fn path<K: Key>(source: Source, set: u32, data: PathData) -> NewPath<K::Data> {
            NewPath {
                source,
                set,
                data: K::pack(data),
            }
        }
        let peers = &self.peers;
        match nlri {
            Nlri::Ipv4(key) => {
                self.ipv4
                    .reach(peers, key, path::<Ipv4Prefix>(source, set, data), now);
            }
            Nlri::Ipv6(key) => {
                self.ipv6
                    .reach(peers, key, path::<Ipv6Prefix>(source, set, data), now);
            }
            Nlri::Evpn(key) => {
                self.evpn
                    .reach(peers, key, path::<EvpnNlri>(source, set, data), now);
            }
            Nlri::Rtc(key) => {
                let new = path::<RtMembership>(source, set, data);
                if self.rtc.reach(peers, key, new, now)
                    && let Some(slot) = source.slot()
                {
                    self.add_membership(slot, key);
                }
            }
        }
    }

    fn withdraw(&mut self, source: Source, nlri: &Nlri) {
        let peers = &self.peers;
        match nlri {
            Nlri::Ipv4(key) => {
                self.ipv4.withdraw(peers, source, key);
            }
            Nlri::Ipv6(key) => {
                self.ipv6.withdraw(peers, source, key);
            }
            Nlri::Evpn(key) => {
                self.evpn.withdraw(peers, source, key);
            }
            Nlri::Rtc(key) => {
                if self.rtc.withdraw(peers, source, key)
                    && let Some(slot) = source.slot()
                {
                    self.remove_membership(slot, *key);
                }
            }
        }
    }

    /// Holds End-of-RIB back, or no longer. That of RT memberships is held back too, so that a peer does
    /// not take a node that has yet to learn its instances for one that wants nothing, but not that of
    /// a reflector: its peers may wait for it before they send what the reflector waits for.
    pub fn hold_end_of_rib(&mut self, held: bool) {
        if self.end_of_rib_held && !held {
            let slots: Vec<u32> = self.peers.iter().map(|(slot, _)| slot).collect();
            slots.into_iter().for_each(|slot| self.wake(slot));
        }
        self.end_of_rib_held = held;
    }

    /// A peer for which something may be waiting, once until it was asked for all of it by
    /// [`Rib::export`].
    pub fn poll_export_ready(&mut self) -> Option<PeerId> {
        for id in TableId::ALL {
            let slots: Vec<u32> = on_table!(self, id, table => {
                let mut slots = std::mem::take(&mut table.woken);
                if std::mem::take(&mut table.has_grown) {
                    slots.extend(table.followers_behind());
                }
                slots
            });
            slots.into_iter().for_each(|slot| self.wake(slot));
        }
        while let Some(slot) = self.ready.pop_front() {
            if let Some(peer) = self.peers.get_mut(slot)
                && peer.export == ExportState::Queued
            {
                peer.export = ExportState::Active;
                return Some(peer.id);
            }
        }
        None
    }

    fn wake(&mut self, slot: u32) {
        if let Some(peer) = self.peers.get_mut(slot)
            && peer.established
            && peer.export == ExportState::Idle
        {
            peer.export = ExportState::Queued;
            self.ready.push_back(slot);
        }
    }

    /// Writes UPDATE messages for the peer, about `budget` octets at most; returns whether more is
    /// waiting. A peer that was told to be ready asks until that is not so.
    pub fn export(&mut self, peer: PeerId, budget: usize, out: &mut Vec<u8>) -> bool {
        let Some(slot) = self.established(peer) else {
            return false;
        };
        let limit = out.len().saturating_add(budget.max(1));
        let mut has_more = false;
        for id in TableId::ALL {
            has_more |= self.export_table(slot, id, limit, out);
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.export = if has_more {
                ExportState::Active
            } else {
                ExportState::Idle
            };
        }
        has_more
    }

    fn export_table(&mut self, slot: u32, id: TableId, limit: usize, out: &mut Vec<u8>) -> bool {
        let Some(peer) = self.peers.get(slot) else {
            return false;
        };
        if !peer.session.families.contains(&id.family()) {
            return false;
        }
        let mut pull = Pull {
            peers: &self.peers,
            rules: &self.rules,
            context: &peer.context,
            slot,
            transforms: &mut self.transforms,
            window: &mut self.window,
        };
        let has_more = on_table!(self, id, table => table.pull(&mut pull, limit, out));
        let is_due = !has_more && end_of_rib_may_go(peer, id, self.end_of_rib_held, &self.config);
        if is_due && on_table!(self, id, table => table.take_end_of_rib(slot)) {
            UpdateWriter::new(&peer.context, out).end_of_rib(id.family());
        }
        has_more
    }

    /// A destination that VPN instances may import and whose best path changed since this was last
    /// called; many changes of one are told once.
    pub fn poll_changed(&mut self) -> Option<DestRef> {
        let index = self.evpn.poll_changed()?;
        Some(DestRef {
            table: TableId::Evpn,
            index,
        })
    }

    fn established(&self, peer: PeerId) -> Option<u32> {
        let slot = self.peers.slot(peer)?;
        self.peers
            .get(slot)
            .filter(|peer| peer.established)
            .map(|_| slot)
    }
}

fn table_of(nlri: &Nlri) -> TableId {
    match nlri {
        Nlri::Ipv4(_) => TableId::Ipv4,
        Nlri::Ipv6(_) => TableId::Ipv6,
        Nlri::Evpn(_) => TableId::Evpn,
        Nlri::Rtc(_) => TableId::Rtc,
    }
}

/// RFC 4684 section 6: without knowing what the peer wants, nothing can be said to be all of it.
fn end_of_rib_may_go(peer: &Peer, id: TableId, held: bool, config: &RibConfig) -> bool {
    if id == TableId::Rtc {
        return !held || config.reflect;
    }
    let is_known = !id.family().is_vpn() || peer.memberships_due.is_none();
    !held && is_known
}
