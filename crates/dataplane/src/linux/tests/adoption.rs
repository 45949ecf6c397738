//! Starting on a node that holds something already: our own from before, or bagpipe-bgp's.

use chanter_engine::desired::{DesiredChange, DesiredKey, DomainId};

use super::desire::*;
use super::netlink_monitor::{heard, monitor, wait_for_quiet};
use super::node::{Node, error_of};

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";

fn some_domain() -> Vec<DesiredChange> {
    vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
        flood("10.0.0.2"),
        flood_to("10.0.0.3", 300),
        remote(MAC_B, "10.0.0.2"),
        remote_at(mac("02:00:00:00:00:0c"), "10.0.0.3", 300, true),
        neighbor("192.168.0.2", MAC_B),
        neighbor("fd00::2", MAC_B),
    ]
}

#[test]
fn a_killed_sink_starts_again_without_the_kernel_noticing() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    node.install(some_domain());
    // Nothing of the setting up may still be under way: duplicate address detection, carrier.
    node.settle("the endpoint's device has an address", |node| {
        let text = node.ns.ip("addr show dev tap-a");
        text.contains("inet6") && !text.contains("tentative")
    });
    node.kill();
    let monitor = monitor(&node.ns);
    wait_for_quiet(&monitor);
    node.start();
    // As the engine speaks up again, one thing after the other.
    for change in some_domain() {
        node.install(vec![change]);
    }
    node.prune();
    node.assert_nothing_to_do();
    assert_eq!(
        heard(&monitor),
        Vec::<u16>::new(),
        "messages of these kinds were sent"
    );
}

#[test]
fn what_is_not_desired_again_goes_only_when_pruning_is_allowed() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    node.install(some_domain());
    node.install(vec![domain_of(DomainId(2), "other", 200, "10.0.0.1")]);
    node.kill();
    node.start();
    node.install(vec![domain("10.0.0.1"), port("tap-a"), flood("10.0.0.2")]);
    for words in [
        vec![MAC_A, "tap-a", "sticky"],
        vec![MAC_B, "10.0.0.2"],
        vec!["00:00:00:00:00:00", "10.0.0.3"],
    ] {
        node.assert_fdb(&words);
    }
    assert!(node.has_neighbor(&["fd00::2", MAC_B, "PERMANENT"]));
    assert!(node.has_device("evpn---other"));
    node.prune();
    assert!(!node.has_fdb(&[MAC_A, "sticky"]), "{}", node.fdb());
    assert!(!node.has_fdb(&[MAC_B]), "{}", node.fdb());
    assert!(!node.has_fdb(&["10.0.0.3"]), "{}", node.fdb());
    assert!(!node.has_neighbor(&["fd00::2"]));
    assert!(!node.has_device("evpn---other") && !node.has_device("vxlan--other"));
    node.assert_fdb(&["00:00:00:00:00:00", "10.0.0.2"]);
    assert!(
        node.ns
            .ip("link show tap-a")
            .contains("master evpn---evpn-a")
    );
}

#[test]
fn a_port_that_was_plugged_before_goes_with_its_address() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    let _other = node.endpoint("tap-x", "02:00:00:00:00:0d", &[]);
    node.install(vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
    ]);
    // Put there by an operator, for a look at the traffic perhaps.
    node.ns.ip("link set tap-x master evpn---evpn-a");
    node.kill();
    node.start();
    node.install(vec![domain("10.0.0.1")]);
    node.prune();
    assert!(!node.ns.ip("link show tap-a").contains("master"));
    assert!(
        node.ns
            .ip("link show tap-x")
            .contains("master evpn---evpn-a")
    );
}

/// What bagpipe-bgp 21 leaves: see its commands in the golden recordings.
fn bagpipe(node: &Node, bridge: &str, vxlan: &str) {
    for arguments in [
        format!("link add {bridge} type bridge forward_delay 0 stp_state 0"),
        format!("link set {bridge} up"),
        format!("link add {vxlan} type vxlan id 100 local 10.0.0.1 nolearning proxy dstport 4789"),
        format!("link set {vxlan} up"),
        format!("link set {vxlan} master {bridge}"),
        format!("link set tap-a master {bridge}"),
        format!("neighbor replace 192.168.0.2 lladdr {MAC_B} dev {vxlan} nud permanent"),
        format!("neighbor replace 192.168.0.4 lladdr {MAC_B} dev {vxlan} nud permanent"),
    ] {
        node.ns.ip(&arguments);
    }
    for arguments in [
        format!("fdb replace {MAC_A} dev tap-a"),
        format!("fdb append 00:00:00:00:00:00 dev {vxlan} dst 10.0.0.2 vni 100"),
        format!("fdb append 00:00:00:00:00:00 dev {vxlan} dst 10.0.0.9 vni 100"),
        format!("fdb replace {MAC_B} dev {vxlan} dst 10.0.0.2 vni 100"),
        format!("fdb replace 02:00:00:00:00:99 dev {vxlan} dst 10.0.0.9 vni 100"),
    ] {
        node.ns.bridge(&arguments);
    }
}

