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
mod import;
mod index_set;
mod journal;
mod key;
mod limit;
mod mac_index;
mod membership;
mod monitor;
mod otc;
mod outflow;
mod peers;
mod receive;
mod rt_constraint;
mod rt_index;
mod session;
mod show;
mod table;
mod transform;
mod unsent;
mod verdict;

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::{
    Attributes, EvpnNlri, Family, FlowSpecNlri, Nlri, PathData, RouteRefreshMessage, RtMembership,
    UpdateWriter, Vpnv4Prefix, Vpnv6Prefix,
};
use chanter_types::{Asn, Instant, Ipv4Prefix, Ipv6Prefix};
use serde::{Deserialize, Serialize};

pub use best::LossReason;
pub(crate) use best::mac_mobility;
pub use import::{RejectReason, RejectedRoute};
pub use monitor::{MonitorId, MonitorPeer, MonitorScope, Monitored};
pub(crate) use show::concerns;
pub use show::{Destination, PathRef, Scope};
pub use verdict::NotExported;

use crate::{Output, PeerId};
use key::{FlowSpec4, FlowSpec6, FlowSpecKey, FlowSpecVpn4, FlowSpecVpn6, Key};
use monitor::Monitors;
use outflow::Outflow;
use peers::{ExportState, Peer, Peers, Source};
use table::{NewPath, Pull, Table, Window};
use transform::Transforms;
use verdict::ExportRules;

/// The degree of preference of a path that has no LOCAL_PREF.
const LOCAL_PREF_DEFAULT: u32 = 100;
/// How long a peer may take to send all its routes of a family again (RFC 7313 section 4).
const REFRESH_TIME: Duration = Duration::from_secs(600);

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
    Vpn4,
    Vpn6,
    FlowSpec4,
    FlowSpec6,
    FlowSpecVpn4,
    FlowSpecVpn6,
}

impl TableId {
    const ALL: [TableId; 10] = [
        TableId::Rtc,
        TableId::Ipv4,
        TableId::Ipv6,
        TableId::Evpn,
        TableId::Vpn4,
        TableId::Vpn6,
        TableId::FlowSpec4,
        TableId::FlowSpec6,
        TableId::FlowSpecVpn4,
        TableId::FlowSpecVpn6,
    ];

