//! Monitors against the model: a station keeps what it is told as RFC 7854 has it.

use std::collections::{BTreeMap, BTreeSet};

use chanter_bgp::{
    Attributes, CodecContext, Family, FamilySet, HEADER_LEN, Nlri, PathData, RouteEvent,
    UpdateBatch, decode_update, frame_len,
};
use chanter_engine::PeerId;
use chanter_engine::rib::{MonitorId, MonitorPeer, MonitorScope, Monitored, PathOrigin, Scope};

use super::{Harness, PEERS, id};

type Routes = BTreeMap<(Nlri, u32), (PathData, Attributes)>;

/// What a station knows of one RIB.
#[derive(Debug, Default)]
struct Known {
    routes: Routes,
    ends: BTreeSet<Family>,
}

#[derive(Debug)]
pub(crate) struct Station {
    id: MonitorId,
    scope: MonitorScope,
    known: BTreeMap<MonitorPeer, Known>,
}

impl Station {
    fn take(&mut self, told: Monitored, add_path: impl Fn(MonitorPeer) -> FamilySet) {
        match told {
            Monitored::Up(peer) => {
                let before = self.known.insert(MonitorPeer::Peer(peer), Known::default());
                assert!(before.is_none(), "{peer:?} was up");
            }
            Monitored::Down(peer) => {
                let gone = self.known.remove(&MonitorPeer::Peer(peer));
                assert!(gone.is_some(), "{peer:?} was not up");
            }
            Monitored::Updates { peer, octets, .. } => {
                let context = CodecContext {
                    add_path_receive: add_path(peer),
                    extended_next_hop: Family::SUPPORTED.into(),
                    ..CodecContext::default()
                };
                let known = self.known.get_mut(&peer).expect("it is up");
                known.take(&context, &octets);
            }
        }
    }
}

impl Known {
    fn take(&mut self, context: &CodecContext, mut octets: &[u8]) {
        while let Some(header) = octets.first_chunk() {
            let len = frame_len(header, 4096).unwrap();
            let (message, rest) = octets.split_at(len);
            octets = rest;
            let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
            decode_update(&message[HEADER_LEN..], context, &mut batch, &mut faults).unwrap();
            assert!(faults.is_empty(), "{faults:?}");
            for event in &batch.events {
                self.event(event, &batch);
            }
        }
    }

    fn event(&mut self, event: &RouteEvent, batch: &UpdateBatch) {
        match event {
            RouteEvent::Reach {
                nlri,
                data,
                attributes,
            } => {
                let attributes = batch.attributes(*attributes).unwrap().clone();
                let key = (nlri.clone(), data.path_id);
                self.routes.insert(key, (*data, attributes));
            }
            RouteEvent::Withdraw { nlri, path_id } => {
                let gone = self.routes.remove(&(nlri.clone(), *path_id));
                assert!(gone.is_some(), "{nlri} is withdrawn but was not told");
            }
            RouteEvent::EndOfRib(family) => {
                assert!(self.ends.insert(*family), "a second End-of-RIB of {family}");
            }
        }
    }
}

/// What can be monitored: the best paths, what peers say, or both.
fn scope(which: usize) -> MonitorScope {
    MonitorScope {
        loc_rib: which != 1,
        adj_rib_in: which != 0,
    }
}

impl Harness {
    /// Starts the monitor, or stops it.
    pub(crate) fn toggle_monitor(&mut self, which: usize) {
        if let Some(station) = self.monitors.remove(&which) {
            return self.net.rib.monitor_stop(station.id);
        }
        let scope = scope(which);
        let mut known = BTreeMap::new();
        if scope.loc_rib {
            known.insert(MonitorPeer::LocRib, Known::default());
        }
        let id = self.net.rib.monitor_start(scope);
        self.monitors.insert(which, Station { id, scope, known });
    }