#[test]
fn devices_of_bagpipe_are_adopted() {
    let node = Node::new();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    bagpipe(&node, "evpn---evpn-a", "vxlan--evpn-a");
    let before = node.ns.ip("-br link show type vxlan");
    node.start();
    let monitor = monitor(&node.ns);
    node.install(vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
        flood("10.0.0.2"),
        remote(MAC_B, "10.0.0.2"),
        neighbor("192.168.0.2", MAC_B),
    ]);
    let removals = [17, 21, 25, 29];
    let removed: Vec<u16> = heard(&monitor)
        .into_iter()
        .filter(|kind| removals.contains(kind))
        .collect();
    assert_eq!(removed, Vec::<u16>::new(), "taking over removes nothing");
    assert_eq!(node.ns.ip("-br link show type vxlan"), before);
    for device in ["evpn---evpn-a", "vxlan--evpn-a"] {
        assert!(
            node.ns
                .ip(&format!("link show {device}"))
                .contains("alias chanter:evpn-a")
        );
    }
    // What bagpipe-bgp had and nobody wants goes with pruning, marked or not.
    node.assert_fdb(&["02:00:00:00:00:99", "10.0.0.9"]);
    node.prune();
    assert!(!node.has_fdb(&["10.0.0.9"]), "{}", node.fdb());
    assert!(!node.has_neighbor(&["dev vxlan--evpn-a", "PERMANENT"]));
    node.assert_fdb(&["00:00:00:00:00:00", "10.0.0.2"]);
    node.assert_fdb(&[MAC_B, "10.0.0.2"]);
}

#[test]
fn a_device_of_that_name_that_does_not_fit_is_left_alone() {
    let node = Node::new();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    bagpipe(&node, "evpn---evpn-a", "vxlan--evpn-a");
    node.start();
    let id = DomainId(1);
    // Another VNI: other names, both live side by side.
    node.install(vec![domain_of(id, "evpn-a", 777, "10.0.0.1")]);
    let bridges = node.ns.ip("-br link show type bridge");
    assert_eq!(bridges.lines().count(), 2, "{bridges}");
    assert!(!node.ns.ip("link show evpn---evpn-a").contains("alias"));
    // The same VNI from another address: the kernel has one such device only.
    let reports = node.submit(vec![domain_of(id, "evpn-a", 100, "10.0.0.7")]);
    let (message, by_intent) = error_of(&reports, &DesiredKey::Domain(id));
    assert!(
        message.contains("VNI 100") && message.contains("vxlan--evpn-a"),
        "{message}"
    );
    assert!(!by_intent);
    // It goes: the domain is made at once.
    node.ns.ip("link del vxlan--evpn-a");
    node.settle("the domain is made", |node| {
        node.ns
            .ip("-d link show type vxlan")
            .contains("local 10.0.0.7")
    });
    node.assert_nothing_to_do();
}

#[test]
fn instances_whose_names_collide_get_devices_of_their_own() {
    let node = Node::started();
    let two = DomainId(2);
    let changes = || {
        vec![
            domain_of(ID, "evpn_4f1bd5a8-1", 100, "10.0.0.1"),
            domain_of(two, "evpn_4f1bd5a8-2", 200, "10.0.0.1"),
        ]
    };
    node.install(changes());
    let links = |node: &Node| node.ns.ip("-o link show");
    let before = links(&node);
    for tag in [
        "alias chanter:evpn_4f1bd5a8-1",
        "alias chanter:evpn_4f1bd5a8-2",
    ] {
        assert_eq!(before.matches(tag).count(), 2, "{before}");
    }
    // After a restart each finds its own, in whatever order they come.
    node.kill();
    node.start();
    for change in changes().into_iter().rev() {
        node.install(vec![change]);
    }
    node.prune();
    assert_eq!(links(&node), before);
}

#[test]
fn without_privileges_the_error_says_what_is_missing() {
    use std::os::unix::process::CommandExt;
    const CHILD: &str = "CHANTER_TEST_UNPRIVILEGED";
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let opened = runtime.block_on(crate::linux::sink::Sink::open(Default::default()));
        println!(
            "opened: {:?}",
            opened.map(drop).map_err(|error| error.to_string())
        );
        return;
    }
    let output = std::process::Command::new("/proc/self/exe")
        .args(["--nocapture", "--exact"])
        .arg("linux::tests::adoption::without_privileges_the_error_says_what_is_missing")
        .env(CHILD, "1")
        .uid(65534)
        .output()
        .expect("must run as root, to give up being it");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("needs the capability CAP_NET_ADMIN"),
        "{text}"
    );
}
