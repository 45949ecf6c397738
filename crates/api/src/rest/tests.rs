//! The store's rules and the journal.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, Object, ObjectKey, Port, PortName, SourceEvent,
    VpnInstance, VpnKind,
};
use chanter_types::{MacAddr, Vni};
use proptest::prelude::*;

use super::*;

fn id(name: &str) -> InstanceId {
    InstanceId::new(name)
}

fn mac(octet: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, octet])
}

fn ip(octet: u8) -> Option<IpAddr> {
    (octet != 0).then(|| IpAddr::from([10, 0, 0, octet]))
}

fn spec(instance: &str, mac_octet: u8, ip_octet: u8) -> AttachSpec {
    let key = AttachmentKey {
        instance: id(instance),
        mac: mac(mac_octet),
        ip: ip(ip_octet),
    };
    let port = Port {
        name: PortName::new(&format!("tap{mac_octet}")),
        vlan: None,
    };
    let attachment = Attachment {
        key,
        port,
        local_pref: None,
        sticky: false,
        description: None,
    };
    AttachSpec {
        instance: InstanceSpec {
            id: id(instance),
            import: BTreeSet::from(["64512:1".parse().unwrap()]),
            export: BTreeSet::from(["64512:1".parse().unwrap()]),
            vni: None,
            bridge: None,
            gateway_ip: None,
            description: None,
        },
        record: AttachmentRecord::canonical(attachment),
        subnet_len: Some(24),
    }
}

fn attach(store: &mut RestStore, spec: AttachSpec) -> Change {
    let change = store.plan_attach(spec).unwrap();
    store.commit(&change);
    change
}

/// What a change does, in short: `+` declares, `=` declares again, `-` removes.
fn told(change: &Change) -> Vec<String> {
    let sign = |edit: &Edit| match &edit.after {
        None => '-',
        Some(_) if edit.is_repetition() => '=',
        Some(_) => '+',
    };
    change
        .edits
        .iter()
        .map(|edit| format!("{} {}", sign(edit), edit.key))
        .collect()
}

#[test]
fn an_instance_comes_with_its_first_attachment_and_goes_with_its_last() {
    let mut store = RestStore::default();
    let change = attach(&mut store, spec("a", 1, 1));
    let (instance, endpoint) = (
        "instance a",
        "attachment 02:00:00:00:00:01 10.0.0.1 of instance a",
    );
    assert_eq!(
        told(&change),
        [format!("+ {instance}"), format!("+ {endpoint}")]
    );
    let again = attach(&mut store, spec("a", 1, 1));
    assert_eq!(told(&again), [format!("= {endpoint}")]);
    assert!(
        again.reverted().edits.is_empty(),
        "a repetition leaves nothing to take back"
    );
    attach(&mut store, spec("a", 2, 2));
    let change = store.plan_detach(&id("a"), mac(2), ip(2)).unwrap();
    assert_eq!(
        told(&change),
        ["- attachment 02:00:00:00:00:02 10.0.0.2 of instance a"]
    );
    store.commit(&change);
    let change = store.plan_detach(&id("a"), mac(1), ip(1)).unwrap();
    assert_eq!(
        told(&change),
        [format!("- {endpoint}"), format!("- {instance}")]
    );
    store.commit(&change);
    assert!(store.is_empty());
}

#[test]
fn an_address_takes_the_place_of_the_bare_mac() {
    let mut store = RestStore::default();
    attach(&mut store, spec("a", 1, 0));
    let change = attach(&mut store, spec("a", 1, 1));
    assert_eq!(
        told(&change),
        [
            "+ attachment 02:00:00:00:00:01 10.0.0.1 of instance a",
            "- attachment 02:00:00:00:00:01 of instance a",
        ]
    );
    // Without address all addresses go, in one change.
    attach(&mut store, spec("a", 1, 2));
    let change = store.plan_detach(&id("a"), mac(1), None).unwrap();
    assert_eq!(change.edits.len(), 3);
}

