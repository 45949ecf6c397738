//! Ports: devices that others make, and bridges that others give.

use chanter_engine::desired::{DesiredKey, DesiredValue, DomainId};
use chanter_intent::PortName;

use super::desire::*;
use super::netlink_monitor::{heard, monitor};
use super::node::{Node, error_of};

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";

#[test]
fn a_port_is_plugged_when_it_appears() {
    let node = Node::started();
    let reports = node.submit(vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
    ]);
    for key in [
        DesiredKey::Port(ID, PortName::new("tap-a")),
        DesiredKey::LocalMac(ID, mac(MAC_A)),
    ] {
        let (message, by_intent) = error_of(&reports, &key);
        assert!(
            by_intent && message.starts_with("port tap-a: there is no such device"),
            "{message}"
        );
    }
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    node.settle("the port is plugged", |node| {
        node.has_fdb(&[MAC_A, "tap-a", "sticky"])
    });
    let reports = node.take_reports();
    let last = reports
        .iter()
        .rfind(|report| report.key == DesiredKey::LocalMac(ID, mac(MAC_A)));
    assert_eq!(last.map(|report| &report.result), Some(&Ok(())));
    // Gone again, and said so: the engine withdraws on that.
    node.ns.ip("link del tap-a");
    let mut reports = Vec::new();
    node.settle("the port is reported missing", |node| {
        reports.extend(node.take_reports());
        reports.iter().any(|report| report.result.is_err())
    });
    reports.retain(|report| report.result.is_err());
    assert!(error_of(&reports, &DesiredKey::Port(ID, PortName::new("tap-a"))).1);
}

#[test]
fn what_is_no_port_of_this_dataplane_is_named() {
    let node = Node::started();
    let mut tagged = port("eth9");
    tagged.value = Some(DesiredValue::Port { vlan: Some(7) });
    let reports = node.submit(vec![domain("10.0.0.1"), port("patch2tun:4"), tagged]);
    let (message, by_intent) = error_of(
        &reports,
        &DesiredKey::Port(ID, PortName::new("patch2tun:4")),
    );
    assert!(
        by_intent && message.contains("port patch2tun:4"),
        "{message}"
    );
    let (message, by_intent) = error_of(&reports, &DesiredKey::Port(ID, PortName::new("eth9")));
    assert!(by_intent && message.contains("VLAN 7"), "{message}");
}

#[test]
fn a_port_of_another_bridge_is_not_stolen() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    node.ns.ip("link add br-else type bridge");
    node.ns.ip("link set tap-a master br-else");
    let reports = node.submit(vec![domain("10.0.0.1"), port("tap-a")]);
    let (message, by_intent) = error_of(&reports, &DesiredKey::Port(ID, PortName::new("tap-a")));
    assert!(
        by_intent && message.contains("already a port of br-else"),
        "{message}"
    );
    node.ns.ip("link set tap-a nomaster");
    node.settle("the port is plugged", |node| {
        node.ns
            .ip("link show tap-a")
            .contains("master evpn---evpn-a")
    });
}

#[test]
fn a_port_moves_from_one_instance_to_another() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    let two = DomainId(2);
    node.install(vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
    ]);
    let mut other = port("tap-a");
    other.key = DesiredKey::Port(two, PortName::new("tap-a"));
    node.submit(vec![
        no(port("tap-a")),
        no(local(MAC_A, "tap-a")),
        domain_of(two, "other", 200, "10.0.0.1"),
        other,
    ]);
    node.settle("the port is in the other bridge", |node| {
        node.ns
            .ip("link show tap-a")
            .contains("master evpn---other")
    });
    assert!(!node.has_fdb(&[MAC_A, "sticky"]), "{}", node.fdb());
    node.assert_nothing_to_do();
}

