//! Somebody else changes what we made.

use std::cell::RefCell;

use super::desire::*;
use super::namespace::Namespace;
use super::node::{Node, error_of};
use chanter_engine::desired::DesiredKey;

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";

fn node() -> (Node, Namespace) {
    let node = Node::started();
    let station = node.endpoint("tap-a", MAC_A, &[]);
    node.install(vec![
        domain("10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
        flood("10.0.0.2"),
        remote(MAC_B, "10.0.0.2"),
        neighbor("192.168.0.2", MAC_B),
        neighbor("fd00::2", MAC_B),
    ]);
    (node, station)
}

/// Does the damage, and waits until `words` are in the FDB again.
fn mends_fdb(damage: &[&str], words: &[&str]) {
    let (node, _station) = node();
    for command in damage {
        node.ns.program(command);
    }
    assert!(!node.has_fdb(words), "the damage is done");
    node.settle("the entry is back", |node| node.has_fdb(words));
    node.assert_nothing_to_do();
}

#[test]
fn a_deleted_flooding_target_comes_back() {
    mends_fdb(
        &["bridge fdb del 00:00:00:00:00:00 dev vxlan--evpn-a dst 10.0.0.2 self"],
        &["00:00:00:00:00:00", "10.0.0.2"],
    );
}

#[test]
fn a_deleted_remote_mac_comes_back() {
    let device = "vxlan--evpn-a";
    mends_fdb(
        &[&format!("bridge fdb del {MAC_B} dev {device} self")],
        &[MAC_B, "dst 10.0.0.2"],
    );
    mends_fdb(
        &[&format!("bridge fdb del {MAC_B} dev {device} master")],
        &[MAC_B, "extern_learn master"],
    );
}

#[test]
fn a_diverted_remote_mac_comes_back() {
    mends_fdb(
        &[&format!(
            "bridge fdb replace {MAC_B} dev vxlan--evpn-a dst 10.0.0.66 self"
        )],
        &[MAC_B, "dst 10.0.0.2"],
    );
}

#[test]
fn a_deleted_local_mac_comes_back() {
    mends_fdb(
        &[&format!("bridge fdb del {MAC_A} dev tap-a master")],
        &[MAC_A, "tap-a", "sticky"],
    );
}

#[test]
fn a_port_that_was_taken_out_comes_back() {
    mends_fdb(&["ip link set tap-a nomaster"], &[MAC_A, "tap-a", "sticky"]);
}

#[test]
fn deleted_devices_come_back_with_all_that_was_in_them() {
    for device in ["vxlan--evpn-a", "evpn---evpn-a"] {
        let (node, _station) = node();
        node.ns.ip(&format!("link del {device}"));
        node.settle("the device is back", |node| {
            node.has_device(device)
                && node.has_fdb(&[MAC_A, "tap-a", "sticky"])
                && node.has_fdb(&[MAC_B, "dst 10.0.0.2"])
                && node.has_neighbor(&["192.168.0.2", MAC_B])
                && node.has_neighbor(&["fd00::2", MAC_B])
        });
        node.assert_nothing_to_do();
    }
}

#[test]
fn devices_are_set_up_again_with_their_settings() {
    let (node, _station) = node();
    for arguments in [
        "link set vxlan--evpn-a down",
        "link set evpn---evpn-a down",
        "link set evpn---evpn-a type bridge stp_state 1 mcast_snooping 1",
        "link set vxlan--evpn-a addrgenmode eui64",
    ] {
        node.ns.ip(arguments);
    }
    node.ns
        .bridge("link set dev vxlan--evpn-a learning on neigh_suppress off");
    node.settle("all is as before", |node| {
        let bridge = node.ns.ip("-d link show evpn---evpn-a");
        let vxlan = node.ns.ip("-d link show vxlan--evpn-a");
        bridge.contains(",UP")
            && bridge.contains("stp_state 0")
            && vxlan.contains(",UP")
            && bridge.contains("mcast_snooping 0")
            && vxlan.contains("neigh_suppress on")
            && vxlan.contains("learning off")
            && vxlan.contains("addrgenmode none")
    });
    node.assert_nothing_to_do();
}

#[test]
fn a_deleted_neighbour_comes_back() {
    let (node, _station) = node();
    node.ns.ip("neigh del 192.168.0.2 dev evpn---evpn-a");
    node.ns.ip(&format!(
        "neigh replace fd00::2 lladdr {MAC_A} dev evpn---evpn-a nud permanent"
    ));
    node.settle("the entries are back", |node| {
        node.has_neighbor(&["192.168.0.2", MAC_B]) && node.has_neighbor(&["fd00::2", MAC_B])
    });
}

#[test]
fn entries_of_others_are_left_alone() {
    let (node, _station) = node();
    node.ns
        .bridge("fdb add 02:00:00:00:00:77 dev tap-a master static");
    node.ns
        .ip("neigh replace 192.168.0.77 lladdr 02:00:00:00:00:77 dev evpn---evpn-a nud permanent");
    node.prune();
    node.assert_fdb(&["02:00:00:00:00:77", "static"]);
    assert!(node.has_neighbor(&["192.168.0.77"]));
}

#[test]
fn who_keeps_undoing_it_wins_for_a_while() {
    let (node, _station) = node();
    let rounds = RefCell::new(0);
    let key = DesiredKey::RemoteMac(ID, mac(MAC_B));
    let reports = RefCell::new(Vec::new());
    node.settle("we step back", |node| {
        // The other side never tires.
        if node.has_fdb(&[MAC_B, "dst 10.0.0.2"]) {
            node.ns
                .bridge(&format!("fdb del {MAC_B} dev vxlan--evpn-a self"));
            *rounds.borrow_mut() += 1;
        }
        reports.borrow_mut().extend(node.take_reports());
        reports
            .borrow()
            .iter()
            .any(|report| report.key == key && report.result.is_err())
    });
    let (message, _) = error_of(
        &reports
            .borrow()
            .iter()
            .filter(|r| r.result.is_err())
            .cloned()
            .collect::<Vec<_>>(),
        &key,
    );
    assert!(message.contains("keeps changing"), "{message}");
    assert!((4..10).contains(&*rounds.borrow()), "{rounds:?}");
    // New word from the engine counts at once.
    node.install(vec![remote(MAC_B, "10.0.0.3")]);
}
