//! Packets between two nodes.

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::desire::*;
use super::namespace::Namespace;
use super::node::{Node, connect};

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";

struct Pair {
    a: Node,
    b: Node,
    station_a: Namespace,
    station_b: Namespace,
}

/// Two nodes, each with an endpoint of the same EVPN instance.
fn pair(vteps: [&str; 2], prefix: &str) -> Pair {
    let (a, b) = (Node::started(), Node::started());
    let [vtep_a, vtep_b] = vteps;
    connect(
        &a,
        &b,
        [&format!("{vtep_a}/{prefix}"), &format!("{vtep_b}/{prefix}")],
    );
    let station_a = a.endpoint("tap-a", MAC_A, &["192.168.0.1/24", "fd00::1/64"]);
    let station_b = b.endpoint(
        "tap-b",
        MAC_B,
        &[
            "192.168.0.2/24",
            "192.168.0.3/24",
            "fd00::2/64",
            "fd00::3/64",
        ],
    );
    let side = |vtep: &str, tap: &str, mac: &str, other: &str, other_mac: &str, ips: [&str; 2]| {
        let mut changes = vec![domain(vtep), port(tap), local(mac, tap)];
        changes.extend([flood(other), remote(other_mac, other)]);
        changes.extend(ips.map(|ip| neighbor(ip, other_mac)));
        changes
    };
    a.install(side(
        vtep_a,
        "tap-a",
        MAC_A,
        vtep_b,
        MAC_B,
        ["192.168.0.2", "fd00::2"],
    ));
    b.install(side(
        vtep_b,
        "tap-b",
        MAC_B,
        vtep_a,
        MAC_A,
        ["192.168.0.1", "fd00::1"],
    ));
    Pair {
        a,
        b,
        station_a,
        station_b,
    }
}

/// Frames that arrive in a namespace while `during` runs.
fn frames(ns: &Namespace, during: impl FnOnce()) -> Vec<Vec<u8>> {
    let capture = ns.run(|()| {
        let capture = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::empty(),
            SockProtocol::EthAll,
        )
        .expect("a packet socket");
        let patience = TimeVal::milliseconds(300);
        setsockopt(&capture, sockopt::ReceiveTimeout, &patience).expect("a socket option");
        capture
    });
    during();
    let mut frames = Vec::new();
    let mut buffer = [0; 2048];
    use std::os::fd::AsRawFd;
    while let Ok(len) = recv(capture.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
        frames.push(buffer[..len].to_vec());
    }
    frames
}

/// Whether an ARP request or a neighbour solicitation for `target` is among the frames.
fn asks_for(frames: &[Vec<u8>], target: &str) -> bool {
    frames.iter().any(
        |frame| match (target.parse().expect("an address"), frame.get(12..14)) {
            (std::net::IpAddr::V4(target), Some([0x08, 0x06])) => {
                frame.get(20..22) == Some(&[0, 1]) && frame.get(38..42) == Some(&target.octets())
            }
            (std::net::IpAddr::V6(target), Some([0x86, 0xdd])) => {
                frame.get(54) == Some(&135) && frame.get(62..78) == Some(&target.octets())
            }
            _ => false,
        },
    )
}

#[test]
fn endpoints_of_two_nodes_ping_each_other() {
    let pair = pair(["10.0.0.1", "10.0.0.2"], "24");
    for address in ["192.168.0.2", "fd00::2"] {
        pair.station_a.ping(address);
    }
    for address in ["192.168.0.1", "fd00::1"] {
        pair.station_b.ping(address);
    }
    pair.b.assert_fdb(&[MAC_A, "dst 10.0.0.1"]);
}

#[test]
fn vteps_may_have_ipv6_addresses() {
    let pair = pair(["fc00::1", "fc00::2"], "64");
    for address in ["192.168.0.2", "192.168.0.3", "fd00::2", "fd00::3"] {
        pair.station_a.ping(address);
    }
    pair.station_b.ping("fd00::1");
}

#[test]
fn known_neighbours_are_answered_for_and_unknown_ones_asked_for() {
    let pair = pair(["10.0.0.1", "10.0.0.2"], "24");
    for (address, is_flooded) in [
        ("192.168.0.2", false),
        ("192.168.0.3", true),
        ("fd00::2", false),
        ("fd00::3", true),
    ] {
        let frames = frames(&pair.station_b, || pair.station_a.ping(address));
        assert!(!frames.is_empty(), "the ping itself arrives");
        assert_eq!(asks_for(&frames, address), is_flooded, "{address}");
    }
}

#[test]
fn a_neighbour_is_answered_for_though_nobody_is_there() {
    let pair = pair(["10.0.0.1", "10.0.0.2"], "24");
    let ghost = "02:00:00:00:00:66";
    pair.a.install(vec![
        remote(ghost, "10.0.0.9"),
        neighbor("192.168.0.66", ghost),
        neighbor("fd00::66", ghost),
    ]);
    for address in ["192.168.0.66", "fd00::66"] {
        pair.station_a
            .try_program(&format!("ping -c 1 -W 1 {address}"));
        let entry = pair.station_a.ip(&format!("neigh show {address}"));
        assert!(entry.contains(ghost), "{address}: {entry}");
    }
}

#[test]
fn another_vni_may_be_expected_at_the_other_end() {
    let (a, b) = (Node::started(), Node::started());
    connect(&a, &b, ["10.0.0.1/24", "10.0.0.2/24"]);
    let station_a = a.endpoint("tap-a", MAC_A, &["192.168.0.1/24"]);
    let _station_b = b.endpoint("tap-b", MAC_B, &["192.168.0.2/24"]);
    let far = |change| vec![change];
    a.install(vec![
        domain_of(ID, "evpn-a", 100, "10.0.0.1"),
        port("tap-a"),
        local(MAC_A, "tap-a"),
        flood_to("10.0.0.2", 200),
        remote_at(mac(MAC_B), "10.0.0.2", 200, false),
    ]);
    b.install(far(domain_of(ID, "evpn-a", 200, "10.0.0.2")));
    b.install(vec![
        port("tap-b"),
        local(MAC_B, "tap-b"),
        flood_to("10.0.0.1", 100),
        remote_at(mac(MAC_A), "10.0.0.1", 100, false),
    ]);
    station_a.ping("192.168.0.2");
    // The target expects another VNI from now on: there must be one entry, not two.
    a.install(vec![flood_to("10.0.0.2", 100)]);
    assert!(!a.has_fdb(&["00:00:00:00:00:00", "vni 200"]), "{}", a.fdb());
}

#[test]
fn nobody_takes_over_the_address_of_a_local_endpoint() {
    let pair = pair(["10.0.0.1", "10.0.0.2"], "24");
    let spoofer = pair.a.endpoint("tap-c", MAC_A, &["192.168.0.77/24"]);
    pair.a.install(vec![port("tap-c")]);
    pair.station_b.ping("192.168.0.1");
    spoofer.try_program("ping -c 2 -i 0.2 -W 1 192.168.0.2");
    pair.a.assert_fdb(&[MAC_A, "dev tap-a", "sticky", "static"]);
    pair.station_a.ping("192.168.0.2");
}

#[test]
fn the_node_is_no_station_of_the_vpn() {
    let pair = pair(["10.0.0.1", "10.0.0.2"], "24");
    for device in ["evpn---evpn-a", "vxlan--evpn-a"] {
        let addresses = pair.a.ns.ip(&format!("addr show dev {device}"));
        assert!(!addresses.contains("inet"), "{addresses}");
    }
}
