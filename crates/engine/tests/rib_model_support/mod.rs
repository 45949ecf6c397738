//! The model, and the steps that go to model and RIB alike.

#![allow(clippy::unwrap_used)] // what fails here fails the test

mod expected;
mod monitor;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chanter_bgp::{Attributes, ExtendedCommunity, Family, Nlri, Origin, PathData, SegmentKind};
use chanter_engine::rib::{DestRef, PathOrigin, Scope};
use chanter_engine::{PeerId, PeerRole, SessionInfo};
use chanter_policy::{
    Action, Adjust, Condition, Decision, PeerPolicy, Policy, PolicyRoute, PrefixRange, PrefixSet,
    Rule, Verdict,
};
use chanter_types::{Asn, Instant};

use crate::rib_support::{self, CLUSTER_ID, LOCAL_AS, Net, ROUTER_ID, nlri, rt};

const ALL: &[Family] = &Family::SUPPORTED;
const PLAIN: &[Family] = &[
    Family::IPV4_UNICAST,
    Family::IPV6_UNICAST,
    Family::L2VPN_EVPN,
];

/// Peers by role and families; the number of a peer is its place and one.
///
/// The last four are sent the same octets; so are the first two where no route targets count.
pub(crate) const PEERS: [(PeerRole, &[Family]); 10] = [
    (PeerRole::RouteReflectorClient, ALL),
    (PeerRole::RouteReflectorClient, ALL),
    (PeerRole::Ibgp, ALL),
    (PeerRole::Ibgp, PLAIN),
    (PeerRole::Ebgp, PLAIN),
    (PeerRole::Ebgp, ALL),
    (PeerRole::RouteReflectorClient, PLAIN),
    (PeerRole::RouteReflectorClient, PLAIN),
    (PeerRole::RouteReflectorClient, PLAIN),
    (PeerRole::RouteReflectorClient, PLAIN),
];

pub(crate) fn id(place: usize) -> PeerId {
    PeerId(place as u32 + 1)
}

pub(crate) fn destinations() -> Vec<Nlri> {
    let texts = [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "2001:db8::/32",
        "[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.1.0.1] rd 10.0.0.1:1",
        "[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.1.0.1] rd 10.0.0.2:1",
        "[2]:[0]:[48]:[02:00:00:00:00:02] rd 10.0.0.1:1",
        "[3]:[0]:[32]:[198.51.100.1] rd 10.0.0.1:1",
        "[9]:0011223344",
        "10.0.0.1:1:10.2.0.0/16",
        "10.0.0.2:1:10.2.0.0/16",
        "10.0.0.1:1 2001:db8:2::/48",
        "flow4 { destination 10.3.0.0/16; protocol =6 }",
        "flow6 { destination 2001:db8:3::/48 }",
        "flow4 { destination 10.3.0.0/16 } rd 10.0.0.1:1",
        "flow6 { destination 2001:db8:3::/48 } rd 10.0.0.1:1",
        "64512:target:64512:1/96",
        "64513:target:64512:1/96",
        "64512:target:64512:2/96",
        "64512:target:64513:3/96",
        "64512:0x0002fc0000000000/64",
        "64512:0x0000000000000000/32",
        "default",
    ];
    texts.into_iter().map(nlri).collect()
}

/// From what an attribute set is made; each number picks from a few values.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetSpec {
    pub(crate) local_pref: u8,
    pub(crate) path: u8,
    pub(crate) med: u8,
    pub(crate) origin: u8,
    pub(crate) rts: u8,
    pub(crate) community: u8,
    pub(crate) mobility: u8,
    pub(crate) loops: u8,
}

