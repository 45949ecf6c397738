//! Plans against a simulated kernel, from any state.

use std::collections::BTreeSet;

use chanter_engine::desired::{DesiredChange, DesiredKey, DomainId};
use chanter_intent::PortName;
use chanter_types::MacAddr;
use proptest::collection::vec;
use proptest::prelude::*;

use super::desire::*;
use super::simulation::{execute, link, put};
use crate::linux::desired::Desired;
use crate::linux::names;
use crate::linux::observe::{
    BridgeEntry, BridgeSettings, Link, LinkKind, NeighborEntry, Notice, Observed, PortSettings,
    Remote, VxlanSettings,
};
use crate::linux::op::{Op, Step};
use crate::linux::plan::{PROTOCOL, Plan, Rules, Scope, plan};

const RULES: Rules = Rules {
    udp_port: 4789,
    prune: false,
};
const PRUNE: Rules = Rules {
    udp_port: 4789,
    prune: true,
};
const VTEPS: [&str; 3] = ["10.0.0.2", "10.0.0.3", "10.0.0.4"];

fn desired(changes: impl IntoIterator<Item = DesiredChange>) -> Desired {
    let mut desired = Desired::default();
    changes.into_iter().for_each(|change| desired.apply(change));
    desired
}

fn plan_all(desired: &Desired, observed: &Observed, rules: Rules) -> Plan {
    plan(desired, observed, &Scope::everything(desired), rules)
}

fn node_with_port() -> Observed {
    let mut observed = Observed::default();
    put(&mut observed, link(1, "lo", LinkKind::Other));
    put(&mut observed, link(2, "tap-a", LinkKind::Other));
    observed
}

fn texts(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| step.op.to_string()).collect()
}

fn small_domain() -> Vec<DesiredChange> {
    vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local("02:00:00:00:00:0a", "tap-a"),
        flood("10.0.0.2"),
        remote_at(mac("02:00:00:00:00:0b"), "10.0.0.2", 101, false),
        neighbor("192.168.0.2", "02:00:00:00:00:0b"),
    ]
}

#[test]
fn a_domain_is_built_before_it_is_used_and_taken_down_in_reverse() {
    let mut observed = node_with_port();
    let mut desired = desired(small_domain());
    let built = plan_all(&desired, &observed, RULES);
    let expected = [
        "create bridge evpn---evpn-a",
        "set evpn---evpn-a: alias chanter:evpn-a",
        "set evpn---evpn-a: no IPv6 addresses of its own",
        "set evpn---evpn-a: ARP and IPv4 only for addresses of its own",
        "set evpn---evpn-a: up",
        "create VXLAN device vxlan--evpn-a: VNI 100, local 10.0.0.1, port 4789",
        "set vxlan--evpn-a: alias chanter:evpn-a",
        "set vxlan--evpn-a: no IPv6 addresses of its own",
        "make vxlan--evpn-a a port of evpn---evpn-a",
        "set bridge port vxlan--evpn-a: learning off, ARP and ND suppression on",
        "set vxlan--evpn-a: up",
        "make tap-a a port of evpn---evpn-a",
        "bridge 02:00:00:00:00:0a to tap-a",
        "keep 02:00:00:00:00:0a at tap-a",
        "flood by vxlan--evpn-a to 10.0.0.2",
        "tunnel 02:00:00:00:00:0b by vxlan--evpn-a to 10.0.0.2 VNI 101",
        "bridge 02:00:00:00:00:0b to vxlan--evpn-a",
        "answer for 192.168.0.2 on evpn---evpn-a: 02:00:00:00:00:0b",
    ];
    assert_eq!(texts(&built.steps), expected);
    execute(&mut observed, &built.steps);
    assert_eq!(plan_all(&desired, &observed, PRUNE).steps, []);
    small_domain()
        .into_iter()
        .skip(1)
        .for_each(|change| desired.apply(no(change)));
    let expected = [
        "do not answer for 192.168.0.2 on evpn---evpn-a",
        "do not tunnel 02:00:00:00:00:0b by vxlan--evpn-a to 10.0.0.2 VNI 101",
        "do not flood by vxlan--evpn-a to 10.0.0.2",
        "do not bridge 02:00:00:00:00:0a to tap-a",
        "do not bridge 02:00:00:00:00:0b to vxlan--evpn-a",
        "take tap-a out of its bridge",
    ];
    // Word from the engine that it is no longer desired suffices, prune or not.
    let removed = plan_all(&desired, &observed, RULES);
    let mut sorted = texts(&removed.steps);
    sorted[1..5].sort();
    let mut expected = expected.map(str::to_owned);
    expected[1..5].sort();
    assert_eq!(sorted, expected);
    execute(&mut observed, &removed.steps);
    desired.apply(no(domain("10.0.0.1")));
    let removed = plan_all(&desired, &observed, RULES);
    assert_eq!(
        texts(&removed.steps),
        ["delete device vxlan--evpn-a", "delete device evpn---evpn-a"]
    );
    execute(&mut observed, &removed.steps);
    assert_eq!(observed, node_with_port());
}