#[test]
fn the_first_attach_fixes_vni_and_gateway_the_latest_route_targets_and_description() {
    let mut store = RestStore::default();
    let mut first = spec("a", 1, 1);
    first.instance.vni = Vni::new(5000);
    first.instance.gateway_ip = ip(254);
    attach(&mut store, first);
    let mut second = spec("a", 2, 2);
    second.instance.vni = Vni::new(6000);
    second.instance.gateway_ip = ip(253);
    second.instance.export = BTreeSet::from(["64512:2".parse().unwrap()]);
    second.instance.description = Some("net".into());
    second.subnet_len = Some(32);
    let change = attach(&mut store, second.clone());
    assert_eq!(change.edits.len(), 2);
    let record = store.instance(&id("a")).unwrap();
    let VpnKind::MacVrf(mac_vrf) = &record.instance.kind;
    assert_eq!(mac_vrf.vni, Vni::new(5000));
    assert_eq!(record.instance.gateway_ip, ip(254));
    assert_eq!(record.subnet_len, Some(24));
    assert_eq!(record.instance.export, second.instance.export);
    assert_eq!(record.instance.description, Some("net".into()));
}

#[test]
fn what_contradicts_attachments_is_refused() {
    let mut store = RestStore::default();
    attach(&mut store, spec("a", 1, 1));
    let mut other_port = spec("a", 1, 2);
    other_port.record.attachment.port.name = PortName::new("tap9");
    assert!(matches!(
        store.plan_attach(other_port),
        Err(StoreError::OtherPort { .. })
    ));
    let mut other_mac = spec("a", 2, 1);
    assert!(matches!(
        store.plan_attach(other_mac.clone()),
        Err(StoreError::OtherMac { .. })
    ));
    // In another instance the same addresses are others.
    other_mac.instance.id = id("b");
    other_mac.record.attachment.key.instance = id("b");
    attach(&mut store, other_mac);
    assert!(matches!(
        store.plan_detach(&id("c"), mac(1), ip(1)),
        Err(StoreError::UnknownInstance(_))
    ));
    assert!(matches!(
        store.plan_detach(&id("a"), mac(9), ip(1)),
        Err(StoreError::UnknownAttachment(_))
    ));
    assert!(matches!(
        store.plan_detach(&id("a"), mac(1), ip(9)),
        Err(StoreError::OtherAddress(_))
    ));
}

#[test]
fn a_standing_instance_stays_without_attachments() {
    let mut store = RestStore::default();
    let instance = VpnInstance {
        id: id("a"),
        kind: VpnKind::MacVrf(Default::default()),
        import: BTreeSet::new(),
        export: BTreeSet::new(),
        rd: None,
        gateway_ip: None,
        description: None,
    };
    let change = store.plan_put_instance(instance);
    store.commit(&change);
    attach(&mut store, spec("a", 1, 1));
    let change = store.plan_detach(&id("a"), mac(1), ip(1)).unwrap();
    store.commit(&change);
    assert!(store.instance(&id("a")).is_some());
    store.retain(|_| false);
    assert!(store.instance(&id("a")).is_some());
    let change = store.plan_delete_instance(&id("a")).unwrap();
    store.commit(&change);
    assert!(store.is_empty());
}

