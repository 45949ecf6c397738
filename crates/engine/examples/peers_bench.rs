//! What thousands of sessions cost a reflector: all come up, send what they have and what they want,
//! change their routes, and a third of them flaps.
//!
//! `cargo run --release -p chanter-engine --example peers_bench -- [SESSIONS]`

#![allow(clippy::print_stdout)] // what it is for

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant as Clock};

use chanter_bgp::{Attributes, ExtendedCommunity, Family, Nlri, PathData, RouteEvent, UpdateBatch};
use chanter_engine::{Engine, EngineConfig, Input, Output, PeerId, PeerRole, SessionInfo};
use chanter_types::{Asn, Instant, RouteTarget};

const FAMILIES: [Family; 2] = [Family::L2VPN_EVPN, Family::IPV4_RTC];
/// Routes of each session.
const ROUTES: u32 = 50;
/// So many sessions share a route target.
const MEMBERS: u32 = 20;
const ROUNDS: u32 = 10;

struct Bench {
    engine: Engine,
    now: Instant,
    inputs: usize,
    octets: usize,
}

impl Bench {
    fn new(sessions: u32) -> Self {
        let config = EngineConfig {
            local_as: Asn(64512),
            router_id: Ipv4Addr::new(10, 255, 0, 1),
            vtep: None,
            cluster_id: None,
            reflect: true,
            rt_constraint: true,
            sources: Vec::new(),
            peers_expected: sessions as usize,
            restarting: false,
            deferral: EngineConfig::DEFERRAL,
        };
        let now = Instant::from_secs(1);
        Bench {
            engine: Engine::new(config, now),
            now,
            inputs: 0,
            octets: 0,
        }
    }

    /// Hands an input in, and lets every peer take what is for it.
    fn input(&mut self, input: Input) {
        self.inputs += 1;
        self.engine.handle(input, self.now);
        let mut octets = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            if let Output::ExportReady(peer) = output {
                while self.engine.export(peer, 65536, &mut octets) {}
                self.octets += octets.len();
                octets.clear();
            }
        }
    }

    fn up(&mut self, number: u32) {
        let session = Box::new(session(number));
        let peer = PeerId(number);
        self.input(Input::PeerUp { peer, session });
        self.input(Input::Updates {
            peer,
            batch: membership(number),
        });
        self.routes(number, 0..ROUTES, 0);
        let mut batch = UpdateBatch::new();
        batch.events.push(RouteEvent::EndOfRib(Family::L2VPN_EVPN));
        self.input(Input::Updates { peer, batch });
    }

    fn routes(&mut self, number: u32, which: std::ops::Range<u32>, sequence: u32) {
        let mut batch = UpdateBatch::new();
        for route in which {
            let text = format!(
                "[2]:[0]:[48]:[02:00:{:02x}:{:02x}:00:{route:02x}] rd {}:1",
                number >> 8 & 0xff,
                number & 0xff,
                addr(number)
            );
            let nlri: Nlri = text.parse().expect("an NLRI");
            batch.reach(
                nlri,
                PathData::with_label(100),
                attributes(number, sequence),
            );
        }
        let peer = PeerId(number);
        self.input(Input::Updates { peer, batch });
    }
}

fn addr(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + number)
}

fn target(number: u32) -> RouteTarget {
    RouteTarget::from_as2(64512, number / MEMBERS)
}

fn attributes(number: u32, sequence: u32) -> Attributes {
    Attributes::builder()
        .next_hop(IpAddr::from(addr(number)))
        .local_pref(100)
        .med(sequence)
        .push_extended_community(ExtendedCommunity::route_target(target(number)))
        .build()
}

fn membership(number: u32) -> UpdateBatch {
    let mut batch = UpdateBatch::new();
    let text = format!("64512:target:{}/96", target(number));
    let attributes = Attributes::builder().next_hop(IpAddr::from(addr(number)));
    let nlri = text.parse().expect("a membership");
    batch.reach(nlri, PathData::default(), attributes.build());
    batch.events.push(RouteEvent::EndOfRib(Family::IPV4_RTC));
    batch
}

fn session(number: u32) -> SessionInfo {
    SessionInfo {
        families: FAMILIES.to_vec(),
        end_of_rib: FAMILIES.to_vec(),
        ..SessionInfo::new(
            (addr(number).into(), Ipv4Addr::new(10, 255, 0, 1).into()),
            (Asn(64512), Asn(64512)),
            addr(number),
            PeerRole::RouteReflectorClient,
        )
    }
}

fn main() {
    let arg = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let sessions: u32 = arg.unwrap_or(2000);
    let mut bench = Bench::new(sessions);
    let mut stage = |name: &str, work: &mut dyn FnMut(&mut Bench)| {
        let (start, inputs, octets) = (Clock::now(), bench.inputs, bench.octets);
        work(&mut bench);
        let (took, inputs) = (start.elapsed(), bench.inputs - inputs);
        println!(
            "{name:<28} {took:>10.1?}  {inputs:>7} inputs  {:>8.1?} each  {:>6} kB sent",
            took / u32::try_from(inputs.max(1)).unwrap_or(1),
            (bench.octets - octets) / 1000
        );
    };
    stage("all come up", &mut |bench| {
        (1..=sessions).for_each(|number| bench.up(number));
    });
    stage("one route of each changes", &mut |bench| {
        for round in 1..=ROUNDS {
            for number in 1..=sessions {
                bench.routes(number, 0..1, round);
            }
        }
    });
    stage("a third flaps", &mut |bench| {
        for number in (1..=sessions).step_by(3) {
            bench.now = bench.now + Duration::from_millis(1);
            bench.input(Input::PeerDown {
                peer: PeerId(number),
                retain: Vec::new(),
                restart_time: Duration::ZERO,
            });
            bench.up(number);
        }
    });
}