#[test]
fn a_plan_is_made_for_what_is_touched_only() {
    let mut observed = node_with_port();
    let mut desired = desired(small_domain());
    let steps = plan_all(&desired, &observed, RULES).steps;
    execute(&mut observed, &steps);
    desired.apply(remote("02:00:00:00:00:0c", "10.0.0.3"));
    desired.apply(remote("02:00:00:00:00:0d", "10.0.0.3"));
    let key = DesiredKey::RemoteMac(ID, mac("02:00:00:00:00:0d"));
    let mut scope = Scope::default();
    scope.add_key(key.clone());
    let plan = plan(&desired, &observed, &scope, RULES);
    assert_eq!(plan.examined, [DesiredKey::Domain(ID), key.clone()].into());
    assert!(
        plan.steps
            .iter()
            .all(|step| step.key.as_ref() == Some(&key))
    );
    assert_eq!(plan.steps.len(), 2);
}

#[test]
fn two_domains_of_one_plan_never_share_a_device() {
    let observed = node_with_port();
    let two = DomainId(2);
    let desired = desired([
        domain_of(ID, "evpn_4f1bd5a8-1", 100, "10.0.0.1"),
        domain_of(two, "evpn_4f1bd5a8-2", 200, "10.0.0.1"),
    ]);
    let steps = plan_all(&desired, &observed, RULES).steps;
    let created: BTreeSet<_> = steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::CreateBridge { bridge: name } | Op::CreateVxlan { vxlan: name, .. } => Some(name),
            _ => None,
        })
        .collect();
    assert_eq!(created.len(), 4);
}

#[test]
fn a_leftover_that_holds_the_vni_makes_room_when_pruning_is_allowed() {
    let mut observed = node_with_port();
    let old = desired([domain_of(ID, "old", 100, "10.0.0.1")]);
    let steps = plan_all(&old, &observed, RULES).steps;
    execute(&mut observed, &steps);
    let new = desired([domain_of(ID, "new", 100, "10.0.0.1"), flood("10.0.0.2")]);
    let blocked = plan_all(&new, &observed, RULES);
    assert!(
        blocked.failures[&DesiredKey::Domain(ID)]
            .message
            .contains("VNI 100")
    );
    assert!(
        blocked
            .failures
            .contains_key(&DesiredKey::Flood(ID, addr("10.0.0.2")))
    );
    let steps = plan_all(&new, &observed, PRUNE).steps;
    execute(&mut observed, &steps);
    assert_eq!(plan_all(&new, &observed, PRUNE).steps, []);
    assert!(observed.by_name("vxlan--old").is_none());
}

