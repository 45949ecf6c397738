//! Peers for tests of the RIB: what they send is handed over decoded, what they are sent is decoded
//! by the codec into a table as a real peer would keep it.

#![allow(dead_code, clippy::unwrap_used)] // each test uses a part; what fails here fails the test

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chanter_bgp::{
    Attributes, AttributesBuilder, CodecContext, ExtendedCommunity, Family, HEADER_LEN, Nlri,
    PathData, RouteEvent, UpdateBatch, decode_update, frame_len,
};
use chanter_engine::rib::{Rib, RibConfig};
use chanter_engine::{PeerId, PeerRole, SessionInfo};
use chanter_types::{Asn, Instant, RouteTarget};
use proptest::test_runner::{Config as ProptestConfig, FileFailurePersistence};

pub(crate) const LOCAL_AS: Asn = Asn(64512);
pub(crate) const ROUTER_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
pub(crate) const CLUSTER_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 200);
pub(crate) const LOCAL_ADDR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));
pub(crate) const MEMBERSHIP_WAIT: Duration = Duration::from_secs(10);

/// Cases that failed are kept beside the test.
pub(crate) fn proptest_config() -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    ProptestConfig {
        failure_persistence: Some(Box::new(persistence)),
        ..ProptestConfig::default()
    }
}

pub(crate) fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

pub(crate) fn config(reflect: bool) -> RibConfig {
    RibConfig {
        local_as: LOCAL_AS,
        router_id: ROUTER_ID,
        cluster_id: Some(CLUSTER_ID),
        reflect,
        membership_wait: MEMBERSHIP_WAIT,
    }
}

pub(crate) fn router_id(number: u32) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number as u8)
}

pub(crate) fn session(number: u32, role: PeerRole, families: &[Family]) -> SessionInfo {
    let peer_addr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, number as u8));
    let peer_as = match role {
        PeerRole::Ebgp => Asn(65000 + number),
        _ => LOCAL_AS,
    };
    SessionInfo {
        families: families.to_vec(),
        end_of_rib: families.to_vec(),
        ..SessionInfo::new(
            (peer_addr, LOCAL_ADDR),
            (peer_as, LOCAL_AS),
            router_id(number),
            role,
        )
    }
}

pub(crate) fn nlri(text: &str) -> Nlri {
    text.parse().unwrap()
}

pub(crate) fn rt(text: &str) -> RouteTarget {
    text.parse().unwrap()
}

pub(crate) fn mac_ip(number: u8, rd: u8) -> Nlri {
    nlri(&format!(
        "[2]:[0]:[48]:[02:00:00:00:00:{number:02x}]:[32]:[10.1.0.{number}] rd 10.0.0.1:{rd}"
    ))
}

/// Attributes as an ordinary peer sends them.
pub(crate) fn attributes() -> AttributesBuilder {
    Attributes::builder()
        .local_pref(100)
        .next_hop(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)))
}

pub(crate) fn with_rts(builder: AttributesBuilder, rts: &[&str]) -> AttributesBuilder {
    rts.iter().fold(builder, |builder, text| {
        builder.push_extended_community(ExtendedCommunity::route_target(rt(text)))
    })
}

/// What a peer has been sent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub(crate) routes: BTreeMap<Nlri, (PathData, Attributes)>,
    pub(crate) ends: BTreeSet<Family>,
    /// How many UPDATE messages came, and how many routes were in them.
    pub(crate) messages: usize,
    pub(crate) reaches: usize,
    pub(crate) withdrawals: usize,
}

impl Received {
    /// Decodes UPDATE messages as the peer of the session does.
    pub(crate) fn take(&mut self, session: &SessionInfo, octets: &[u8]) {
        let context = CodecContext {
            four_octet_as: session.four_octet_as,
            families: session.families.iter().copied().collect(),
            ebgp: session.role == PeerRole::Ebgp,
            message_len_max: session.message_len_max,
            ..CodecContext::default()
        };
        let mut rest = octets;
        while !rest.is_empty() {
            let len = frame_len(rest.first_chunk().unwrap(), session.message_len_max).unwrap();
            assert!(len <= session.message_len_max, "message of {len} octets");
            let (message, tail) = rest.split_at(len);
            rest = tail;
            self.messages += 1;
            let mut batch = UpdateBatch::new();
            let mut faults = Vec::new();
            decode_update(&message[HEADER_LEN..], &context, &mut batch, &mut faults).unwrap();
            assert!(faults.is_empty(), "{faults:?}");
            self.take_batch(&batch);
        }
    }

