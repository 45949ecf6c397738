//! Entries against a real kernel: replaced in place, in number, refused.

use std::time::Instant;

use chanter_engine::desired::DesiredKey;
use chanter_types::MacAddr;

use super::desire::*;
use super::node::{Node, error_of};

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";

#[test]
fn a_mac_moves_between_vteps_and_ports_in_place() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    node.install(vec![
        domain("10.0.0.1"),
        port("tap-a"),
        remote(MAC_B, "10.0.0.2"),
    ]);
    let monitor = node.ns.run(|_| {
        let mut monitor = std::process::Command::new("bridge")
            .args(["monitor", "fdb"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the monitor runs");
        (monitor.stdout.take().expect("its output"), monitor)
    });
    let (output, mut monitor) = monitor;
    // The monitor listens when it prints what is done for its sake.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = heard.clone();
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            sink.lock().expect("the test lives").push(line);
        }
    });
    let has_heard = |word: &str| {
        heard
            .lock()
            .expect("no panic")
            .iter()
            .any(|l| l.contains(word))
    };
    super::namespace::poll("the monitor listens", || {
        node.ns
            .bridge("fdb replace 02:00:00:00:00:01 dev tap-a master static");
        node.ns.bridge("fdb del 02:00:00:00:00:01 dev tap-a master");
        has_heard("02:00:00:00:00:01")
    });
    node.install(vec![remote(MAC_B, "10.0.0.3")]);
    node.assert_fdb(&[MAC_B, "dst 10.0.0.3"]);
    node.install(vec![remote_at(mac(MAC_B), "10.0.0.3", 100, true)]);
    node.assert_fdb(&[MAC_B, "vxlan--evpn-a", "sticky"]);
    node.install(vec![remote(MAC_B, "10.0.0.2")]);
    assert!(!node.has_fdb(&[MAC_B, "sticky"]), "{}", node.fdb());
    // To here, and away again.
    node.install(vec![no(remote(MAC_B, "10.0.0.2")), local(MAC_B, "tap-a")]);
    node.assert_fdb(&[MAC_B, "tap-a", "sticky", "static"]);
    node.install(vec![no(local(MAC_B, "tap-a")), remote(MAC_B, "10.0.0.2")]);
    node.assert_fdb(&[MAC_B, "vxlan--evpn-a", "master"]);
    assert!(!node.has_fdb(&[MAC_B, "sticky"]), "{}", node.fdb());
    node.ns
        .bridge("fdb replace 02:00:00:00:00:02 dev tap-a master static");
    super::namespace::poll("the monitor has heard all", || {
        has_heard("02:00:00:00:00:02")
    });
    monitor.kill().expect("the monitor ends");
    monitor.wait().expect("the monitor has ended");
    let heard = heard.lock().expect("no panic");
    let deleted: Vec<_> = heard
        .iter()
        .filter(|line| line.contains("Deleted") && line.contains(MAC_B) && line.contains("master"))
        .collect();
    assert_eq!(
        deleted,
        Vec::<&String>::new(),
        "the bridge never forgets the address"
    );
}

#[test]
fn the_vtep_of_the_node_changes_in_place() {
    let node = Node::started();
    node.install(vec![domain("10.0.0.1"), flood("10.0.0.2")]);
    let index = |node: &Node| {
        let text = node.ns.ip("-o link show vxlan--evpn-a");
        text.split(':').next().map(str::to_owned)
    };
    let before = index(&node);
    node.install(vec![domain("10.0.0.5")]);
    assert!(
        node.ns
            .ip("-d link show vxlan--evpn-a")
            .contains("local 10.0.0.5")
    );
    assert_eq!(index(&node), before);
    // Another family, or another VNI, needs another device.
    node.install(vec![no(flood("10.0.0.2")), domain("fc00::1")]);
    assert_ne!(index(&node), before);
    node.install(vec![domain_of(ID, "evpn-a", 101, "fc00::1")]);
    assert!(node.ns.ip("-d link show vxlan--evpn-a").contains("id 101"));
}

#[test]
fn a_vtep_of_the_other_family_is_refused() {
    let node = Node::started();
    let reports = node.submit(vec![
        domain("10.0.0.1"),
        flood("fc00::2"),
        flood("10.0.0.2"),
    ]);
    let (message, _) = error_of(&reports, &DesiredKey::Flood(ID, addr("fc00::2")));
    assert!(
        message.contains("fc00::2") && message.contains("address families"),
        "{message}"
    );
    node.assert_fdb(&["00:00:00:00:00:00", "10.0.0.2"]);
}

#[test]
fn the_address_of_a_device_is_no_endpoint() {
    let node = Node::started();
    let _station = node.endpoint("tap-a", MAC_A, &[]);
    node.install(vec![domain("10.0.0.1"), port("tap-a")]);
    node.ns.ip("link set tap-a address 02:00:00:00:00:0f");
    node.settle("the kernel has it", |node| {
        node.has_fdb(&["02:00:00:00:00:0f", "permanent"])
    });
    let reports = node.submit(vec![local("02:00:00:00:00:0f", "tap-a")]);
    let key = DesiredKey::LocalMac(ID, mac("02:00:00:00:00:0f"));
    let (message, by_intent) = error_of(&reports, &key);
    assert!(
        by_intent && message.contains("02:00:00:00:00:0f"),
        "{message}"
    );
}

/// What the kernel refuses is told with its own words, and spoils nothing else.
#[test]
fn a_refusal_is_told_in_the_kernels_words() {
    let node = Node::started();
    // The kernel has no multicast address in a bridge's FDB without a group.
    let bad = remote_at(MacAddr([0xff; 6]), "0.0.0.0", 100, false);
    let key = bad.key.clone();
    let reports = node.submit(vec![domain("10.0.0.1"), bad, remote(MAC_B, "10.0.0.2")]);
    let (message, by_intent) = error_of(&reports, &key);
    assert!(message.starts_with("cannot ") && !by_intent, "{message}");
    node.assert_fdb(&[MAC_B, "dst 10.0.0.2"]);
}

#[test]
fn ten_thousand_remote_macs_are_installed_and_removed() {
    const COUNT: u32 = 10_000;
    let node = Node::started();
    node.install(vec![domain("10.0.0.1")]);
    let macs = (0..COUNT).map(|number| {
        let [_, a, b, c] = number.to_be_bytes();
        MacAddr([2, 0, 1, a, b, c])
    });
    let changes: Vec<_> = macs
        .map(|mac| remote_at(mac, "10.0.0.2", 100, false))
        .collect();
    let start = Instant::now();
    let reports = node.submit(changes.clone());
    let rate = f64::from(COUNT) / start.elapsed().as_secs_f64();
    println!("{COUNT} remote MAC addresses installed and verified: {rate:.0} per second");
    assert_eq!(reports.len(), changes.len());
    assert!(reports.iter().all(|report| report.result.is_ok()));
    node.assert_nothing_to_do();
    let start = Instant::now();
    let reports = node.submit(changes.into_iter().map(no).collect());
    let rate = f64::from(COUNT) / start.elapsed().as_secs_f64();
    println!("{COUNT} remote MAC addresses removed and verified: {rate:.0} per second");
    assert!(reports.iter().all(|report| report.result.is_ok()));
    assert!(!node.has_fdb(&["dst 10.0.0.2"]));
}
