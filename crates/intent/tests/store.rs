//! Merge over sources, conflicts between objects, mark and sweep.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, IntentStore, MacVrf, Object, ObjectKey, Outcome, Port,
    PortName, Rejection, SourceEvent, SourceId, Verdict, VpnInstance, VpnKind,
};
use chanter_types::{RouteDistinguisher, Vni};
use proptest::prelude::*;

fn instance(id: &str, vni: u32) -> Object {
    Object::Instance(VpnInstance {
        id: InstanceId::new(id),
        kind: VpnKind::MacVrf(MacVrf {
            vni: Vni::new(vni),
            bridge: None,
        }),
        import: BTreeSet::from(["64512:1".parse().expect("correct text")]),
        export: BTreeSet::from(["64512:1".parse().expect("correct text")]),
        rd: None,
        gateway_ip: None,
        description: None,
    })
}

fn with_rd(object: Object, rd: &str) -> Object {
    match object {
        Object::Instance(instance) => Object::Instance(VpnInstance {
            rd: Some(rd.parse().expect("correct text")),
            ..instance
        }),
        attachment => attachment,
    }
}

/// An attachment; `ip` is empty for none, `port` may be `NAME.VLAN`.
fn attachment(id: &str, mac: &str, ip: &str, port: &str) -> Object {
    let (name, vlan) = match port.split_once('.') {
        Some((name, vlan)) => (name, Some(vlan.parse().expect("correct text"))),
        None => (port, None),
    };
    Object::Attachment(Attachment {
        key: AttachmentKey {
            instance: InstanceId::new(id),
            mac: mac.parse().expect("correct text"),
            ip: (!ip.is_empty()).then(|| ip.parse().expect("correct text")),
        },
        port: Port {
            name: PortName::new(name),
            vlan,
        },
        local_pref: None,
        sticky: false,
        description: None,
    })
}

const MAC1: &str = "02:00:00:00:00:01";
const MAC2: &str = "02:00:00:00:00:02";

fn upsert(store: &mut IntentStore, source: SourceId, object: Object) -> Outcome {
    store.apply(source, SourceEvent::Upsert(object))
}

fn remove(store: &mut IntentStore, source: SourceId, object: &Object) -> Outcome {
    store.apply(source, SourceEvent::Remove(object.key()))
}

fn rejection(outcome: &Outcome) -> Option<(&'static str, String)> {
    outcome
        .verdicts
        .iter()
        .find_map(|(_, _, verdict)| match verdict {
            Verdict::Rejected(Rejection { field, reason }) => Some((*field, reason.clone())),
            Verdict::Accepted | Verdict::Withdrawn => None,
        })
}

fn accepted(store: &mut IntentStore, object: Object) {
    let outcome = upsert(store, SourceId::Rest, object);
    assert_eq!(rejection(&outcome), None);
}

#[test]
fn objects_that_are_wrong_by_themselves_name_the_field() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    let cases = [
        (instance("", 2), "id", "must not be empty"),
        (
            attachment("red", "00:00:00:00:00:00", "", "tap0"),
            "mac",
            "is zero",
        ),
        (
            attachment("red", "01:00:5e:00:00:01", "", "tap0"),
            "mac",
            "group address",
        ),
        (
            attachment("red", MAC1, "0.0.0.0", "tap0"),
            "ip",
            "is unspecified",
        ),
        (
            attachment("red", MAC1, "::", "tap0"),
            "ip",
            "is unspecified",
        ),
        (
            attachment("red", MAC1, "224.0.0.5", "tap0"),
            "ip",
            "group address",
        ),
        (
            attachment("red", MAC1, "ff02::1", "tap0"),
            "ip",
            "group address",
        ),
        (
            attachment("red", MAC1, "255.255.255.255", "tap0"),
            "ip",
            "group address",
        ),
        (attachment("red", MAC1, "", ""), "port", "must not be empty"),
        (
            attachment("red", MAC1, "", "tap0.0"),
            "port",
            "out of range",
        ),
        (
            attachment("red", MAC1, "", "tap0.4095"),
            "port",
            "1 to 4094",
        ),
    ];
    for (object, field, text) in cases {
        let validated = store.validate(SourceId::Rest, &object).unwrap_err();
        let outcome = upsert(&mut store, SourceId::Rest, object.clone());
        let (found, reason) = rejection(&outcome).expect("rejected");
        assert_eq!((found, validated.field), (field, field), "{object:?}");
        assert_eq!(reason, validated.reason);
        assert!(reason.contains(text), "{reason}");
        assert_eq!(outcome.changes, []);
    }
}