    /// Lets a monitor take about `budget` octets; returns whether there was something.
    pub(crate) fn pull_monitor(&mut self, which: usize, budget: usize) -> bool {
        let Some(mut station) = self.monitors.remove(&which) else {
            return false;
        };
        let told = self.net.rib.monitor_pull(station.id, budget);
        let is_some = !told.is_empty();
        // What is told of a session is of the one that is there now: all else was told to be down.
        let add_path = |peer| match peer {
            MonitorPeer::LocRib => FamilySet::new(),
            MonitorPeer::Peer(peer) => {
                let session = &self.net.sessions[&peer];
                session.add_path_receive.iter().copied().collect()
            }
        };
        for one in told {
            station.take(one, add_path);
        }
        self.monitors.insert(which, station);
        is_some
    }

    /// All monitors take all; then they know what the model knows.
    pub(crate) fn compare_monitors(&mut self) {
        for which in 0..3 {
            while self.pull_monitor(which, 2000) {}
            let Some(station) = self.monitors.get(&which) else {
                continue;
            };
            assert!(!self.net.rib.monitor_has_news(station.id));
            let known: BTreeMap<MonitorPeer, &Routes> = station
                .known
                .iter()
                .map(|(peer, known)| (*peer, &known.routes))
                .collect();
            let expected = self.expected_of(station.scope);
            assert_eq!(
                known,
                expected
                    .iter()
                    .map(|(peer, routes)| (*peer, routes))
                    .collect()
            );
            if let Some(known) = station.known.get(&MonitorPeer::LocRib) {
                assert_eq!(known.ends.len(), Family::SUPPORTED.len());
            }
        }
    }

    /// After all is gone but the default membership of a reflector.
    pub(crate) fn compare_monitors_of_nothing(&mut self, reflect: bool) {
        for which in 0..3 {
            while self.pull_monitor(which, 2000) {}
            let Some(station) = self.monitors.get(&which) else {
                continue;
            };
            let left: usize = station.known.values().map(|known| known.routes.len()).sum();
            assert_eq!(left, usize::from(reflect && station.scope.loc_rib));
            assert_eq!(station.known.len(), usize::from(station.scope.loc_rib));
        }
    }

    fn expected_of(&self, scope: MonitorScope) -> BTreeMap<MonitorPeer, Routes> {
        let mut expected = BTreeMap::new();
        if scope.loc_rib {
            expected.insert(MonitorPeer::LocRib, self.best_routes());
        }
        let established = |place: &usize| self.established(*place);
        for place in (0..PEERS.len())
            .filter(established)
            .filter(|_| scope.adj_rib_in)
        {
            expected.insert(MonitorPeer::Peer(id(place)), self.routes_of(id(place)));
        }
        expected
    }

    fn routes_of(&self, peer: PeerId) -> Routes {
        let mut routes = Routes::new();
        for (nlri, paths) in &self.model.paths {
            for path in paths
                .iter()
                .filter(|path| path.origin == PathOrigin::Peer(peer))
            {
                let path_id = path.path_id;
                let data = PathData {
                    path_id,
                    ..path.data
                };
                routes.insert((nlri.clone(), path_id), (data, path.attributes.clone()));
            }
        }
        routes
    }

    /// Best paths are compared with the model elsewhere.
    fn best_routes(&self) -> Routes {
        let rib = &self.net.rib;
        let all = Family::SUPPORTED.into_iter();
        let all = all.flat_map(|family| rib.scan(family, Scope::All, 0));
        let routes = all.filter_map(|at| {
            let destination = rib.destination(at);
            let best = destination.best()?;
            let mut attributes = best.attributes.clone();
            if attributes.next_hop().is_none() && !at.family().is_flowspec() {
                let ours = crate::rib_support::ROUTER_ID;
                attributes = attributes
                    .to_builder()
                    .next_hop(std::net::IpAddr::V4(ours))
                    .build();
            }
            let data = PathData {
                path_id: 0,
                ..best.data
            };
            Some(((destination.nlri()?, 0), (data, attributes)))
        });
        routes.collect()
    }
}