/// One thing that might be in a kernel, ours or not.
#[derive(Debug, Clone)]
enum Thing {
    Bridge {
        name: u8,
        tag: u8,
        settings: (bool, bool),
        up: bool,
    },
    Vxlan {
        name: u8,
        tag: u8,
        vni: u32,
        local: u8,
        proxy: bool,
        master: Option<u8>,
    },
    Port {
        name: u8,
        master: Option<u8>,
    },
    BridgeFdb {
        bridge: u8,
        mac: u8,
        port: u8,
        flags: u8,
    },
    Tunnel {
        vxlan: u8,
        mac: u8,
        vtep: usize,
        vni: Option<u32>,
        ext_learned: bool,
    },
    Neighbor {
        dev: u8,
        ip: u8,
        mac: u8,
        ours: bool,
    },
}

fn thing() -> impl Strategy<Value = Thing> {
    let settings = (any::<bool>(), any::<bool>());
    prop_oneof![
        (0..4u8, 0..4u8, settings, any::<bool>()).prop_map(|(name, tag, settings, up)| {
            Thing::Bridge {
                name,
                tag,
                settings,
                up,
            }
        }),
        (
            0..4u8,
            0..4u8,
            100..103u32,
            1..3u8,
            any::<bool>(),
            proptest::option::of(0..4u8)
        )
            .prop_map(|(name, tag, vni, local, proxy, master)| {
                Thing::Vxlan {
                    name,
                    tag,
                    vni,
                    local,
                    proxy,
                    master,
                }
            }),
        (0..4u8, proptest::option::of(0..4u8))
            .prop_map(|(name, master)| Thing::Port { name, master }),
        (0..4u8, 0..8u8, 0..8u8, any::<u8>()).prop_map(|(bridge, mac, port, flags)| {
            Thing::BridgeFdb {
                bridge,
                mac,
                port,
                flags,
            }
        }),
        (
            0..4u8,
            0..8u8,
            0..3usize,
            proptest::option::of(100..103u32),
            any::<bool>()
        )
            .prop_map(|(vxlan, mac, vtep, vni, ext_learned)| Thing::Tunnel {
                vxlan,
                mac,
                vtep,
                vni,
                ext_learned
            }),
        (0..8u8, 0..8u8, 0..8u8, any::<bool>()).prop_map(|(dev, ip, mac, ours)| Thing::Neighbor {
            dev,
            ip,
            mac,
            ours
        }),
    ]
}

fn instance(number: u8) -> String {
    // The first two collide in the names of their devices.
    ["evpn_4f1bd5a8-1", "evpn_4f1bd5a8-2", "c", "d"][usize::from(number % 4)].to_owned()
}

fn tag(number: u8) -> Option<std::sync::Arc<str>> {
    match number {
        0 => None,
        number => Some(names::tag(&chanter_intent::InstanceId::new(&instance(number - 1))).into()),
    }
}

fn some_mac(number: u8) -> MacAddr {
    if number == 0 {
        MacAddr::ZERO
    } else {
        MacAddr([2, 0, 0, 0, 0, number])
    }
}

fn bridge_name(number: u8) -> String {
    format!("evpn---{}", instance(number))
        .chars()
        .take(15)
        .collect()
}

fn vxlan_name(number: u8) -> String {
    format!("vxlan--{}", instance(number))
        .chars()
        .take(15)
        .collect()
}