#[test]
fn a_restart_says_instances_before_their_attachments_and_synced_last() {
    let mut store = RestStore::default();
    attach(&mut store, spec("b", 1, 1));
    attach(&mut store, spec("a", 2, 0));
    let events = store.events();
    assert_eq!(events.last(), Some(&SourceEvent::Synced));
    let mut known = BTreeSet::new();
    for event in &events[..events.len() - 1] {
        match event {
            SourceEvent::Upsert(Object::Instance(instance)) => {
                known.insert(instance.id.clone());
            }
            SourceEvent::Upsert(Object::Attachment(attachment)) => {
                assert!(known.contains(&attachment.key.instance));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events.len(), 5);
}

/// Runs `change` through store and journal.
fn record(store: &mut RestStore, journal: &mut Journal, change: &Change) {
    store.commit(change);
    journal.append(change, store).unwrap();
}

fn filled(dir: &std::path::Path) -> (Journal, RestStore) {
    let (mut journal, mut store, report) = Journal::open(dir).unwrap();
    assert_eq!(report, LoadReport::default());
    for octet in 1..=3 {
        let change = store.plan_attach(spec("a", octet, octet)).unwrap();
        record(&mut store, &mut journal, &change);
    }
    (journal, store)
}

#[test]
fn a_torn_last_line_is_told_and_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut store) = filled(dir.path());
    let path = journal.path().to_owned();
    drop(journal);
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() - 7]).unwrap();
    let (_, restored, report) = Journal::open(dir.path()).unwrap();
    assert!(report.torn && report.spoiled.is_empty());
    let change = store.plan_detach(&id("a"), mac(3), ip(3)).unwrap();
    store.commit(&change);
    assert_eq!(restored, store);
    // The next start finds a whole journal.
    let (_, again, report) = Journal::open(dir.path()).unwrap();
    assert_eq!((again, report), (store, LoadReport::default()));
}

#[test]
fn a_spoiled_line_costs_only_itself_and_is_kept_to_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut store) = filled(dir.path());
    let path = journal.path().to_owned();
    drop(journal);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    assert!(lines[3].contains("02:00:00:00:00:02"), "{text}");
    lines[3] = "{\"set\": \u{fffd}";
    let mut content = lines.join("\n").into_bytes();
    content.extend_from_slice(b"\n\xff\xfe\n");
    fs::write(&path, content).unwrap();
    let (_, restored, report) = Journal::open(dir.path()).unwrap();
    assert_eq!(report.spoiled.len(), 2, "{report:?}");
    assert!(report.spoiled[0].starts_with("line 4: "), "{report:?}");
    let change = store.plan_detach(&id("a"), mac(2), ip(2)).unwrap();
    store.commit(&change);
    assert_eq!(restored, store);
    assert!(
        fs::read(path.with_extension("damaged"))
            .unwrap()
            .ends_with(b"\xff\xfe\n")
    );
}

#[test]
fn a_journal_of_a_newer_release_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = filled(dir.path());
    let path = journal.path().to_owned();
    fs::write(&path, "{\"version\": 2}\n{\"set\": \"something new\"}\n").unwrap();
    let error = Journal::open(dir.path()).unwrap_err();
    assert!(
        matches!(error, JournalError::Version { found: 2, .. }),
        "{error}"
    );
    assert!(fs::read_to_string(&path).unwrap().contains("something new"));
}

#[test]
fn the_journal_is_rewritten_before_it_grows_out_of_proportion() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, mut store, _) = Journal::open(dir.path()).unwrap();
    let mut longest = 0;
    for round in 0..2000_u32 {
        let mut attach = spec("a", 1, 1);
        attach.record.attachment.local_pref = Some(round + 1);
        let change = store.plan_attach(attach).unwrap();
        record(&mut store, &mut journal, &change);
        if round % 50 == 0 {
            longest = longest.max(fs::read_to_string(journal.path()).unwrap().lines().count());
        }
    }
    assert!(longest < 400, "{longest} lines for 2 records");
    assert_eq!(Journal::open(dir.path()).unwrap().1, store);
}

#[test]
fn after_a_failed_write_the_next_one_writes_all() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("state");
    let (mut journal, mut store) = filled(&state_dir);
    // A directory in the place of the new file: rewriting fails.
    let obstacle = journal.path().with_extension("new");
    fs::create_dir(&obstacle).unwrap();
    assert!(journal.compact(&store).is_err());
    let change = store.plan_attach(spec("a", 4, 4)).unwrap();
    store.commit(&change);
    assert!(journal.append(&change, &store).is_err());
    fs::remove_dir(&obstacle).unwrap();
    let change = store.plan_attach(spec("a", 5, 5)).unwrap();
    record(&mut store, &mut journal, &change);
    assert_eq!(Journal::open(&state_dir).unwrap().1, store);
}