#[test]
fn an_address_that_moves_with_its_port_is_not_forgotten_on_the_way() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    let two = DomainId(2);
    node.install(vec![
        domain("10.0.0.1"),
        domain_of(two, "other", 200, "10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
    ]);
    let monitor = monitor(&node.ns);
    let [mut other_port, mut other_mac] = [port("tap-a"), local(MAC_A, "tap-a")];
    other_port.key = DesiredKey::Port(two, PortName::new("tap-a"));
    other_mac.key = DesiredKey::LocalMac(two, mac(MAC_A));
    node.submit(vec![
        no(port("tap-a")),
        no(local(MAC_A, "tap-a")),
        other_port,
        other_mac,
    ]);
    node.assert_fdb(&[MAC_A, "tap-a", "sticky", "master evpn---other"]);
    node.assert_nothing_to_do();
    // The old bridge forgets two addresses with the port: the endpoint's, and that of the port.
    let forgotten = heard(&monitor).into_iter().filter(|kind| *kind == 29);
    assert!(forgotten.count() <= 2, "the new bridge has forgotten it");
}

#[test]
fn unplugging_and_removing_leave_nothing_behind() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    let all = || {
        vec![
            domain("10.0.0.1"),
            port("tap-a"),
            local(MAC_A, "tap-a"),
            flood("10.0.0.2"),
            remote(MAC_B, "10.0.0.2"),
            neighbor("192.168.0.2", MAC_B),
        ]
    };
    node.install(all());
    node.install(all().into_iter().skip(1).map(no).collect());
    for word in ["sticky", "10.0.0.2"] {
        assert!(!node.has_fdb(&[word]), "{}", node.fdb());
    }
    assert!(!node.has_neighbor(&["192.168.0.2"]));
    assert!(!node.ns.ip("link show tap-a").contains("master"));
    node.install(all());
    node.install(all().into_iter().map(no).collect());
    assert!(!node.has_device("evpn---evpn-a") && !node.has_device("vxlan--evpn-a"));
    assert!(node.has_device("tap-a"));
    // Taking back what never was is no error either.
    node.install(all().into_iter().map(no).collect());
}

/// A bridge as the linuxbridge agent makes it, with the endpoint in it.
fn given_bridge(node: &Node) {
    node.ns.ip("link add brq-1 type bridge");
    node.ns.ip("link set brq-1 up");
    node.ns.ip("link set tap-a master brq-1");
}

fn in_given_bridge() -> Vec<chanter_engine::desired::DesiredChange> {
    vec![
        domain_in("brq-1", "10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
        flood("10.0.0.2"),
        remote(MAC_B, "10.0.0.2"),
        neighbor("192.168.0.2", MAC_B),
    ]
}

#[test]
fn an_existing_bridge_is_used_and_outlives_the_instance() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    let reports = node.submit(in_given_bridge());
    let (message, by_intent) = error_of(&reports, &DesiredKey::Domain(ID));
    assert!(
        by_intent && message.starts_with("bridge brq-1"),
        "{message}"
    );
    given_bridge(&node);
    node.settle("the instance is in the bridge", |node| {
        node.has_fdb(&[MAC_A, "sticky"])
    });
    node.assert_nothing_to_do();
    node.assert_fdb(&[MAC_B, "dst 10.0.0.2"]);
    assert!(
        node.ns
            .ip("link show vxlan--evpn-a")
            .contains("master brq-1")
    );
    assert!(!node.ns.ip("link show brq-1").contains("alias"));
    node.install(in_given_bridge().into_iter().map(no).collect());
    assert!(node.has_device("brq-1") && !node.has_device("vxlan--evpn-a"));
    assert!(node.ns.ip("link show tap-a").contains("master brq-1"));
    assert!(!node.has_fdb(&["sticky"]) && !node.has_neighbor(&["192.168.0.2", "PERMANENT"]));
}