#[test]
fn a_number_has_one_instance_and_the_one_that_waits_gets_it_next() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, with_rd(instance("red", 7), "64512:7"));
    let blue = upsert(&mut store, SourceId::Rest, instance("blue", 7));
    let text = "A VPN instance using vni 7 already exists.".to_owned();
    assert_eq!(rejection(&blue), Some(("vni", text)));
    let green = upsert(
        &mut store,
        SourceId::Rest,
        with_rd(instance("green", 8), "64512:7"),
    );
    assert_eq!(rejection(&green).map(|(field, _)| field), Some("rd"));

    let outcome = remove(&mut store, SourceId::Rest, &instance("red", 7));
    let changed: Vec<&ObjectKey> = outcome.changes.iter().map(|change| &change.key).collect();
    let expected = ["red", "blue", "green"].map(|id| ObjectKey::Instance(InstanceId::new(id)));
    assert_eq!(changed, expected.iter().collect::<Vec<_>>());
    assert_eq!(
        store.vni_user(Vni::new(7).unwrap()),
        Some(&InstanceId::new("blue"))
    );
}

#[test]
fn allocated_numbers_are_not_to_be_declared_and_are_freed_with_their_instance() {
    let mut store = IntentStore::new([]);
    let red = InstanceId::new("red");
    let (vni, rd) = (
        Vni::new(0x10_0000).unwrap(),
        RouteDistinguisher::from_as2(1, 2),
    );
    store.allocated(&red, vni, rd);
    assert_eq!(store.vni_user(vni), None, "red is not in force");
    accepted(&mut store, instance("red", 0));
    store.allocated(&red, vni, rd);
    let other = upsert(&mut store, SourceId::Rest, instance("blue", vni.value()));
    assert_eq!(rejection(&other).map(|(field, _)| field), Some("vni"));
    // Another declaration of red keeps what was allocated, one with a VNI frees it.
    accepted(&mut store, with_rd(instance("red", 0), "1:1"));
    assert_eq!(store.vni_user(vni), Some(&red));
    assert_eq!(store.rd_user(rd), None);
    upsert(&mut store, SourceId::Rest, instance("red", 5));
    assert_eq!(store.vni_user(vni), Some(&InstanceId::new("blue")));
}

#[test]
fn a_rejected_update_leaves_the_good_one_in_force() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    accepted(&mut store, attachment("red", MAC1, "10.0.0.1", "tap0"));
    accepted(&mut store, instance("blue", 2));
    let outcome = upsert(&mut store, SourceId::Rest, instance("blue", 1));
    assert_eq!(rejection(&outcome).map(|(field, _)| field), Some("vni"));
    assert_eq!(outcome.changes, []);
    let blue = store.instance(&InstanceId::new("blue")).unwrap();
    assert_eq!(
        blue.kind,
        VpnKind::MacVrf(MacVrf {
            vni: Vni::new(2),
            bridge: None
        })
    );
    // And 2 is still its own.
    let outcome = upsert(&mut store, SourceId::Rest, instance("green", 2));
    assert_eq!(rejection(&outcome).map(|(field, _)| field), Some("vni"));

    let bad = attachment("red", MAC1, "10.0.0.2", "tap1");
    let outcome = upsert(&mut store, SourceId::Rest, bad);
    let (field, reason) = rejection(&outcome).unwrap();
    assert_eq!(field, "port");
    assert!(
        reason.starts_with("Port information is not consistent."),
        "{reason}"
    );
    assert_eq!(store.attachment_count(), 1);
}