impl SetSpec {
    /// As the decoder gives it: without what another AS must not send.
    fn build(&self, external: Option<Asn>, nlri: &Nlri) -> Attributes {
        let is_external = external.is_some();
        let next_hop = std::net::Ipv4Addr::new(198, 51, 100, 1 + self.origin);
        let next_hop = match nlri {
            Nlri::Ipv6(_) | Nlri::Vpn6(_) => Some(next_hop.to_ipv6_mapped().into()),
            Nlri::FlowSpec(_) => None,
            _ => Some(std::net::IpAddr::V4(next_hop)),
        };
        let mut builder = Attributes::builder().next_hop(next_hop);
        let path: &[Asn] = match self.path {
            0 => &[],
            1 => &[Asn(65001)],
            _ => &[Asn(65002)],
        };
        builder = builder.append_segment(SegmentKind::Sequence, path);
        // Not always does an eBGP peer put its AS in front.
        if let Some(asn) = external.filter(|_| self.path < 2) {
            builder = builder.prepend(asn);
        }
        builder = builder.med([None, Some(0), Some(10), Some(20)][usize::from(self.med)]);
        builder = builder.origin([Origin::Igp, Origin::Incomplete][usize::from(self.origin)]);
        for (bit, text) in ["64512:1", "64512:2", "64513:3"].into_iter().enumerate() {
            if self.rts >> bit & 1 == 1 {
                builder =
                    builder.push_extended_community(ExtendedCommunity::route_target(rt(text)));
            }
        }
        if self.mobility > 0 {
            let community =
                ExtendedCommunity::mac_mobility(self.mobility == 2, self.mobility.into());
            builder = builder.push_extended_community(community);
        }
        match self.community {
            0 => builder = builder.communities(vec![chanter_bgp::Community::NO_EXPORT]),
            1 => builder = builder.communities(vec![chanter_bgp::Community::NO_ADVERTISE]),
            _ => {}
        }
        if self.loops == 0 {
            builder = builder.prepend(LOCAL_AS);
        }
        if !is_external {
            let values = [None, Some(100), Some(200), Some(50)];
            builder = builder.local_pref(values[usize::from(self.local_pref)]);
            match self.loops {
                1 => builder = builder.originator_id(ROUTER_ID),
                2 => {
                    builder = builder
                        .originator_id(rib_support::router_id(9))
                        .prepend_cluster(CLUSTER_ID)
                }
                3 => builder = builder.originator_id(rib_support::router_id(2)),
                5 => builder = builder.originator_id(rib_support::router_id(8)),
                4 => {
                    builder = builder
                        .originator_id(rib_support::router_id(3))
                        .prepend_cluster(rib_support::router_id(8));
                }
                _ => {}
            }
        }
        builder.build()
    }