/// Puts the thing into the kernel, if the kernel could be so.
#[expect(clippy::too_many_lines, reason = "a flat match")]
fn add(observed: &mut Observed, thing: Thing) {
    let index = 1 + observed
        .links()
        .map(|link| link.index)
        .max()
        .unwrap_or_default();
    let bridge = |observed: &Observed, number: u8| {
        let link = observed.by_name(&bridge_name(number))?;
        matches!(link.kind, LinkKind::Bridge(_)).then_some(link.index)
    };
    let named = |observed: &Observed, name: &str| observed.by_name(name).map(|link| link.index);
    match thing {
        Thing::Bridge {
            name,
            tag: owner,
            settings: (stp, snooping),
            up,
        } => {
            if named(observed, &bridge_name(name)).is_none() {
                let settings = BridgeSettings {
                    forward_delay: 0,
                    stp,
                    multicast_snooping: snooping,
                };
                let new = link(index, &bridge_name(name), LinkKind::Bridge(settings));
                put(
                    observed,
                    Link {
                        alias: tag(owner),
                        up,
                        ..new
                    },
                );
            }
        }
        Thing::Vxlan {
            name,
            tag: owner,
            vni,
            local,
            proxy,
            master,
        } => {
            let taken = observed.by_vni(vni).next().is_some();
            if named(observed, &vxlan_name(name)).is_none() && !taken {
                let settings = VxlanSettings {
                    vni,
                    local: Some([10, 0, 0, local].into()),
                    udp_port: 4789,
                    learning: proxy,
                    proxy,
                    external: false,
                };
                let master = master.and_then(|master| bridge(observed, master));
                let new = link(index, &vxlan_name(name), LinkKind::Vxlan(settings));
                let port = master.map(|_| PortSettings::DEFAULT);
                put(
                    observed,
                    Link {
                        alias: tag(owner),
                        master,
                        port,
                        ..new
                    },
                );
            }
        }
        Thing::Port { name, master } => {
            let name = format!("tap-{name}");
            let master = master.and_then(|master| bridge(observed, master));
            if named(observed, &name).is_none() {
                let port = master.map(|_| PortSettings::DEFAULT);
                put(
                    observed,
                    Link {
                        master,
                        port,
                        ..link(index, &name, LinkKind::Other)
                    },
                );
            }
        }
        thing => add_entry(observed, thing),
    }
}

#[expect(clippy::too_many_lines, reason = "a flat match")]
fn add_entry(observed: &mut Observed, thing: Thing) {
    match thing {
        Thing::BridgeFdb {
            bridge,
            mac,
            port,
            flags,
        } => {
            let Some(bridge) = observed
                .by_name(&bridge_name(bridge))
                .map(|link| link.index)
            else {
                return;
            };
            let ports: Vec<u32> = observed.ports(bridge).map(|link| link.index).collect();
            if ports.is_empty() || mac == 0 {
                return;
            }
            let fixed = flags & 2 != 0;
            let entry = BridgeEntry {
                port: ports[usize::from(port) % ports.len()],
                ext_learned: flags & 1 != 0 || !fixed,
                fixed,
                sticky: fixed && flags & 4 != 0,
                local: false,
            };
            observed.apply(Notice::BridgeFdb {
                bridge,
                mac: some_mac(mac),
                entry: Some(entry),
            });
        }
        Thing::Tunnel {
            vxlan,
            mac,
            vtep,
            vni,
            ext_learned,
        } => {
            if let Some(link) = observed.by_name(&vxlan_name(vxlan)) {
                let LinkKind::Vxlan(settings) = link.kind else {
                    return;
                };
                let vni = vni.filter(|vni| *vni != settings.vni);
                let remote = Remote {
                    dst: addr(VTEPS[vtep]),
                    vni,
                };
                let vxlan = link.index;
                let notice = Notice::TunnelFdb {
                    vxlan,
                    mac: some_mac(mac),
                    remote,
                    ext_learned,
                };
                observed.apply(notice);
            }
        }
        Thing::Neighbor { dev, ip, mac, ours } => {
            let name = if dev < 4 {
                bridge_name(dev)
            } else {
                vxlan_name(dev - 4)
            };
            if let Some(dev) = observed.by_name(&name).map(|link| link.index) {
                let protocol = if ours { PROTOCOL } else { 0 };
                let entry = Some(NeighborEntry {
                    mac: some_mac(mac),
                    protocol,
                });
                observed.apply(Notice::Neighbor {
                    dev,
                    ip: [192, 168, 0, ip].into(),
                    entry,
                });
            }
        }
        _ => unreachable!("devices are added by the caller"),
    }
}