#[test]
fn an_address_has_one_mac_and_the_next_one_waits_for_it() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    let first = attachment("red", MAC1, "10.0.0.1", "tap0");
    accepted(&mut store, first.clone());
    let second = attachment("red", MAC2, "10.0.0.1", "tap1");
    let outcome = upsert(&mut store, SourceId::Rest, second.clone());
    let (field, reason) = rejection(&outcome).unwrap();
    assert_eq!(field, "ip");
    assert!(reason.contains("IP 10.0.0.1 already bound to MAC address 02:00:00:00:00:01"));
    let outcome = remove(&mut store, SourceId::Rest, &first);
    assert_eq!(outcome.changes.len(), 2);
    assert!(
        outcome
            .verdicts
            .contains(&(SourceId::Rest, second.key(), Verdict::Accepted))
    );
}

#[test]
fn attachments_wait_for_their_instance_and_go_with_it() {
    let mut store = IntentStore::new([]);
    let object = attachment("red", MAC1, "", "tap0");
    let outcome = upsert(&mut store, SourceId::Rest, object.clone());
    assert_eq!(
        rejection(&outcome),
        Some(("instance", "VPN instance red is not declared".to_owned()))
    );
    let outcome = upsert(&mut store, SourceId::Ovn, instance("red", 1));
    assert!(
        outcome
            .verdicts
            .contains(&(SourceId::Rest, object.key(), Verdict::Accepted))
    );
    assert_eq!(outcome.changes.len(), 2);
    let outcome = remove(&mut store, SourceId::Ovn, &instance("red", 1));
    assert_eq!(outcome.changes.len(), 2);
    assert_eq!(
        rejection(&outcome).map(|(field, _)| field),
        Some("instance")
    );
    assert_eq!(store.attachment_count(), 0);
}

#[test]
fn a_port_moves_when_all_of_its_mac_are_declared_there() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    for ip in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        accepted(&mut store, attachment("red", MAC1, ip, "tap0"));
    }
    for ip in ["10.0.0.1", "10.0.0.2"] {
        let outcome = upsert(
            &mut store,
            SourceId::Rest,
            attachment("red", MAC1, ip, "tap1"),
        );
        assert_eq!(outcome.changes, []);
    }
    let outcome = upsert(
        &mut store,
        SourceId::Rest,
        attachment("red", MAC1, "10.0.0.3", "tap1"),
    );
    assert_eq!(rejection(&outcome), None);
    assert_eq!(outcome.changes.len(), 3);
    let red = InstanceId::new("red");
    let ports = store.attachments_of(&red, None);
    assert!(
        ports
            .map(|a| a.port.name.as_str())
            .all(|port| port == "tap1")
    );
}

#[test]
fn a_port_is_part_of_one_instance_unless_vlans_keep_it_apart() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    accepted(&mut store, instance("blue", 2));
    accepted(&mut store, attachment("red", MAC1, "", "tap0.5"));
    accepted(&mut store, attachment("blue", MAC1, "", "tap0.6"));
    let outcome = upsert(
        &mut store,
        SourceId::Rest,
        attachment("blue", MAC2, "", "tap0.5"),
    );
    assert_eq!(rejection(&outcome).map(|(field, _)| field), Some("port"));
    let outcome = upsert(
        &mut store,
        SourceId::Rest,
        attachment("red", MAC2, "", "tap0"),
    );
    assert_eq!(rejection(&outcome).map(|(field, _)| field), Some("port"));
    // The second endpoint of a port is fine.
    accepted(&mut store, attachment("red", MAC2, "", "tap0.5"));
}