    fn data(&self, nlri: &Nlri) -> PathData {
        match nlri {
            Nlri::Evpn(chanter_bgp::EvpnNlri::MacIp(_)) => {
                PathData::with_label(u32::from(self.local_pref))
            }
            // A label, and the bottom of the stack.
            Nlri::Vpn4(_) | Nlri::Vpn6(_) => {
                PathData::with_label((u32::from(self.local_pref) + 16) << 4 | 1)
            }
            _ => PathData::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelPath {
    pub(crate) origin: PathOrigin,
    pub(crate) path_id: u32,
    pub(crate) data: PathData,
    pub(crate) attributes: Attributes,
    pub(crate) stale: bool,
    /// Since a refresh began the peer has not repeated it (RFC 7313).
    pub(crate) unrepeated: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ModelPeer {
    pub(crate) session: SessionInfo,
    pub(crate) established: bool,
}

/// All that was said.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) reflect: bool,
    pub(crate) peers: BTreeMap<PeerId, ModelPeer>,
    pub(crate) paths: BTreeMap<Nlri, Vec<ModelPath>>,
}

impl Model {
    fn put(&mut self, nlri: &Nlri, path: ModelPath) {
        self.take(nlri, (path.origin, path.path_id));
        self.paths.entry(nlri.clone()).or_default().push(path);
    }

    fn take(&mut self, nlri: &Nlri, one: (PathOrigin, u32)) {
        if let Some(paths) = self.paths.get_mut(nlri) {
            paths.retain(|path| (path.origin, path.path_id) != one);
        }
        self.paths.retain(|_, paths| !paths.is_empty());
    }

    fn take_where(&mut self, gone: impl Fn(&Nlri, &ModelPath) -> bool) -> usize {
        let mut count = 0;
        for (nlri, paths) in &mut self.paths {
            let before = paths.len();
            paths.retain(|path| !gone(nlri, path));
            count += before - paths.len();
        }
        self.paths.retain(|_, paths| !paths.is_empty());
        count
    }

    pub(crate) fn of_peer(&self, peer: PeerId, family: Family) -> Vec<&ModelPath> {
        let tables = self
            .paths
            .iter()
            .filter(|(nlri, _)| nlri.family() == family);
        tables
            .flat_map(|(_, paths)| paths)
            .filter(|path| path.origin == PathOrigin::Peer(peer))
            .collect()
    }
}

pub(crate) struct Harness {
    pub(crate) net: Net,
    model: Model,
    pool: Vec<Nlri>,
    imported: BTreeMap<DestRef, Nlri>,
    withdrawals: u8,
    /// The import policies in force.
    policies: [u8; PEERS.len()],
    /// Families that peers are about to have sent again.
    refreshing: BTreeSet<(usize, Family)>,
    monitors: BTreeMap<usize, monitor::Station>,
}

/// All; nothing that has to do with 10.0.0.0/8; all, with another LOCAL_PREF.
fn policy(which: u8) -> Arc<PeerPolicy> {
    let rule = |name: &str, verdict| Rule::new(name, verdict);
    let rules = match which {
        0 => return Arc::default(),
        1 => {
            let set: PrefixSet = ["10.0.0.0/8 le 32".parse::<PrefixRange>().unwrap()]
                .into_iter()
                .collect();
            let about = Condition::Prefix(Arc::new(set));
            let ten = rule("ten", Verdict::Reject).matching(vec![about]);
            vec![ten, rule("rest", Verdict::Accept)]
        }
        _ => {
            let action = Action::LocalPref(Adjust::Set(150));
            vec![rule("all", Verdict::Accept).doing(vec![action])]
        }
    };
    Arc::new(PeerPolicy {
        import: Some(Arc::new(Policy::new("model", rules))),
        ..PeerPolicy::default()
    })
}

/// The second peer sends several paths of a destination (RFC 7911).
const ADD_PATH: usize = 1;

fn path_id(place: usize, nlri: &Nlri, number: u8) -> u32 {
    if place == ADD_PATH && nlri.family() != Family::IPV4_RTC {
        number.into()
    } else {
        0
    }
}

const RESTART_SECS: u64 = 30;

impl Harness {
    pub(crate) fn new(reflect: bool) -> Self {
        let model = Model {
            reflect,
            ..Model::default()
        };
        let net = Net::new(rib_support::config(reflect));
        let mut harness = Harness {
            net,
            model,
            pool: destinations(),
            imported: BTreeMap::new(),
            withdrawals: 0,
            policies: [0; PEERS.len()],
            refreshing: BTreeSet::new(),
            monitors: BTreeMap::new(),
        };
        for peer in 0..PEERS.len() - 1 {
            harness.up(peer, false);
        }
        harness
    }

    fn established(&self, place: usize) -> bool {
        self.model
            .peers
            .get(&id(place))
            .is_some_and(|peer| peer.established)
    }

    pub(crate) fn reach(&mut self, place: usize, destination: usize, set: &SetSpec) {
        let peer = id(place);
        let Some(state) = self.model.peers.get(&peer).filter(|peer| peer.established) else {
            return;
        };
        let nlri = self.pool[destination].clone();
        let external = Some(state.session.peer_as).filter(|_| state.session.role == PeerRole::Ebgp);
        let attributes = set.build(external, &nlri);
        let mut is_taken = state.session.families.contains(&nlri.family())
            && !attributes.as_path().contains(LOCAL_AS)
            && external.is_none_or(|asn| {
                let has_policy = state.session.policy.import.is_some();
                attributes.as_path().first_as() == Some(asn)
                    && (has_policy || !nlri.family().is_flowspec())
            })
            && attributes.originator_id() != Some(ROUTER_ID)
            && !attributes
                .cluster_list()
                .any(|cluster| cluster == CLUSTER_ID);
        let data = set.data(&nlri);
        let policy = state.session.policy.clone();
        let decision = policy.import(&PolicyRoute {
            nlri: &nlri,
            path: &data,
            attributes: &attributes,
            peer_as: state.session.peer_as,
            local_as: LOCAL_AS,
            local_addr: None,
            ebgp: external.is_some(),
        });
        let changed = match decision {
            Decision::Accept(changed) => changed,
            Decision::Reject { .. } => {
                is_taken = false;
                None
            }
        };
        let path_id = path_id(place, &nlri, set.mobility);
        let mut batch = chanter_bgp::UpdateBatch::new();
        let sent = PathData { path_id, ..data };
        batch.reach(nlri.clone(), sent, attributes.clone());
        self.net.rib.apply(peer, batch, self.net.now);
        let origin = PathOrigin::Peer(peer);
        if is_taken {
            self.model.put(
                &nlri,
                ModelPath {
                    origin,
                    path_id,
                    data,
                    attributes: changed.unwrap_or(attributes),
                    stale: false,
                    unrepeated: false,
                },
            );
        } else {
            self.model.take(&nlri, (origin, path_id));
        }
    }

    pub(crate) fn withdraw(&mut self, place: usize, destination: usize) {
        if self.established(place) {
            let nlri = self.pool[destination].clone();
            self.withdrawals = self.withdrawals.wrapping_add(1);
            let path_id = path_id(place, &nlri, self.withdrawals % 3);
            let one = (PathOrigin::Peer(id(place)), path_id);
            self.model.take(&nlri, one);
            let mut batch = chanter_bgp::UpdateBatch::new();
            let event = chanter_bgp::RouteEvent::Withdraw { nlri, path_id };
            batch.events.push(event);
            self.net.rib.apply(id(place), batch, self.net.now);
        }
    }

    pub(crate) fn originate(&mut self, number: u32, destination: usize, set: &SetSpec) {
        let nlri = self.pool[destination].clone();
        let data = set.data(&nlri);
        let attributes = set.build(None, &nlri);
        self.net
            .rib
            .originate(number, nlri.clone(), data, &attributes, self.net.now);
        let origin = PathOrigin::Local(number);
        self.model.put(
            &nlri,
            ModelPath {
                origin,
                path_id: 0,
                data,
                attributes,
                stale: false,
                unrepeated: false,
            },
        );
    }

    pub(crate) fn unoriginate(&mut self, number: u32, destination: usize) {
        let nlri = &self.pool[destination];
        self.net.rib.unoriginate(number, nlri);
        self.model.take(nlri, (PathOrigin::Local(number), 0));
    }

    pub(crate) fn up(&mut self, place: usize, preserved: bool) {
        if self.established(place) {
            return;
        }
        let (role, families) = PEERS[place];
        let number = place as u32 + 1;
        let mut session = rib_support::session(number, role, families);
        session.policy = policy(self.policies[place]);
        if place == ADD_PATH {
            let tables = families.iter().copied();
            session.add_path_receive = tables.filter(|f| *f != Family::IPV4_RTC).collect();
        }
        if preserved {
            session.forwarding_preserved = vec![Family::IPV4_UNICAST, Family::L2VPN_EVPN];
            session.forwarding_preserved.extend(families.get(3));
        }
        let kept = session.forwarding_preserved.clone();
        let origin = PathOrigin::Peer(id(place));
        let gone = self
            .model
            .take_where(|nlri, path| path.origin == origin && !kept.contains(&nlri.family()));
        assert_eq!(self.net.up_as(number, session.clone()), gone);
        self.model.peers.insert(
            id(place),
            ModelPeer {
                session,
                established: true,
            },
        );
    }

    pub(crate) fn down(&mut self, place: usize, retain: bool) {
        if !self.established(place) {
            return;
        }
        let kept: Vec<Family> = if retain {
            PEERS[place].1[1..].to_vec()
        } else {
            Vec::new()
        };
        let origin = PathOrigin::Peer(id(place));
        self.model.take_where(|nlri, path| {
            path.origin == origin && (path.stale || !kept.contains(&nlri.family()))
        });
        let mut stale = 0;
        for path in self
            .model
            .paths
            .values_mut()
            .flatten()
            .filter(|path| path.origin == origin)
        {
            path.stale = true;
            path.unrepeated = false;
            stale += 1;
        }
        let until = self.net.now + std::time::Duration::from_secs(RESTART_SECS);
        assert_eq!(
            self.net
                .rib
                .peer_down(id(place), &kept, until, self.net.now),
            stale
        );
        if let Some(peer) = self.model.peers.get_mut(&id(place)) {
            peer.established = false;
        }
        self.refreshing.retain(|(peer, _)| *peer != place);
        self.net
            .received
            .entry(id(place))
            .and_modify(|received| *received = Default::default());
    }

    pub(crate) fn end_of_rib(&mut self, place: usize, family: usize) {
        let Some(family) = PEERS[place]
            .1
            .get(family)
            .filter(|_| self.established(place))
        else {
            return;
        };
        let origin = PathOrigin::Peer(id(place));
        let gone = self.model.take_where(|nlri, path| {
            path.origin == origin && path.stale && nlri.family() == *family
        });
        assert_eq!(self.net.end_of_rib(id(place), *family), gone);
    }

    pub(crate) fn refresh(&mut self, place: usize, family: usize) {
        if let Some(family) = PEERS[place].1.get(family) {
            self.net.rib.route_refresh(id(place), *family);
        }
    }

    pub(crate) fn peer_refresh(&mut self, place: usize, family: usize, begins: bool) {
        let Some(family) = PEERS[place].1.get(family).copied() else {
            return;
        };
        if !self.established(place) {
            return;
        }
        let origin = PathOrigin::Peer(id(place));
        let is_it =
            |nlri: &Nlri, path: &ModelPath| path.origin == origin && nlri.family() == family;
        let now = self.net.now;
        if begins {
            self.refreshing.insert((place, family));
            self.net.rib.begin_refresh(id(place), family, now);
            for (nlri, paths) in &mut self.model.paths {
                let mine = paths.iter_mut().filter(|path| is_it(nlri, path));
                mine.for_each(|path| path.unrepeated = true);
            }
            return;
        }
        let gone = if self.refreshing.remove(&(place, family)) {
            self.model
                .take_where(|nlri, path| is_it(nlri, path) && path.unrepeated)
        } else {
            0
        };
        assert_eq!(self.net.rib.end_refresh(id(place), family), gone);
    }

    pub(crate) fn set_policy(&mut self, place: usize, which: u8) {
        self.policies[place] = which;
        self.net.rib.set_policy(id(place), policy(which));
        if let Some(peer) = self.model.peers.get_mut(&id(place)) {
            peer.session.policy = policy(which);
        }
    }

    pub(crate) fn expire(&mut self) {
        self.net.now = self.net.now + std::time::Duration::from_secs(RESTART_SECS + 1);
        let gone: usize = self
            .net
            .rib
            .expire_stale(self.net.now)
            .into_iter()
            .map(|(_, count)| count)
            .sum();
        assert_eq!(self.model.take_where(|_, path| path.stale), gone);
        assert!(
            self.net
                .rib
                .next_deadline()
                .is_none_or(|at: Instant| at > self.net.now)
        );
    }

    pub(crate) fn pull(&mut self, place: usize, budget: usize) -> bool {
        self.established(place) && self.net.pull(id(place), budget)
    }

    pub(crate) fn drain_and_compare(&mut self, place: usize) {
        if self.established(place) {
            self.net.drain(id(place));
            self.compare_peer(place);
        }
    }

    /// What the peer has, against what it must have been sent.
    pub(crate) fn compare_peer(&self, place: usize) {
        if !self.established(place) {
            return;
        }
        let received = &self.net.received[&id(place)].routes;
        let expected = self.model.adj_rib_out(id(place));
        assert_eq!(received, &expected, "peer {}", id(place).0);
        let families = self.net.rib.peer_families(id(place));
        let advertised: usize = families.iter().map(|family| family.advertised).sum();
        assert_eq!(advertised, expected.len());
        for nlri in &self.pool {
            let Some(at) = self.net.rib.lookup(nlri) else {
                continue;
            };
            let exported = self.net.rib.exported(id(place), at).ok();
            assert_eq!(
                exported,
                expected.get(nlri).map(|(_, attributes)| attributes.clone())
            );
            assert_eq!(
                self.net.rib.is_advertised(id(place), at),
                expected.contains_key(nlri)
            );
        }
    }

    pub(crate) fn compare_best_paths(&self) {
        for nlri in &self.pool {
            let at = self.net.rib.lookup(nlri);
            // The default membership of a reflector is not the model's.
            let is_default =
                self.model.reflect && *nlri == Nlri::Rtc(chanter_bgp::RtMembership::DEFAULT);
            let expected = self.model.best(nlri);
            if is_default {
                continue;
            }
            let shown = at
                .map(|at| self.net.rib.destination(at).paths())
                .unwrap_or_default();
            let best = shown
                .first()
                .map(|(path, _)| (path.origin, path.data.path_id));
            let expected = expected.map(|path| (path.origin, path.path_id));
            assert_eq!(best, expected, "{nlri}");
            let count = self.model.paths.get(nlri).map_or(0, Vec::len);
            assert_eq!(shown.len(), count, "{nlri}");
            assert!(
                shown.iter().skip(1).all(|(_, reason)| reason.is_some()),
                "{nlri}"
            );
            for (path, _) in shown {
                let model = self.model.paths[nlri].iter().find(|model| {
                    (model.origin, model.path_id) == (path.origin, path.data.path_id)
                });
                let model = model.unwrap();
                let data = PathData {
                    path_id: model.path_id,
                    ..model.data
                };
                assert_eq!((&model.attributes, data), (path.attributes, path.data));
                assert_eq!(model.stale, path.stale);
            }
        }
    }

    pub(crate) fn compare_counts(&self) {
        for (peer, state) in &self.model.peers {
            for family in &state.session.families {
                let paths = self.model.of_peer(*peer, *family);
                let shown = self.net.rib.peer_families(*peer);
                let shown = shown.iter().find(|shown| shown.family == *family);
                let counts = shown.map_or((0, 0), |shown| (shown.received, shown.stale));
                let stale = paths.iter().filter(|path| path.stale).count();
                assert_eq!(counts, (paths.len(), stale), "peer {} {family}", peer.0);
            }
        }
        for summary in self.net.rib.summary() {
            let own = usize::from(self.model.reflect && summary.family == Family::IPV4_RTC);
            let tables = self
                .model
                .paths
                .iter()
                .filter(|(nlri, _)| nlri.family() == summary.family);
            let paths: usize = tables.map(|(_, paths)| paths.len()).sum();
            assert_eq!(summary.paths, paths + own, "{}", summary.family);
        }
    }

    /// What an importer knows that only looks at what it is told.
    pub(crate) fn import_and_compare(&mut self) {
        while let Some(at) = self.net.rib.poll_changed() {
            let destination = self.net.rib.destination(at);
            let nlri = destination.nlri().unwrap();
            match destination.best() {
                Some(_) => self.imported.insert(at, nlri),
                None => self.imported.remove(&at),
            };
        }
        let mut imported: Vec<_> = self.imported.values().collect();
        imported.sort();
        let paths = self.model.paths.keys();
        let expected: Vec<_> = paths
            .filter(|nlri| nlri.family() == Family::L2VPN_EVPN)
            .collect();
        assert_eq!(imported, expected);
    }

    pub(crate) fn compare_indexes(&self) {
        let rib = &self.net.rib;
        let evpn = Family::L2VPN_EVPN;
        let names = |found: Vec<DestRef>| -> Vec<Nlri> {
            let mut names: Vec<_> = found
                .into_iter()
                .filter_map(|at| rib.destination(at).nlri())
                .collect();
            names.sort();
            names
        };
        let tables = || {
            self.model
                .paths
                .iter()
                .filter(|(nlri, _)| nlri.family() == evpn)
        };
        for text in ["64512:1", "64512:2", "64513:3"] {
            let has = |path: &ModelPath| {
                path.attributes
                    .route_targets()
                    .any(|other| other == rt(text))
            };
            let expected = tables().filter(|(_, paths)| paths.iter().any(has));
            let found = names(rib.destinations_with_rt(evpn, rt(text)).collect());
            assert!(found.iter().eq(expected.map(|(nlri, _)| nlri)), "{text}");
        }
        for mac in [
            "02:00:00:00:00:01",
            "02:00:00:00:00:02",
            "02:00:00:00:00:03",
        ] {
            let expected = tables().filter(|(nlri, _)| nlri.to_string().contains(mac));
            let found = names(rib.destinations_with_mac(mac.parse().unwrap()).collect());
            assert!(found.iter().eq(expected.map(|(nlri, _)| nlri)), "{mac}");
        }
        for family in Family::SUPPORTED {
            for place in 0..PEERS.len() {
                let scope = Scope::ReceivedFrom(id(place));
                let count = rib.scan(family, scope, 0).count();
                let tables = self.model.paths.iter();
                let of_peer = tables.filter(|(nlri, paths)| {
                    let origin = PathOrigin::Peer(id(place));
                    nlri.family() == family && paths.iter().any(|path| path.origin == origin)
                });
                assert_eq!(count, of_peer.count());
            }
        }
    }

    /// Withdraws everything that was said.
    pub(crate) fn remove_all(&mut self) {
        for place in 0..PEERS.len() {
            self.net.rib.peer_removed(id(place), self.net.now);
        }
        for number in 1..4 {
            for destination in 0..self.pool.len() {
                self.unoriginate(number, destination);
            }
        }
        while self.net.rib.poll_changed().is_some() {}
        assert!(self.net.rib.peers().is_empty());
    }
}