#[derive(Debug, Clone)]
enum Op {
    Attach {
        instance: u8,
        mac: u8,
        ip: u8,
        local_pref: u32,
        rt: u32,
    },
    Detach {
        instance: u8,
        mac: u8,
        ip: u8,
    },
    PutInstance {
        instance: u8,
    },
    DeleteInstance {
        instance: u8,
    },
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0..3_u8;
    prop_oneof![
        6 => (name.clone(), 1..5_u8, 0..6_u8, 0..3_u32, 1..3_u32).prop_map(
            |(instance, mac, ip, local_pref, rt)| Op::Attach { instance, mac, ip, local_pref, rt }
        ),
        4 => (name.clone(), 1..5_u8, 0..6_u8)
            .prop_map(|(instance, mac, ip)| Op::Detach { instance, mac, ip }),
        1 => name.clone().prop_map(|instance| Op::PutInstance { instance }),
        1 => name.prop_map(|instance| Op::DeleteInstance { instance }),
        1 => Just(Op::Restart),
    ]
}

fn plan(store: &RestStore, op: &Op) -> Option<Change> {
    let name = |number: u8| format!("net-{number}");
    match *op {
        Op::Attach {
            instance,
            mac,
            ip,
            local_pref,
            rt,
        } => {
            let mut spec = spec(&name(instance), mac, ip);
            spec.record.attachment.local_pref = (local_pref != 0).then_some(local_pref);
            spec.instance.export = BTreeSet::from([format!("64512:{rt}").parse().unwrap()]);
            store.plan_attach(spec).ok()
        }
        Op::Detach {
            instance,
            mac: octet,
            ip: ip_octet,
        } => store
            .plan_detach(&id(&name(instance)), mac(octet), ip(ip_octet))
            .ok(),
        Op::PutInstance { instance } => {
            let spec = spec(&name(instance), 1, 1).instance;
            Some(store.plan_put_instance(VpnInstance {
                id: spec.id,
                kind: VpnKind::MacVrf(Default::default()),
                import: spec.import,
                export: spec.export,
                rd: None,
                gateway_ip: None,
                description: None,
            }))
        }
        Op::DeleteInstance { instance } => store.plan_delete_instance(&id(&name(instance))).ok(),
        Op::Restart => None,
    }
}

/// What the engine would hold, from the events alone.
fn apply(events: Vec<SourceEvent>, objects: &mut std::collections::BTreeMap<ObjectKey, Object>) {
    for event in events {
        match event {
            SourceEvent::Upsert(object) => {
                objects.insert(object.key(), object);
            }
            SourceEvent::Remove(key) => {
                objects.remove(&key);
            }
            SourceEvent::Synced | SourceEvent::Lost => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done, the journal holds the store, the engine was told what the store holds, and
    /// a change taken back leaves no trace.
    #[test]
    fn journal_engine_and_store_agree(ops in proptest::collection::vec(op(), 0..60)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, mut store, _) = Journal::open(dir.path()).unwrap();
        let mut objects = std::collections::BTreeMap::new();
        for op in &ops {
            if matches!(op, Op::Restart) {
                let (reopened, restored, report) = Journal::open(dir.path()).unwrap();
                prop_assert_eq!(report, LoadReport::default());
                prop_assert_eq!(&restored, &store);
                journal = reopened;
            }
            let Some(change) = plan(&store, op) else { continue };
            let mut tried = objects.clone();
            apply(change.events(), &mut tried);
            apply(change.clone().reverted().events(), &mut tried);
            prop_assert_eq!(&tried, &objects);
            let mut undone = store.clone();
            undone.commit(&change);
            undone.commit(&change.clone().reverted());
            prop_assert_eq!(&undone, &store);
            apply(change.events(), &mut objects);
            record(&mut store, &mut journal, &change);
            let held: std::collections::BTreeMap<_, _> =
                store.records().map(|record| (record.key(), record.object())).collect();
            prop_assert_eq!(&held, &objects);
            prop_assert_eq!(store.len(), held.len());
        }
        prop_assert_eq!(Journal::open(dir.path()).unwrap().1, store);
    }
}