#[test]
fn the_source_that_goes_first_has_an_object_and_the_other_takes_over() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    let outcome = upsert(&mut store, SourceId::Config, instance("red", 2));
    assert_eq!(
        rejection(&outcome),
        Some((
            "source",
            "source config declares it otherwise, and goes first".to_owned()
        ))
    );
    assert_eq!(
        store.holder(&instance("red", 0).key()),
        Some(SourceId::Config)
    );
    assert!(store.validate(SourceId::Rest, &instance("red", 1)).is_err());
    // Who says the same is not contradicted.
    let outcome = upsert(&mut store, SourceId::Ovn, instance("red", 2));
    assert_eq!(
        outcome.verdicts,
        [(SourceId::Ovn, instance("red", 2).key(), Verdict::Accepted)]
    );
    let outcome = remove(&mut store, SourceId::Config, &instance("red", 2));
    assert_eq!(outcome.changes.len(), 1);
    assert!(outcome.verdicts.contains(&(
        SourceId::Rest,
        instance("red", 1).key(),
        Verdict::Accepted
    )));
    assert_eq!(rejection(&outcome).map(|(field, _)| field), Some("source"));
    assert_eq!(
        store.holder(&instance("red", 0).key()),
        Some(SourceId::Rest)
    );
}

#[test]
fn a_first_source_that_is_wrong_does_not_keep_a_second_from_being_right() {
    let mut store = IntentStore::new([]);
    accepted(&mut store, instance("red", 1));
    accepted(&mut store, instance("blue", 2));
    let outcome = upsert(&mut store, SourceId::Config, instance("blue", 1));
    assert_eq!(rejection(&outcome).map(|(field, _)| field), Some("vni"));
    assert_eq!(
        store.holder(&instance("blue", 0).key()),
        Some(SourceId::Rest)
    );
}

#[test]
fn what_a_source_does_not_repeat_goes_when_it_has_synced() {
    let mut store = IntentStore::new([SourceId::Ovn, SourceId::Rest]);
    let (a, b) = (
        attachment("red", MAC1, "", "tap0"),
        attachment("red", MAC2, "", "tap1"),
    );
    for object in [instance("red", 1), a.clone(), b.clone()] {
        upsert(&mut store, SourceId::Ovn, object);
    }
    assert!(!store.all_synced());
    store.apply(SourceId::Ovn, SourceEvent::Synced);
    assert!(!store.all_synced());
    accepted(&mut store, instance("rest", 9));
    store.apply(SourceId::Rest, SourceEvent::Synced);
    assert!(store.all_synced());

    assert_eq!(
        store.apply(SourceId::Ovn, SourceEvent::Lost),
        Outcome::default()
    );
    assert!(
        store
            .sources()
            .eq([(SourceId::Rest, true), (SourceId::Ovn, false)])
    );
    assert!(store.all_synced(), "it has said all at least once");
    assert_eq!(store.attachment_count(), 2);
    let outcome = upsert(&mut store, SourceId::Ovn, instance("red", 1));
    assert_eq!(outcome.changes, [], "a repetition changes nothing");
    upsert(&mut store, SourceId::Ovn, a);
    let outcome = store.apply(SourceId::Ovn, SourceEvent::Synced);
    assert_eq!(
        outcome.verdicts,
        [(SourceId::Ovn, b.key(), Verdict::Withdrawn)]
    );
    assert_eq!(outcome.changes.len(), 1);
    assert_eq!(store.instances().count(), 2);
    // A second mark sweeps nothing: all of it was said over this connection.
    assert_eq!(
        store.apply(SourceId::Ovn, SourceEvent::Synced),
        Outcome::default()
    );
}

#[test]
fn removing_what_is_not_there_is_answered_and_changes_nothing() {
    let mut store = IntentStore::new([]);
    let key = instance("red", 1).key();
    let outcome = store.apply(SourceId::Rest, SourceEvent::Remove(key.clone()));
    assert_eq!(
        outcome.verdicts,
        [(SourceId::Rest, key, Verdict::Withdrawn)]
    );
    assert_eq!(outcome.changes, []);
}

#[test]
fn a_node_that_hosts_no_instances_says_so() {
    let mut store = IntentStore::new([]);
    store.refuse_instances("no VTEP");
    let outcome = upsert(&mut store, SourceId::Rest, instance("red", 1));
    assert_eq!(rejection(&outcome), Some(("id", "no VTEP".to_owned())));
}

