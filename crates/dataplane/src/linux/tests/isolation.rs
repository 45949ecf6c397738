//! The node itself is no station of its VPNs.

use super::desire::*;
use super::namespace::Namespace;
use super::node::Node;

const MAC_A: &str = "02:00:00:00:00:0a";
const BRIDGE: &str = "evpn---evpn-a";

/// A node with an address outside of the VPN, and an endpoint whose address is of the same subnet.
fn node() -> (Node, Namespace) {
    let node = Node::started();
    node.ns.ip("link add u0 type veth peer name u1");
    node.ns.ip("link set u0 up");
    node.ns.ip("link set u1 up");
    node.ns.ip("addr add 10.0.0.1/24 dev u0");
    let endpoint = node.endpoint("tap-a", MAC_A, &["10.0.0.99/24"]);
    (node, endpoint)
}

fn some_domain() -> Vec<chanter_engine::desired::DesiredChange> {
    vec![domain("10.0.0.1"), port("tap-a"), local(MAC_A, "tap-a")]
}

/// How many ICMP echo requests the node took.
fn echo_requests(node: &Node) -> u32 {
    let text = node.ns.program("cat /proc/self/net/snmp");
    let mut lines = text.lines().filter(|line| line.starts_with("Icmp:"));
    let names = lines.next().expect("a line of names");
    let values = lines.next().expect("a line of values");
    let mut pairs = names.split(' ').zip(values.split(' '));
    let (_, value) = pairs.find(|(name, _)| *name == "InEchos").expect("InEchos");
    value.parse().expect("a number")
}

fn ping_node(endpoint: &Namespace) {
    endpoint.try_program("ping -c 1 -W 1 10.0.0.1");
}

/// Asks for the node's address, whatever the answer.
fn knows_node(endpoint: &Namespace) -> bool {
    ping_node(endpoint);
    endpoint
        .ip("neigh show 10.0.0.1 dev eth0")
        .contains("lladdr")
}

#[track_caller]
fn assert_deaf(node: &Node, endpoint: &Namespace) {
    assert!(!knows_node(endpoint), "the node answers ARP requests");
    // An endpoint that knows the bridge's MAC address does not get further.
    let text = node.ns.ip(&format!("-o link show {BRIDGE}"));
    let mut words = text.split(' ');
    words.find(|word| *word == "link/ether");
    let mac = words.next().expect("a MAC address");
    endpoint.ip(&format!(
        "neigh replace 10.0.0.1 lladdr {mac} dev eth0 nud permanent"
    ));
    let before = echo_requests(node);
    ping_node(endpoint);
    assert_eq!(echo_requests(node), before, "the node takes packets");
    endpoint.ip("neigh del 10.0.0.1 dev eth0");
}

#[test]
fn a_node_does_not_answer_in_a_vpn() {
    let (node, endpoint) = node();
    node.install(some_domain());
    assert_deaf(&node, &endpoint);
    // Nor does it forward from there.
    node.ns.program("sysctl -qw net.ipv4.ip_forward=1");
    assert_deaf(&node, &endpoint);
}

#[test]
fn a_bridge_that_is_taken_over_is_made_deaf_too() {
    let (node, endpoint) = node();
    node.kill();
    for arguments in [
        format!("link add {BRIDGE} type bridge forward_delay 0"),
        format!("link set {BRIDGE} up"),
        format!("link set tap-a master {BRIDGE}"),
        "link add vxlan--evpn-a type vxlan id 100 local 10.0.0.1 dstport 4789".to_owned(),
        format!("link set vxlan--evpn-a master {BRIDGE}"),
    ] {
        node.ns.ip(&arguments);
    }
    assert!(knows_node(&endpoint), "as bagpipe-bgp left it, it answers");
    endpoint.ip("neigh flush dev eth0");
    node.start();
    node.submit(vec![domain("10.0.0.1")]);
    assert_deaf(&node, &endpoint);
}

#[test]
fn an_address_that_an_operator_gives_the_bridge_is_answered_for() {
    let (node, endpoint) = node();
    node.install(some_domain());
    node.ns.ip(&format!("addr add 192.168.0.1/24 dev {BRIDGE}"));
    endpoint.ip("addr add 192.168.0.10/24 dev eth0");
    endpoint.ping("192.168.0.1");
    assert_deaf(&node, &endpoint);
}