    fn take_batch(&mut self, batch: &UpdateBatch) {
        for event in &batch.events {
            match event {
                RouteEvent::Reach {
                    nlri,
                    data,
                    attributes,
                } => {
                    self.reaches += 1;
                    let attributes = batch.attributes(*attributes).unwrap().clone();
                    self.routes.insert(nlri.clone(), (*data, attributes));
                }
                RouteEvent::Withdraw { nlri, .. } => {
                    self.withdrawals += 1;
                    let gone = self.routes.remove(nlri);
                    assert!(gone.is_some(), "{nlri} is withdrawn but was not advertised");
                }
                RouteEvent::EndOfRib(family) => {
                    assert!(self.ends.insert(*family), "a second End-of-RIB of {family}");
                }
            }
        }
    }

    pub(crate) fn nlri(&self) -> Vec<String> {
        self.routes.keys().map(ToString::to_string).collect()
    }
}

/// A RIB with peers.
pub(crate) struct Net {
    pub(crate) rib: Rib,
    pub(crate) sessions: BTreeMap<PeerId, SessionInfo>,
    pub(crate) received: BTreeMap<PeerId, Received>,
    pub(crate) now: Instant,
}

impl Net {
    pub(crate) fn new(config: RibConfig) -> Self {
        Net {
            rib: Rib::new(config),
            sessions: BTreeMap::new(),
            received: BTreeMap::new(),
            now: at(1000),
        }
    }

    /// Brings a peer up; its number is that of its addresses.
    pub(crate) fn up(&mut self, number: u32, role: PeerRole, families: &[Family]) -> PeerId {
        self.up_as(number, session(number, role, families));
        PeerId(number)
    }

    pub(crate) fn up_as(&mut self, number: u32, session: SessionInfo) -> usize {
        let peer = PeerId(number);
        let removed = self.rib.peer_up(peer, session.clone(), self.now);
        self.sessions.insert(peer, session);
        self.received.insert(peer, Received::default());
        removed
    }

    pub(crate) fn send(&mut self, peer: PeerId, nlri: Nlri, attributes: &Attributes) {
        let mut batch = UpdateBatch::new();
        batch.reach(nlri, PathData::default(), attributes.clone());
        self.rib.apply(peer, batch, self.now);
    }

    pub(crate) fn withdraw(&mut self, peer: PeerId, nlri: Nlri) {
        let mut batch = UpdateBatch::new();
        batch.withdraw(nlri);
        self.rib.apply(peer, batch, self.now);
    }

    pub(crate) fn end_of_rib(&mut self, peer: PeerId, family: Family) -> usize {
        let mut batch = UpdateBatch::new();
        batch.events.push(RouteEvent::EndOfRib(family));
        let ends = self.rib.apply(peer, batch, self.now);
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].family, family);
        ends[0].stale_removed
    }

    /// Lets a peer take about `budget` octets; returns whether more is waiting.
    pub(crate) fn pull(&mut self, peer: PeerId, budget: usize) -> bool {
        let mut out = Vec::new();
        let has_more = self.rib.export(peer, budget, &mut out);
        let session = &self.sessions[&peer];
        self.received.get_mut(&peer).unwrap().take(session, &out);
        has_more
    }

    /// Lets a peer take all.
    pub(crate) fn drain(&mut self, peer: PeerId) -> &Received {
        while self.pull(peer, 4096) {}
        &self.received[&peer]
    }

    /// Lets every peer that is told to be ready take all.
    pub(crate) fn drain_ready(&mut self) -> Vec<PeerId> {
        let mut told = Vec::new();
        while let Some(peer) = self.rib.poll_export_ready() {
            self.drain(peer);
            told.push(peer);
        }
        told
    }
}
