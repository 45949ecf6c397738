//! Notifications that the kernel could not deliver.

use super::desire::*;
use super::node::Node;

const MAC_B: &str = "02:00:00:00:00:0b";
const MAC_C: &str = "02:00:00:00:00:0c";
const VXLAN: &str = "vxlan--evpn-a";

fn node() -> Node {
    let node = Node::started();
    node.install(vec![
        domain("10.0.0.1"),
        flood("10.0.0.2"),
        remote(MAC_B, "10.0.0.2"),
        remote(MAC_C, "10.0.0.2"),
        neighbor("192.168.0.2", MAC_B),
    ]);
    node
}

/// More than what fits.
fn flood_notifications(node: &Node) {
    for octet in 0..64 {
        node.ns.bridge(&format!(
            "fdb add 02:00:00:00:01:{octet:02x} dev {VXLAN} dst 10.0.0.9 self"
        ));
    }
}

#[test]
fn changes_that_were_not_heard_are_mended() {
    let node = node();
    node.squeeze_notifications();
    flood_notifications(&node);
    node.ns.bridge(&format!("fdb del {MAC_B} dev {VXLAN} self"));
    node.ns.ip("neigh del 192.168.0.2 dev evpn---evpn-a");
    node.settle("all is back", |node| {
        node.has_fdb(&[MAC_B, "dst 10.0.0.2"]) && node.has_neighbor(&["192.168.0.2", MAC_B])
    });
    assert_eq!(node.overruns(), 1, "the flood was no flood");
    node.assert_nothing_to_do();
}

/// The socket still holds what was heard before it overran. It is older than what is observed then.
#[test]
fn what_was_heard_before_does_not_count_after() {
    let node = node();
    node.squeeze_notifications();
    // Heard: it is gone. Not heard: it is back.
    let dst = "dst 10.0.0.2 self extern_learn";
    node.ns.bridge(&format!("fdb del {MAC_C} dev {VXLAN} self"));
    flood_notifications(&node);
    node.ns
        .bridge(&format!("fdb add {MAC_C} dev {VXLAN} {dst}"));
    // Makes it look at everything.
    node.settle("it has observed anew", |node| node.overruns() == 1);
    let reports = node.take_reports();
    assert!(
        reports.iter().all(|report| report.result.is_ok()),
        "{reports:?}"
    );
    node.assert_observed();
}

#[test]
fn a_flood_of_neighbours_of_others_does_no_harm() {
    let node = node();
    node.squeeze_notifications();
    node.ns.ip("link add br-else type bridge");
    node.ns.ip("link set br-else up");
    for octet in 1..100 {
        node.ns.ip(&format!(
            "neigh replace 172.16.0.{octet} lladdr {MAC_C} dev br-else nud reachable"
        ));
    }
    node.settle("it has observed anew", |node| node.overruns() > 0);
    // It hears again.
    let before = node.overruns();
    node.ns.bridge(&format!("fdb del {MAC_B} dev {VXLAN} self"));
    node.settle("the entry is back", |node| {
        node.has_fdb(&[MAC_B, "dst 10.0.0.2"])
    });
    assert_eq!(node.overruns(), before);
    node.assert_nothing_to_do();
}