fn change() -> impl Strategy<Value = DesiredChange> {
    let id = (1..4u32).prop_map(DomainId);
    let what = prop_oneof![
        4 => (0..3u8, 1..3u8, 100..103u32).prop_map(|(name, local, vni)| {
            domain_of(ID, &instance(name), vni, &format!("10.0.0.{local}"))
        }),
        2 => (0..4u8).prop_map(|name| port(&format!("tap-{name}"))),
        2 => (1..8u8, 0..4u8)
            .prop_map(|(mac, name)| local(&some_mac(mac).to_string(), &format!("tap-{name}"))),
        2 => (0..3usize, 100..103u32).prop_map(|(vtep, vni)| flood_to(VTEPS[vtep], vni)),
        4 => (1..8u8, 0..3usize, 100..103u32, any::<bool>())
            .prop_map(|(mac, vtep, vni, sticky)| remote_at(some_mac(mac), VTEPS[vtep], vni, sticky)),
        2 => (0..8u8, 1..8u8).prop_map(|(ip, mac)| {
            neighbor(&format!("192.168.0.{ip}"), &some_mac(mac).to_string())
        }),
    ];
    (id, what, prop::bool::weighted(0.8)).prop_map(|(id, mut change, wanted)| {
        change.key = match change.key {
            DesiredKey::Domain(_) => DesiredKey::Domain(id),
            DesiredKey::Port(_, port) => DesiredKey::Port(id, port),
            DesiredKey::LocalMac(_, mac) => DesiredKey::LocalMac(id, mac),
            DesiredKey::Flood(_, vtep) => DesiredKey::Flood(id, vtep),
            DesiredKey::RemoteMac(_, mac) => DesiredKey::RemoteMac(id, mac),
            DesiredKey::Neighbor(_, ip) => DesiredKey::Neighbor(id, ip),
        };
        if wanted { change } else { no(change) }
    })
}

/// The engine never has one instance, or one VNI, in two domains at once.
fn sensible(changes: Vec<DesiredChange>) -> Vec<DesiredChange> {
    use chanter_engine::desired::DesiredValue;
    let mut desired: std::collections::BTreeMap<DomainId, (String, u32)> = Default::default();
    changes
        .into_iter()
        .filter(|change| match (&change.key, &change.value) {
            (DesiredKey::Domain(id), Some(DesiredValue::Domain(domain))) => {
                let new = (domain.instance.to_string(), domain.vni.value());
                let clash = desired
                    .iter()
                    .any(|(other, (name, vni))| other != id && (*name == new.0 || *vni == new.1));
                if !clash {
                    desired.insert(*id, new);
                }
                !clash
            }
            (DesiredKey::Domain(id), _) => {
                desired.remove(id);
                true
            }
            _ => true,
        })
        .collect()
}

