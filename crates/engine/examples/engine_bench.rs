//! What single changes cost in an engine that holds much: the time of each must not depend on how
//! much else there is.
//!
//! `cargo run --release -p chanter-engine --example engine_bench [INSTANCES ROUTES]`

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant as Clock};

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, Family, MacIp, Nlri, PathData, RtMembership,
    UpdateBatch, encapsulation,
};
use chanter_engine::desired::Report;
use chanter_engine::{Engine, EngineConfig, Input, Output, PeerId, PeerRole, SessionInfo};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Object, ObjectKey, Port, PortName, SourceEvent,
    SourceId, VpnInstance, VpnKind,
};
use chanter_types::{Asn, EthernetTag, Instant, MacAddr, RouteDistinguisher, RouteTarget};

const PEER: PeerId = PeerId(1);
const NOW: Instant = Instant::from_secs(1);

struct Bench {
    engine: Engine,
    outputs: usize,
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u32>());
    let sizes = match (numbers.next(), numbers.next()) {
        (Some(Ok(instances)), Some(Ok(routes))) => vec![(instances, routes)],
        _ => vec![(100, 10_000), (1000, 100_000)],
    };
    println!(
        "{:>9} {:>8} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "instances",
        "routes",
        "import/route",
        "attach",
        "detach",
        "withdraw",
        "rt change",
        "remove"
    );
    for (instances, routes) in sizes {
        run(instances, routes);
    }
}

fn run(instances: u32, routes: u32) {
    let mut bench = Bench::new();
    for number in 0..instances {
        bench.source(SourceEvent::Upsert(instance(number, number)));
    }
    let import = timed(routes, |number| bench.reach(number, number % instances));
    let some = 1000;
    let attach = timed(some, |n| {
        bench.source(SourceEvent::Upsert(attachment(n, n % instances)))
    });
    let keys = |n| attachment(n, n % instances).key();
    let detach = timed(some, |n| bench.source(SourceEvent::Remove(keys(n))));
    let withdraw = timed(some, |n| bench.withdraw(n));
    let change = timed(50, |n| {
        bench.source(SourceEvent::Upsert(instance(n, n + 1)));
        bench.source(SourceEvent::Upsert(instance(n, n)));
    });
    let remove = timed(instances, |n| {
        bench.source(SourceEvent::Remove(ObjectKey::Instance(id(n))));
    });
    println!(
        "{instances:>9} {routes:>8} {import:>12.1?} {attach:>12.1?} {detach:>12.1?} {withdraw:>12.1?} {change:>12.1?} {remove:>12.1?}"
    );
    assert_eq!(bench.engine.summary().desired_objects, 0);
    assert!(bench.outputs > 0);
}

/// The mean time of one call.
fn timed(count: u32, mut call: impl FnMut(u32)) -> Duration {
    let start = Clock::now();
    (0..count).for_each(&mut call);
    start.elapsed() / count
}

impl Bench {
    fn new() -> Self {
        let config = EngineConfig {
            local_as: Asn(64512),
            router_id: Ipv4Addr::new(192, 0, 2, 1),
            vtep: Some([192, 0, 2, 1].into()),
            cluster_id: None,
            reflect: false,
            rt_constraint: true,
            sources: Vec::new(),
            peers_expected: 1,
            restarting: false,
            deferral: EngineConfig::DEFERRAL,
        };
        let engine = Engine::new(config, NOW);
        let mut bench = Bench { engine, outputs: 0 };
        let families = vec![Family::L2VPN_EVPN, Family::IPV4_RTC];
        let session = SessionInfo {
            end_of_rib: families.clone(),
            families,
            ..SessionInfo::new(
                ([192, 0, 2, 9].into(), [192, 0, 2, 1].into()),
                (Asn(64512), Asn(64512)),
                Ipv4Addr::new(192, 0, 2, 9),
                PeerRole::Ibgp,
            )
        };
        let session = Box::new(session);
        bench.input(Input::PeerUp {
            peer: PEER,
            session,
        });
        let mut batch = UpdateBatch::new();
        let everything = Nlri::Rtc(RtMembership::DEFAULT);
        let attributes = Attributes::builder().local_pref(100).build();
        batch.reach(everything, PathData::default(), attributes);
        bench.input(Input::Updates { peer: PEER, batch });
        bench
    }

    fn source(&mut self, event: SourceEvent) {
        let source = SourceId::Rest;
        self.input(Input::Source { source, event });
    }

    fn reach(&mut self, number: u32, rt: u32) {
        let attributes = Attributes::builder()
            .next_hop(IpAddr::from([198, 51, 100, (number % 200) as u8 + 1]))
            .local_pref(100)
            .extended_communities(vec![
                ExtendedCommunity::route_target(target(rt)),
                ExtendedCommunity::encapsulation(encapsulation::VXLAN),
            ])
            .build();
        let mut batch = UpdateBatch::new();
        batch.reach(nlri(number), PathData::with_label(100), attributes);
        self.input(Input::Updates { peer: PEER, batch });
    }

    fn withdraw(&mut self, number: u32) {
        let mut batch = UpdateBatch::new();
        batch.withdraw(nlri(number));
        self.input(Input::Updates { peer: PEER, batch });
    }

    /// Hands an input in and does all that follows from it.
    fn input(&mut self, input: Input) {
        self.engine.handle(input, NOW);
        loop {
            let mut reports = Vec::new();
            while let Some(output) = self.engine.poll_output() {
                self.outputs += 1;
                match output {
                    Output::Program(change) => reports.push(Report {
                        key: change.key,
                        version: change.version,
                        result: Ok(()),
                    }),
                    Output::ExportReady(peer) => {
                        let mut octets = Vec::new();
                        while self.engine.export(peer, 65536, &mut octets) {}
                    }
                    _ => {}
                }
            }
            if reports.is_empty() {
                return;
            }
            self.engine.handle(Input::Dataplane(reports), NOW);
        }
    }
}

fn id(number: u32) -> InstanceId {
    InstanceId::new(&format!("net-{number}"))
}

fn target(number: u32) -> RouteTarget {
    RouteTarget::from_as2(64512, number + 1)
}

fn instance(number: u32, rt: u32) -> Object {
    Object::Instance(VpnInstance {
        id: id(number),
        kind: VpnKind::MacVrf(MacVrf {
            vni: None,
            bridge: None,
        }),
        import: [target(rt)].into(),
        export: [target(rt)].into(),
        rd: None,
        gateway_ip: None,
        description: None,
    })
}

fn mac(first: u8, number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([first, 0, a, b, c, d])
}

fn attachment(number: u32, instance: u32) -> Object {
    let [_, b, c, d] = number.to_be_bytes();
    Object::Attachment(Attachment {
        key: AttachmentKey {
            instance: id(instance),
            mac: mac(2, number),
            ip: Some([10, b, c, d].into()),
        },
        port: Port {
            name: PortName::new(&format!("tap{number}")),
            vlan: None,
        },
        local_pref: None,
        sticky: false,
        description: None,
    })
}

fn nlri(number: u32) -> Nlri {
    let [_, b, c, d] = number.to_be_bytes();
    Nlri::Evpn(EvpnNlri::MacIp(MacIp {
        rd: RouteDistinguisher::from_ipv4([198, 51, 100, (number % 200) as u8 + 1].into(), 7),
        tag: EthernetTag::default(),
        mac: mac(6, number),
        ip: Some([172, b, c, d].into()),
    }))
}