#[test]
fn an_instance_that_leaves_an_existing_bridge_leaves_nothing_in_it() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    given_bridge(&node);
    node.install(in_given_bridge());
    assert!(node.has_neighbor(&["192.168.0.2", "dev brq-1", MAC_B]));
    node.ns
        .bridge("fdb add 02:00:00:00:00:77 dev tap-a master static");
    node.submit(vec![domain("10.0.0.1")]);
    node.settle("the devices have moved", |node| {
        node.ns
            .ip("link show vxlan--evpn-a")
            .contains("master evpn---evpn-a")
    });
    assert!(!node.has_neighbor(&["dev brq-1", "PERMANENT"]));
    assert!(!node.has_fdb(&[MAC_A, "sticky"]), "{}", node.fdb());
    node.assert_fdb(&[MAC_B, "master evpn---evpn-a"]);
    assert!(node.has_neighbor(&["192.168.0.2", "dev evpn---evpn-a", MAC_B]));
    // What others have there stays: the port, which the agent has yet to take out, and its entry.
    assert!(node.ns.ip("link show tap-a").contains("master brq-1"));
    node.assert_fdb(&["02:00:00:00:00:77", "static"]);
    node.ns.ip("link set tap-a nomaster");
    node.settle("the port has moved", |node| {
        node.has_fdb(&[MAC_A, "tap-a", "sticky"])
    });
    // And back.
    node.submit(in_given_bridge());
    assert!(!node.has_device("evpn---evpn-a"));
    node.ns.ip("link set tap-a master brq-1");
    node.settle("all is in the existing bridge again", |node| {
        node.has_fdb(&[MAC_A, "sticky", "master brq-1"])
            && node.has_neighbor(&["192.168.0.2", "dev brq-1", MAC_B])
    });
    node.assert_nothing_to_do();
}

#[test]
fn an_instance_that_leaves_a_shared_vxlan_device_leaves_nothing_in_it() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    given_bridge(&node);
    node.ns
        .ip("link add vxlan-100 type vxlan id 100 local 10.0.0.1 dstport 8472 proxy");
    node.ns.ip("link set vxlan-100 master brq-1");
    node.ns.ip("link set vxlan-100 up");
    node.ns
        .bridge("fdb append 00:00:00:00:00:00 dev vxlan-100 dst 10.0.0.77 self permanent");
    node.install(in_given_bridge());
    node.submit(vec![domain("10.0.0.1")]);
    node.settle("nothing of ours is left", |node| {
        !node.has_fdb(&["dev vxlan-100", "10.0.0.2"])
            && !node.has_fdb(&[MAC_B, "dev vxlan-100"])
            && !node.has_neighbor(&["192.168.0.2", "dev vxlan-100"])
    });
    node.assert_fdb(&["00:00:00:00:00:00", "dev vxlan-100", "dst 10.0.0.77"]);
}

#[test]
fn a_vxlan_device_of_the_linuxbridge_agent_is_shared() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    given_bridge(&node);
    node.ns
        .ip("link add vxlan-100 type vxlan id 100 local 10.0.0.1 dstport 8472 proxy");
    node.ns.ip("link set vxlan-100 master brq-1");
    node.ns.ip("link set vxlan-100 up");
    let theirs = [
        "fdb append 00:00:00:00:00:00 dev vxlan-100 dst 10.0.0.77 self permanent",
        "fdb add 02:00:00:00:00:77 dev vxlan-100 dst 10.0.0.77 self permanent",
    ];
    theirs
        .iter()
        .for_each(|arguments| drop(node.ns.bridge(arguments)));
    node.ns
        .ip("neigh replace 192.168.0.77 lladdr 02:00:00:00:00:77 dev vxlan-100 nud permanent");
    node.install(in_given_bridge());
    node.assert_fdb(&[MAC_B, "dev vxlan-100", "dst 10.0.0.2"]);
    node.assert_fdb(&["00:00:00:00:00:00", "dst 10.0.0.2"]);
    assert!(node.has_neighbor(&["192.168.0.2", "dev vxlan-100", MAC_B]));
    assert!(!node.has_device("vxlan--evpn-a"));
    node.prune();
    node.install(in_given_bridge().into_iter().map(no).collect());
    assert!(
        !node.has_fdb(&["10.0.0.2"]) && !node.has_fdb(&[MAC_B]),
        "{}",
        node.fdb()
    );
    node.assert_fdb(&["00:00:00:00:00:00", "dst 10.0.0.77"]);
    node.assert_fdb(&["02:00:00:00:00:77", "dst 10.0.0.77"]);
    assert!(node.has_neighbor(&["192.168.0.77"]) && !node.has_neighbor(&["192.168.0.2"]));
    assert!(!node.ns.ip("link show vxlan-100").contains("alias"));
}