/// What is nobody's business of ours: devices without our tag that are not adopted.
fn strangers(observed: &Observed) -> Vec<Link> {
    let mut links: Vec<Link> = observed
        .links()
        .filter(|link| link.alias.is_none() && !link.name.starts_with("tap-"))
        .cloned()
        .collect();
    links.sort_by_key(|link| link.index);
    links
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// From any state, executing the plan leaves nothing to do, with and without pruning; whatever
    /// carries no mark of ours is still there, unchanged or adopted.
    #[test]
    fn the_second_plan_is_empty(
        things in vec(thing(), 0..40),
        changes in vec(change(), 0..40),
        later in vec(change(), 0..20),
        prune: bool,
    ) {
        let mut observed = node_with_port();
        things.into_iter().for_each(|thing| add(&mut observed, thing));
        let all = sensible(changes.iter().chain(&later).cloned().collect());
        let (changes, later) = all.split_at(changes.len().min(all.len()));
        let mut desired = desired(changes.iter().cloned());
        for (batch, rules) in [(&[][..], RULES), (later, Rules { prune, ..RULES })] {
            batch.iter().for_each(|change| desired.apply(change.clone()));
            let before = strangers(&observed);
            let first = plan_all(&desired, &observed, rules);
            let mut reached = observed.clone();
            execute(&mut reached, &first.steps);
            let second = plan_all(&desired, &reached, rules);
            prop_assert!(second.steps.is_empty(), "{:#?}\nthen\n{:#?}",
                texts(&first.steps), texts(&second.steps));
            for old in before {
                let new = reached.link(old.index);
                // A port of a bridge of ours that goes is set free.
                let freed = Link { master: None, port: None, ..old.clone() };
                let master = old.master.filter(|master| reached.link(*master).is_none());
                let same = new == Some(if master.is_some() { &freed } else { &old });
                let adopted = new.and_then(|new| new.alias.as_deref()).is_some_and(names::is_tag);
                prop_assert!(same || adopted, "{} was changed: {:#?}", old.name, texts(&first.steps));
            }
            observed = reached;
        }
    }

    /// Without leave to prune only what was taken back, or is in the way of what is desired, goes.
    #[test]
    fn nothing_goes_before_pruning_is_allowed(
        things in vec(thing(), 0..40),
        changes in vec(change(), 0..40),
    ) {
        let mut observed = node_with_port();
        things.into_iter().for_each(|thing| add(&mut observed, thing));
        let wanted = sensible(changes).into_iter().filter(|change| change.value.is_some());
        let mut seen = BTreeSet::new();
        // One word about each: nothing is taken back or replaced.
        let desired = desired(wanted.filter(|change| seen.insert(change.key.clone())));
        let plan = plan_all(&desired, &observed, RULES);
        for step in &plan.steps {
            let allowed = match &step.op {
                Op::DeleteDevice { .. } => step.key.is_some(),
                Op::Untunnel { mac, remote, .. } => {
                    *mac == MacAddr::ZERO && step.key.as_ref().is_some_and(|key| {
                        desired.domain(key.domain()).is_some_and(|objects| {
                            objects.floods.contains_key(&remote.dst)
                        })
                    })
                }
                op => !op.removes(),
            };
            prop_assert!(allowed, "{}", step.op);
        }
    }

    /// A plan for each key on its own, one after the other, comes to the same as one for all.
    #[test]
    fn piece_by_piece_is_the_same_as_at_once(
        things in vec(thing(), 0..30),
        changes in vec(change(), 0..30),
    ) {
        let mut observed = node_with_port();
        things.into_iter().for_each(|thing| add(&mut observed, thing));
        let changes = sensible(changes);
        let desired = desired(changes.iter().cloned());
        let mut at_once = observed.clone();
        execute(&mut at_once, &plan_all(&desired, &observed, RULES).steps);
        let keys: BTreeSet<DesiredKey> =
            desired.domains().flat_map(|(id, objects)| objects.keys(id)).collect();
        let mut domains = Scope::default();
        keys.iter()
            .filter(|key| matches!(key, DesiredKey::Domain(_)))
            .for_each(|key| domains.add_key(key.clone()));
        domains.add_orphans();
        let steps = plan(&desired, &observed, &domains, RULES).steps;
        execute(&mut observed, &steps);
        for key in keys {
            let mut scope = Scope::default();
            scope.add_key(key);
            let steps = plan(&desired, &observed, &scope, RULES).steps;
            execute(&mut observed, &steps);
        }
        let rest = plan_all(&desired, &observed, RULES).steps;
        prop_assert!(rest.is_empty(), "{:#?}", texts(&rest));
        let links = |observed: &Observed| observed.links().map(|l| l.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(links(&observed), links(&at_once));
    }
}

#[test]
fn a_port_wanted_by_two_domains_is_in_the_first() {
    let observed = node_with_port();
    let mut second = port("tap-a");
    second.key = DesiredKey::Port(DomainId(2), PortName::new("tap-a"));
    let desired = desired([
        domain("10.0.0.1"),
        domain_of(DomainId(2), "other", 200, "10.0.0.1"),
        port("tap-a"),
        second.clone(),
    ]);
    let plan = plan_all(&desired, &observed, RULES);
    assert!(
        plan.failures[&second.key]
            .message
            .contains("already in domain 1")
    );
    let attached = plan
        .steps
        .iter()
        .filter(|step| matches!(&step.op, Op::Attach { port, .. } if &**port == "tap-a"));
    assert_eq!(attached.count(), 1);
}
