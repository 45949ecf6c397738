//! Whatever happened before: the state is that of an engine which is told only how things are now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use chanter_engine::desired::{DataplaneError, DesiredKey, DomainId};
use chanter_engine::view::RouteQuery;
use chanter_engine::{Engine, Input, PeerId};
use chanter_intent::{InstanceId, PortName};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::world::{World, objects_text, parse_config};

const IDS: [&str; 2] = ["red", "blue"];
const SOURCES: [&str; 2] = ["rest", "ovn"];
const TARGETS: [u32; 3] = [1, 2, 3];

/// MAC addresses 1 to 3 are attached here, 2 to 4 are advertised by others: what meets is tested.
fn mac(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

/// An address of a MAC address; 0 is none.
fn ip(mac: u8, number: u8) -> String {
    if number == 0 {
        "-".to_owned()
    } else {
        format!("10.0.{mac}.{number}")
    }
}

fn targets(numbers: &[u32]) -> String {
    numbers
        .iter()
        .map(|number| format!("64512:{number}"))
        .collect::<Vec<_>>()
        .join(",")
}

#[derive(Debug, Clone)]
enum Step {
    Instance {
        source: usize,
        id: usize,
        vni: u32,
        import: Vec<u32>,
        export: Vec<u32>,
    },
    RemoveInstance {
        source: usize,
        id: usize,
    },
    Attach {
        source: usize,
        id: usize,
        mac: u8,
        ip: u8,
        local_pref: u32,
        sticky: bool,
    },
    Detach {
        source: usize,
        id: usize,
        mac: u8,
        ip: u8,
    },
    Lost {
        source: usize,
    },
    Synced {
        source: usize,
    },
    PeerUp {
        peer: u32,
    },
    PeerDown {
        peer: u32,
    },
    Mac {
        peer: u32,
        vtep: u8,
        mac: u8,
        ip: u8,
        attributes: RouteChoice,
    },
    Multicast {
        peer: u32,
        vtep: u8,
        attributes: RouteChoice,
    },
    Withdraw {
        which: Index,
    },
    Break {
        id: usize,
        mac: u8,
    },
    Mend {
        which: Index,
    },
}

#[derive(Debug, Clone)]
struct RouteChoice {
    rts: Vec<u32>,
    sequence: u32,
    sticky: bool,
    local_pref: u32,
    label: u32,
    encap: &'static str,
}

impl RouteChoice {
    fn text(&self, vtep: u8) -> String {
        let RouteChoice {
            rts,
            sequence,
            sticky,
            local_pref,
            label,
            encap,
        } = self;
        let sticky = if *sticky { ":sticky" } else { "" };
        format!(
            "nh=192.0.2.{vtep} rt={} mobility={sequence}{sticky} lp={local_pref} label={label} \
             encap={encap}",
            targets(rts)
        )
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let source = || 0..SOURCES.len();
    let id = || 0..IDS.len();
    let some_targets = || subsequence(TARGETS.to_vec(), 0..=TARGETS.len());
    let attributes = (
        some_targets(),
        0u32..3,
        prop::bool::weighted(0.1),
        select(vec![100u32, 200]),
        select(vec![0u32, 500, 500, 500, 501]),
        select(vec!["vxlan", "vxlan", "vxlan", "none", "gre"]),
    );
    let attributes =
        attributes.prop_map(
            |(rts, sequence, sticky, local_pref, label, encap)| RouteChoice {
                rts,
                sequence,
                sticky,
                local_pref,
                label,
                encap,
            },
        );
    prop_oneof![
        4 => (source(), id(), 0u32..3, some_targets(), some_targets()).prop_map(
            |(source, id, vni, import, export)| Step::Instance { source, id, vni, import, export }
        ),
        1 => (source(), id()).prop_map(|(source, id)| Step::RemoveInstance { source, id }),
        6 => (source(), id(), 1u8..4, 0u8..3, 0u32..3, prop::bool::weighted(0.1)).prop_map(
            |(source, id, mac, ip, local_pref, sticky)| {
                Step::Attach { source, id, mac, ip, local_pref, sticky }
            }
        ),
        3 => (source(), id(), 1u8..4, 0u8..3)
            .prop_map(|(source, id, mac, ip)| Step::Detach { source, id, mac, ip }),
        1 => source().prop_map(|source| Step::Lost { source }),
        1 => source().prop_map(|source| Step::Synced { source }),
        2 => (1u32..3).prop_map(|peer| Step::PeerUp { peer }),
        1 => (1u32..3).prop_map(|peer| Step::PeerDown { peer }),
        8 => (1u32..3, 1u8..4, 2u8..5, 0u8..3, attributes.clone()).prop_map(
            |(peer, vtep, mac, ip, attributes)| Step::Mac { peer, vtep, mac, ip, attributes }
        ),
        3 => (1u32..3, 1u8..4, attributes)
            .prop_map(|(peer, vtep, attributes)| Step::Multicast { peer, vtep, attributes }),
        3 => any::<Index>().prop_map(|which| Step::Withdraw { which }),
        1 => (id(), 1u8..4).prop_map(|(id, mac)| Step::Break { id, mac }),
        1 => any::<Index>().prop_map(|which| Step::Mend { which }),
    ]
}

/// How things are: the inputs that count, by what they are about.
#[derive(Debug, Default)]
struct Now {
    /// By source and key: in which connection it was said, and the line that says it.
    claims: BTreeMap<(usize, String), (u64, String)>,
    epochs: [u64; 2],
    peers: BTreeSet<u32>,
    /// By peer and NLRI.
    routes: BTreeMap<(u32, String), String>,
}

const PEER_UP: &str = "families=l2vpn-evpn,ipv4-rtc router-id=198.51.100";

fn peer_up(peer: u32) -> String {
    format!("peer {peer} up 198.51.100.{peer} {PEER_UP}.{peer}")
}

impl Now {
    /// The lines that a step means, noted as what counts. Some mean nothing where they come.
    fn take(&mut self, step: &Step, world: &World) -> Vec<String> {
        let mut lines = self.take_source(step);
        lines.extend(self.take_peer(step));
        lines.extend(dataplane_lines(step, world));
        lines
    }

    fn take_source(&mut self, step: &Step) -> Vec<String> {
        match step {
            Step::Instance {
                source,
                id,
                vni,
                import,
                export,
            } => {
                let vni = match vni {
                    0 => String::new(),
                    vni => format!("vni={}", vni * 1000 + *id as u32),
                };
                let (import, export) = (targets(import), targets(export));
                let line = format!("{} {vni} import={import} export={export}", IDS[*id]);
                self.claim(*source, "instance", IDS[*id].to_owned(), line)
            }
            Step::RemoveInstance { source, id } => {
                self.unclaim(*source, "instance", "remove-instance", IDS[*id].to_owned())
            }
            Step::Attach {
                source,
                id,
                mac: number,
                ip: address,
                local_pref,
                sticky,
            } => {
                let key = format!("{} {} {}", IDS[*id], mac(*number), ip(*number, *address));
                let local_pref = match local_pref {
                    0 => String::new(),
                    number => format!("local-pref={}", number * 100),
                };
                let sticky = if *sticky { "sticky" } else { "" };
                // Everything of one MAC is behind one port.
                let line = format!("{key} {}-{number} {local_pref} {sticky}", IDS[*id]);
                self.claim(*source, "attach", key, line)
            }
            Step::Detach {
                source,
                id,
                mac: number,
                ip: address,
            } => {
                let key = format!("{} {} {}", IDS[*id], mac(*number), ip(*number, *address));
                self.unclaim(*source, "attach", "detach", key)
            }
            Step::Lost { source } => {
                self.epochs[*source] += 1;
                vec![format!("{} lost", SOURCES[*source])]
            }
            Step::Synced { source } => {
                let epoch = self.epochs[*source];
                self.claims
                    .retain(|(of, _), (said, _)| of != source || *said == epoch);
                vec![format!("{} synced", SOURCES[*source])]
            }
            _ => Vec::new(),
        }
    }

    fn take_peer(&mut self, step: &Step) -> Vec<String> {
        match step {
            Step::PeerUp { peer } if self.peers.insert(*peer) => {
                // The peer wants everything.
                vec![peer_up(*peer), format!("peer {peer} reach default")]
            }
            Step::PeerDown { peer } if self.peers.remove(peer) => {
                self.routes.retain(|(of, _), _| of != peer);
                vec![format!("peer {peer} down")]
            }
            Step::Mac {
                peer,
                vtep,
                mac: number,
                ip: address,
                attributes,
            } => {
                let ip = match address {
                    0 => String::new(),
                    address => format!(":[32]:[{}]", ip(*number, *address)),
                };
                let nlri = format!("[2]:[0]:[48]:[{}]{ip} rd 192.0.2.{vtep}:9", mac(*number));
                self.reach(*peer, nlri, attributes.text(*vtep + 1))
            }
            Step::Multicast {
                peer,
                vtep,
                attributes,
            } => {
                let vtep = *vtep + 1;
                let nlri = format!("[3]:[0]:[32]:[192.0.2.{vtep}] rd 192.0.2.{vtep}:9");
                self.reach(*peer, nlri, attributes.text(vtep))
            }
            Step::Withdraw { which } if !self.routes.is_empty() => {
                let keys: Vec<(u32, String)> = self.routes.keys().cloned().collect();
                let (peer, nlri) = which.get(&keys).clone();
                self.routes.remove(&(peer, nlri.clone()));
                vec![format!("peer {peer} withdraw {nlri}")]
            }
            _ => Vec::new(),
        }
    }

    fn claim(&mut self, source: usize, verb: &str, key: String, line: String) -> Vec<String> {
        let line = format!("{} {verb} {line}", SOURCES[source]);
        let epoch = self.epochs[source];
        self.claims
            .insert((source, format!("{verb} {key}")), (epoch, line.clone()));
        vec![line]
    }

    fn unclaim(&mut self, source: usize, verb: &str, undo: &str, key: String) -> Vec<String> {
        self.claims.remove(&(source, format!("{verb} {key}")));
        vec![format!("{} {undo} {key}", SOURCES[source])]
    }

    fn reach(&mut self, peer: u32, nlri: String, attributes: String) -> Vec<String> {
        if !self.peers.contains(&peer) {
            return Vec::new();
        }
        let line = format!("peer {peer} reach {nlri} {attributes}");
        self.routes.insert((peer, nlri), line.clone());
        vec![line]
    }

    fn lines_of(&self, verb: &str) -> impl Iterator<Item = &String> {
        let claims = self
            .claims
            .iter()
            .filter(move |((_, key), _)| key.starts_with(verb));
        claims.map(|(_, (_, line))| line)
    }

    /// An engine that is told only how things are. What it cannot know from that are the mobility
    /// sequence numbers, which say who moved last: it gets them by routes that were there before.
    fn world(&self, like: &World) -> World {
        let mut world = World::new(parse_config(CONFIG));
        world.refuse(like.broken());
        self.peers.iter().for_each(|peer| {
            world.run(&peer_up(*peer));
            world.run(&format!("peer {peer} reach default"));
        });
        for line in self.lines_of("instance") {
            world.run(line);
        }
        let predecessors = predecessors(&like.engine);
        world.run(&peer_up(9));
        for (id, attachment, sequence) in &predecessors {
            // Only this instance may see it.
            let rt = 1000 + IDS.iter().position(|other| other == id).unwrap_or_default();
            let nlri = format!("[2]:[0]:[48]:[{attachment}] rd 203.0.113.1:{rt}");
            let line = format!("nh=203.0.113.1 rt=64512:{rt} mobility={}", sequence - 1);
            for line in self.lines_of("instance").filter(|line| line.contains(id)) {
                world.run(&line.replace("import=", &format!("import=64512:{rt},")));
            }
            world.run(&format!("peer 9 reach {nlri} {line}"));
        }
        for line in self.lines_of("attach").chain(self.lines_of("instance")) {
            world.run(line);
        }
        world.run("peer 9 down");
        world.run("peer 9 removed");
        for line in self.routes.values() {
            world.run(line);
        }
        world
    }
}

fn dataplane_lines(step: &Step, world: &World) -> Vec<String> {
    match step {
        Step::Break { id, mac } => match world.engine.instance(&InstanceId::new(IDS[*id])) {
            Some(view) => {
                let key = format!("domain {} port {}-{mac}", view.number, IDS[*id]);
                vec![format!("dataplane breaks {key} cause=intent")]
            }
            None => Vec::new(),
        },
        Step::Mend { which } if !world.broken().is_empty() => {
            vec![format!("dataplane mends {}", which.get(world.broken()).0)]
        }
        _ => Vec::new(),
    }
}

/// The MAC addresses that have moved here, with their sequence numbers.
fn predecessors(engine: &Engine) -> Vec<(String, String, u32)> {
    let mut moved = BTreeSet::new();
    for instance in engine.instances() {
        for attachment in instance.attachments.iter().filter(|a| a.sequence > 0) {
            let id = instance.declared.id.to_string();
            moved.insert((id, attachment.key.mac.to_string(), attachment.sequence));
        }
    }
    moved.into_iter().collect()
}

/// The own VTEP is between those of others, of which one claims to be it.
const CONFIG: &str = "peers=2 vtep=192.0.2.3";

/// All that can be seen of an engine but for when it came about.
fn state(world: &World) -> Vec<String> {
    let mut lines = objects_text(&world.engine);
    for (key, value) in &world.installed {
        lines.push(format!("installed {key} {value:?}"));
    }
    for view in world.engine.desired(None) {
        lines.push(format!(
            "desired {} {:?} {:?}",
            view.key, view.value, view.result
        ));
        assert_eq!(world.installed.get(&view.key), Some(&view.value));
    }
    assert_eq!(
        world.installed.len(),
        world.engine.summary().desired_objects
    );
    for view in world.engine.instances() {
        lines.push(format!("{view:?}"));
    }
    let routes = world
        .engine
        .routes(&RouteQuery::default())
        .routes
        .into_iter()
        .map(|route| {
            let paths = route.paths.into_iter().map(|path| {
                let (source, by) = (path.source, path.imported_by);
                format!("{source:?} {:?} {} by {by:?}", path.data, path.attributes)
            });
            let mut paths: Vec<String> = paths.collect();
            // Those that are not the best stand in no order.
            paths[1..].sort();
            format!("route {} {paths:?}", route.nlri)
        });
    let mut routes: Vec<String> = routes.collect();
    routes.sort();
    lines.extend(routes);
    for (peer, sent) in &world.sent {
        lines.extend(
            sent.iter()
                .map(|(nlri, rest)| format!("sent {peer:?} {nlri} {rest}")),
        );
    }
    let summary = world.engine.summary();
    lines.push(format!(
        "{} {}",
        summary.routes_local, summary.routes_received
    ));
    lines
}

/// No number has two owners.
fn check_numbers(engine: &Engine) {
    let instances = engine.instances();
    let numbers: BTreeSet<DomainId> = instances.iter().map(|view| view.number).collect();
    let vnis: BTreeSet<_> = instances.iter().map(|view| view.vni).collect();
    let rds: BTreeSet<_> = instances.iter().map(|view| view.rd).collect();
    assert_eq!(
        (numbers.len(), vnis.len()),
        (instances.len(), instances.len())
    );
    assert_eq!(rds.len(), instances.len());
}

/// A MAC address is in one place, and a route is there only for what is here.
fn check_places(world: &World) {
    for key in world.installed.keys() {
        if let DesiredKey::LocalMac(domain, mac) = key {
            let remote = DesiredKey::RemoteMac(*domain, *mac);
            assert!(
                !world.installed.contains_key(&remote),
                "{mac} is in two places"
            );
        }
    }
    for instance in world.engine.instances() {
        for attachment in instance.attachments.iter().filter(|a| a.advertised) {
            let key = DesiredKey::LocalMac(instance.number, attachment.key.mac);
            assert!(
                world.installed.contains_key(&key),
                "advertised, but elsewhere"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn state_is_that_of_a_recomputation(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut world = World::new(parse_config(CONFIG));
        let mut now = Now::default();
        for step in beginning().iter().chain(&steps) {
            for line in now.take(step, &world) {
                world.run(&line);
            }
            check_numbers(&world.engine);
            check_places(&world);
            let fresh = now.world(&world);
            prop_assert_eq!(state(&world), state(&fresh), "after {:?}", step);
        }
        remove_everything(&mut world, &now);
        prop_assert_eq!(world.engine.objects(), Vec::new());
        prop_assert_eq!(world.engine.desired(None), Vec::new());
        prop_assert!(world.installed.is_empty());
        prop_assert!(world.engine.routes(&RouteQuery::default()).routes.is_empty());
        prop_assert_eq!(world.engine.summary().attribute_sets, 0);
    }

    #[test]
    fn order_of_independent_inputs_does_not_matter(
        steps in prop::collection::vec(any_step(), 1..40),
        keys in prop::collection::vec(any::<u32>(), 200),
    ) {
        // Everything that holds in the end, without what depends on who was first: MAC addresses
        // that are both here and there.
        let mut now = Now::default();
        let world = World::new(parse_config(CONFIG));
        let steps: Vec<Step> = beginning().into_iter().chain(steps).collect();
        for step in steps.iter().filter(|step| !matches!(step, Step::Attach { mac: 2.., .. })) {
            now.take(step, &world);
        }
        let mut lines: Vec<String> = now.claims.values().map(|(_, line)| line.clone()).collect();
        lines.extend(now.routes.values().cloned());
        let run = |lines: &[String]| {
            let mut world = World::new(parse_config(CONFIG));
            for peer in &now.peers {
                world.run(&peer_up(*peer));
                world.run(&format!("peer {peer} reach default"));
            }
            lines.iter().for_each(|line| { world.run(line); });
            state(&world)
        };
        let one = run(&lines);
        let mut keyed: Vec<(u32, String)> = keys.into_iter().zip(lines).collect();
        keyed.sort();
        let shuffled: Vec<String> = keyed.into_iter().map(|(_, line)| line).collect();
        prop_assert_eq!(one, run(&shuffled));
    }
}

/// Something to start with, so that what follows meets something.
fn beginning() -> Vec<Step> {
    let instance = |id, import: &[u32]| {
        let (import, export) = (import.to_vec(), import.to_vec());
        Step::Instance {
            source: 1,
            id,
            vni: 1,
            import,
            export,
        }
    };
    vec![
        Step::PeerUp { peer: 1 },
        Step::PeerUp { peer: 2 },
        instance(0, &[1, 2]),
        instance(1, &[2, 3]),
    ]
}

fn remove_everything(world: &mut World, now: &Now) {
    for (source, key) in now.claims.keys() {
        let undo = key
            .replace("instance ", "remove-instance ")
            .replace("attach ", "detach ");
        world.run(&format!("{} {undo}", SOURCES[*source]));
    }
    for peer in &now.peers {
        world.handle(Input::PeerRemoved {
            peer: PeerId(*peer),
        });
    }
    world.pass(Duration::from_secs(600));
}

#[test]
fn a_thousand_instances_have_a_thousand_numbers_and_give_them_back() {
    let mut world = World::new(parse_config(CONFIG));
    for number in 0..1000 {
        world.run(&format!("rest instance vpn-{number} rt=64512:{number}"));
    }
    assert_eq!(world.engine.summary().instances, 1000);
    check_numbers(&world.engine);
    let numbers = |engine: &Engine| -> Vec<(DomainId, u32)> {
        engine
            .instances()
            .iter()
            .map(|view| (view.number, view.vni.value()))
            .collect()
    };
    let before = numbers(&world.engine);
    for number in 0..1000 {
        world.run(&format!("rest remove-instance vpn-{number}"));
    }
    assert_eq!(world.engine.summary().instances, 0);
    for number in 0..1000 {
        world.run(&format!("rest instance vpn-{number} rt=64512:{number}"));
    }
    assert_eq!(numbers(&world.engine), before);
}

#[test]
fn a_port_that_is_refused_for_its_intent_keeps_only_its_own_routes_back() {
    let mut world = World::new(parse_config(CONFIG));
    world.run("rest instance red vni=100 rt=64512:1");
    let number = world
        .engine
        .instance(&InstanceId::new("red"))
        .unwrap()
        .number;
    let error = DataplaneError {
        message: "no device".to_owned(),
        caused_by_intent: true,
    };
    world.refuse(&[(DesiredKey::Port(number, PortName::new("tap0")), error)]);
    world.run("rest attach red 02:00:00:00:00:01 10.0.0.1 tap0");
    world.run("rest attach red 02:00:00:00:00:02 10.0.0.2 tap1");
    let view = world.engine.instance(&InstanceId::new("red")).unwrap();
    let advertised: Vec<(Option<IpAddr>, bool)> = view
        .attachments
        .iter()
        .map(|a| (a.key.ip, a.advertised))
        .collect();
    let expected = [("10.0.0.1", false), ("10.0.0.2", true)];
    let expected = expected.map(|(ip, advertised)| (ip.parse().ok(), advertised));
    assert_eq!(advertised, expected);
}