    fn of(family: Family) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.family() == family)
    }

    fn family(self) -> Family {
        match self {
            TableId::Rtc => Family::IPV4_RTC,
            TableId::Ipv4 => Family::IPV4_UNICAST,
            TableId::Ipv6 => Family::IPV6_UNICAST,
            TableId::Evpn => Family::L2VPN_EVPN,
            TableId::Vpn4 => Family::IPV4_VPN,
            TableId::Vpn6 => Family::IPV6_VPN,
            TableId::FlowSpec4 => Family::IPV4_FLOWSPEC,
            TableId::FlowSpec6 => Family::IPV6_FLOWSPEC,
            TableId::FlowSpecVpn4 => Family::IPV4_FLOWSPEC_VPN,
            TableId::FlowSpecVpn6 => Family::IPV6_FLOWSPEC_VPN,
        }
    }

    /// The table of a FlowSpec NLRI.
    fn of_flowspec(nlri: &FlowSpecNlri) -> Self {
        match nlri.family() {
            Family::IPV6_FLOWSPEC => TableId::FlowSpec6,
            Family::IPV4_FLOWSPEC_VPN => TableId::FlowSpecVpn4,
            Family::IPV6_FLOWSPEC_VPN => TableId::FlowSpecVpn6,
            _ => TableId::FlowSpec4,
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
    vpn4: Table<Vpnv4Prefix>,
    vpn6: Table<Vpnv6Prefix>,
    flowspec4: Table<FlowSpec4>,
    flowspec6: Table<FlowSpec6>,
    flowspec_vpn4: Table<FlowSpecVpn4>,
    flowspec_vpn6: Table<FlowSpecVpn6>,
    transforms: Transforms,
    window: Window,
    /// Peers to be told that something is waiting for them.
    ready: VecDeque<u32>,
    /// Whether End-of-RIB is held back.
    end_of_rib_held: bool,
    /// Who has something due, and when; each peer once.
    timers: BTreeSet<(Instant, u32)>,
    /// Events and orders that are to be told.
    notices: VecDeque<Output>,
    monitors: Monitors,
    /// When routes came last; an export has no time of its own.
    changed_at: Instant,
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
            $crate::rib::TableId::Vpn4 => {
                let $table = &mut $rib.vpn4;
                $body
            }
            $crate::rib::TableId::Vpn6 => {
                let $table = &mut $rib.vpn6;
                $body
            }
            $crate::rib::TableId::FlowSpec4 => {
                let $table = &mut $rib.flowspec4;
                $body
            }
            $crate::rib::TableId::FlowSpec6 => {
                let $table = &mut $rib.flowspec6;
                $body
            }
            $crate::rib::TableId::FlowSpecVpn4 => {
                let $table = &mut $rib.flowspec_vpn4;
                $body
            }
            $crate::rib::TableId::FlowSpecVpn6 => {
                let $table = &mut $rib.flowspec_vpn6;
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
            $crate::rib::TableId::Vpn4 => {
                let $table = &$rib.vpn4;
                $body
            }
            $crate::rib::TableId::Vpn6 => {
                let $table = &$rib.vpn6;
                $body
            }
            $crate::rib::TableId::FlowSpec4 => {
                let $table = &$rib.flowspec4;
                $body
            }
            $crate::rib::TableId::FlowSpec6 => {
                let $table = &$rib.flowspec6;
                $body
            }
            $crate::rib::TableId::FlowSpecVpn4 => {
                let $table = &$rib.flowspec_vpn4;
                $body
            }
            $crate::rib::TableId::FlowSpecVpn6 => {
                let $table = &$rib.flowspec_vpn6;
                $body
            }
        }
    };
}
use in_table;

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
            vpn4: Table::new(),
            vpn6: Table::new(),
            flowspec4: Table::new(),
            flowspec6: Table::new(),
            flowspec_vpn4: Table::new(),
            flowspec_vpn6: Table::new(),
            transforms: Transforms::new(rules),
            window: Window::default(),
            ready: VecDeque::new(),
            end_of_rib_held: false,
            timers: BTreeSet::new(),
            notices: VecDeque::new(),
            monitors: Monitors::default(),
            changed_at: Instant::ZERO,
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
        self.withdraw((Source::local(number), 0), nlri);
    }

    fn put(
        &mut self,
        source: Source,
        route: (Nlri, PathData),
        attributes: &Attributes,
        now: Instant,
    ) {
        self.changed_at = now;
        let table = table_of(&route.0);
        let set = on_table!(self, table, table => table.hold_set(attributes));
        self.reach(source, route, set, now);
        on_table!(self, table, table => table.release_set(set));
    }

    fn reach(&mut self, source: Source, (nlri, data): (Nlri, PathData), set: u32, now: Instant) {
        fn path<K: Key>(source: Source, set: u32, data: PathData) -> NewPath<K::Data> {
            NewPath {
                source,
                path_id: data.path_id,
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
            Nlri::Vpn4(key) => {
                self.vpn4
                    .reach(peers, key, path::<Vpnv4Prefix>(source, set, data), now);
            }
            Nlri::Vpn6(key) => {
                self.vpn6
                    .reach(peers, key, path::<Vpnv6Prefix>(source, set, data), now);
            }
            Nlri::FlowSpec(nlri) => {
                self.reach_flowspec(nlri, path::<FlowSpec4>(source, set, data), now);
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

    fn reach_flowspec(&mut self, nlri: FlowSpecNlri, path: NewPath<()>, now: Instant) {
        let peers = &self.peers;
        match TableId::of_flowspec(&nlri) {
            TableId::FlowSpec6 => {
                self.flowspec6.reach(peers, FlowSpecKey(nlri), path, now);
            }
            TableId::FlowSpecVpn4 => {
                self.flowspec_vpn4
                    .reach(peers, FlowSpecKey(nlri), path, now);
            }
            TableId::FlowSpecVpn6 => {
                self.flowspec_vpn6
                    .reach(peers, FlowSpecKey(nlri), path, now);
            }
            _ => {
                self.flowspec4.reach(peers, FlowSpecKey(nlri), path, now);
            }
        }
    }

    fn withdraw_flowspec(&mut self, source: (Source, u32), nlri: &FlowSpecNlri) {
        let peers = &self.peers;
        match TableId::of_flowspec(nlri) {
            TableId::FlowSpec6 => {
                let key = FlowSpecKey(nlri.clone());
                self.flowspec6.withdraw(peers, source, &key);
            }
            TableId::FlowSpecVpn4 => {
                let key = FlowSpecKey(nlri.clone());
                self.flowspec_vpn4.withdraw(peers, source, &key);
            }
            TableId::FlowSpecVpn6 => {
                let key = FlowSpecKey(nlri.clone());
                self.flowspec_vpn6.withdraw(peers, source, &key);
            }
            _ => {
                let key = FlowSpecKey(nlri.clone());
                self.flowspec4.withdraw(peers, source, &key);
            }
        }
    }

    fn withdraw(&mut self, source: (Source, u32), nlri: &Nlri) {
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
            Nlri::Vpn4(key) => {
                self.vpn4.withdraw(peers, source, key);
            }
            Nlri::Vpn6(key) => {
                self.vpn6.withdraw(peers, source, key);
            }
            Nlri::FlowSpec(nlri) => self.withdraw_flowspec(source, nlri),
            Nlri::Rtc(key) => {
                if self.rtc.withdraw(peers, source, key)
                    && let Some(slot) = source.0.slot()
                {
                    self.remove_membership(slot, *key);
                }
            }
        }
    }

    /// The next event or order that is to be told.
    pub fn poll_notice(&mut self) -> Option<Output> {
        self.notices.pop_front()
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
        let (octets, has_more) = self.export_octets(peer, budget);
        out.extend_from_slice(&octets);
        has_more
    }

    /// As [`Rib::export`]; what several peers are sent is not copied for each, and comes in whole
    /// pieces.
    pub fn export_octets(&mut self, peer: PeerId, budget: usize) -> (Bytes, bool) {
        let Some(slot) = self.established(peer) else {
            return (Bytes::new(), false);
        };
        let mut out = Outflow::default();
        let mut has_more = false;
        for id in TableId::ALL {
            has_more |= self.export_table(slot, id, budget.max(1), &mut out);
        }
        if let Some(unsent) = self.window.take_unsent() {
            self.tell_unsent(slot, unsent);
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.export = if has_more {
                ExportState::Active
            } else {
                ExportState::Idle
            };
        }
        (out.finish(), has_more)
    }

    /// How much peers that share an update group may be behind one another, in octets of each family;
    /// who is further behind goes on alone.
    pub fn set_group_slack(&mut self, octets: usize) {
        for id in TableId::ALL {
            on_table!(self, id, table => table.ring_len_max = octets);
        }
    }

    fn export_table(&mut self, slot: u32, id: TableId, limit: usize, out: &mut Outflow) -> bool {
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
        if on_table!(self, id, table => table.begin_answer(peer, slot)) {
            RouteRefreshMessage::begin(id.family()).encode(out.writer());
        }
        let has_more = on_table!(self, id, table => table.pull(&mut pull, limit, out));
        if has_more {
            return true;
        }
        if on_table!(self, id, table => table.end_answer(slot)) {
            RouteRefreshMessage::end(id.family()).encode(out.writer());
        }
        if end_of_rib_may_go(peer, id, self.end_of_rib_held, &self.config)
            && on_table!(self, id, table => table.take_end_of_rib(slot))
        {
            UpdateWriter::new(&peer.context, out.writer()).end_of_rib(id.family());
            // A mark must not come before it (RFC 7313 section 4).
            return on_table!(self, id, table => table.has_to_answer(slot));
        }
        false
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
        Nlri::Vpn4(_) => TableId::Vpn4,
        Nlri::Vpn6(_) => TableId::Vpn6,
        Nlri::FlowSpec(nlri) => TableId::of_flowspec(nlri),
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