/// Few names and numbers, so that they meet often.
fn any_event() -> impl Strategy<Value = (SourceId, SourceEvent)> {
    let source = prop::sample::select(vec![SourceId::Config, SourceId::Rest, SourceId::Ovn]);
    let object = prop_oneof![
        ("[ab]", 0u32..3).prop_map(|(id, vni)| instance(&id, vni)),
        ("[ab]", 1u8..4, 0u8..3, 0u8..3).prop_map(|(id, mac, ip, port)| {
            let ip = if ip == 0 {
                String::new()
            } else {
                format!("10.0.0.{ip}")
            };
            attachment(
                &id,
                &format!("02:00:00:00:00:0{mac}"),
                &ip,
                &format!("tap{port}"),
            )
        }),
    ];
    let event = prop_oneof![
        6 => object.clone().prop_map(SourceEvent::Upsert),
        3 => object.prop_map(|object| SourceEvent::Remove(object.key())),
        1 => Just(SourceEvent::Synced),
        1 => Just(SourceEvent::Lost),
    ];
    (source, event)
}

/// What must hold of the objects in force, whatever was declared.
fn check_in_force(store: &IntentStore) {
    let mut vnis = BTreeSet::new();
    let mut ports: Vec<(InstanceId, Port)> = Vec::new();
    for instance in store.instances() {
        let VpnKind::MacVrf(kind) = &instance.kind;
        assert!(
            kind.vni.is_none_or(|vni| vnis.insert(vni)),
            "one VNI in two instances"
        );
        let mut ips: Vec<(IpAddr, _)> = Vec::new();
        let mut macs: Vec<(_, Port)> = Vec::new();
        for Attachment { key, port, .. } in store.attachments_of(&instance.id, None) {
            assert!(
                !macs
                    .iter()
                    .any(|(mac, other)| *mac == key.mac && other != port)
            );
            macs.push((key.mac, port.clone()));
            if let Some(ip) = key.ip {
                assert!(
                    !ips.iter()
                        .any(|(other, mac)| *other == ip && *mac != key.mac)
                );
                ips.push((ip, key.mac));
            }
            let elsewhere = |(id, other): &(InstanceId, Port)| *id != instance.id && other == port;
            assert!(!ports.iter().any(elsewhere), "one port in two instances");
            ports.push((instance.id.clone(), port.clone()));
        }
    }
    for (key, declaration) in store.all_declarations() {
        if let Object::Attachment(attachment) = declaration.object.as_ref()
            && store.holder(key).is_some()
        {
            assert!(store.instance(&attachment.key.instance).is_some());
        }
        // Nobody waits for nothing.
        if declaration.rejection.is_some() {
            assert!(
                store
                    .validate(declaration.source, declaration.object)
                    .is_err(),
                "{key}"
            );
        }
    }
}

proptest! {
    #[test]
    fn objects_in_force_never_contradict_each_other_and_changes_tell_all(
        events in prop::collection::vec(any_event(), 1..60)
    ) {
        let mut store = IntentStore::new([]);
        let mut mirror = std::collections::BTreeMap::new();
        for (source, event) in events {
            let outcome = store.apply(source, event);
            for change in outcome.changes {
                prop_assert_eq!(mirror.get(&change.key), change.old.as_ref());
                match change.new {
                    Some(new) => mirror.insert(change.key, new),
                    None => mirror.remove(&change.key),
                };
            }
            check_in_force(&store);
            for (key, object) in &mirror {
                prop_assert!(store.holder(key).is_some());
                prop_assert_eq!(&object.key(), key);
            }
            let in_force = store.all_declarations().filter(|(key, _)| store.holder(key).is_some());
            let keys: BTreeSet<_> = in_force.map(|(key, _)| key.clone()).collect();
            prop_assert!(keys.iter().eq(mirror.keys()));
        }
    }
}
