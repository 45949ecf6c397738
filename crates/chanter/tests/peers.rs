//! Two agents with a session over loopback: policies, reload, and what operators do with peers.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod node;

use std::time::{Duration, Instant};

use node::{Node, PATIENCE, free_port};
use serde_json::Value;

const MAC: &str = "02:00:00:00:00:01";
const PEER: &str = "127.0.0.1";

/// Waits until what a command prints is as `wanted` says.
fn wait(node: &Node, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = node.json(args);
        if wanted(&shown) {
            return shown;
        }
        assert!(Instant::now() < deadline, "{args:?}: {shown:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Who listens and originates; `more` are options of its peer and tables after it.
fn origin(port: u16, more: &str) -> String {
    format!(
        "as = 65001\nlocal_address = \"127.0.0.1\"\nrouter_id = \"192.0.2.1\"\n\
         listen = [\"127.0.0.1:{port}\"]\n\
         [[bgp.peers]]\naddress = \"{PEER}\"\nremote_as = 65002\npassive = true\n\
         families = [\"l2vpn-evpn\"]\n{more}\n"
    )
}

/// Who connects and receives.
fn receiver(port: u16, more: &str) -> String {
    format!(
        "as = 65002\nlocal_address = \"127.0.0.1\"\nrouter_id = \"192.0.2.2\"\n\
         [[bgp.peers]]\naddress = \"{PEER}\"\nport = {port}\nremote_as = \"external\"\n\
         families = [\"l2vpn-evpn\"]\n{more}\n"
    )
}

const ALL: &str = "import = \"all\"\nexport = \"all\"\n\
     [[policies]]\nname = \"all\"\ndefault = \"accept\"\n";
const MARK: &str = "import = \"mark\"\nexport = \"mark\"\n\
     [[policies]]\nname = \"mark\"\n[[policies.rules]]\nname = \"macs\"\n\
     match = { evpn_type = \"mac-ip\", rt = \"64512:*\", neighbor_as = 65001 }\n\
     set = { local_pref = 300, add_community = \"64512:7\" }\nthen = \"accept\"\n";

fn reload(node: &Node, config: &str) -> Vec<String> {
    node.configure("", config);
    let done = node.json(&["reload"]);
    let changed = done["changed"].as_array().unwrap();
    changed
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn policies_come_and_go_without_a_reset() {
    let port = free_port();
    let origin_node = Node::start_with("", &origin(port, ""));
    let receiver_node = Node::start_with("", &receiver(port, ""));
    origin_node.json(&[
        "attach", "blue", "--port", "tap0", "--mac", MAC, "--rt", "64512:1",
    ]);
    let up = |peers: &Value| peers[0]["state"] == "Established";
    let peers = wait(&receiver_node, &["show", "peers"], up);
    assert_eq!(peers[0]["without_policy"][0], "in", "RFC 8212: {peers}");
    assert_eq!(peers[0]["without_policy"][1], "out");

    // With policies on both sides the routes come, changed as they say; the session stays.
    let changed = reload(&origin_node, &origin(port, ALL));
    assert!(
        changed.contains(&"policy all is new".to_owned()),
        "{changed:?}"
    );
    reload(&receiver_node, &receiver(port, MARK));
    let routes = ["show", "routes", "--peer", PEER];
    let shown = wait(&receiver_node, &routes, |routes| !routes[0].is_null());
    let path = &shown[0]["paths"][0];
    assert_eq!(path["local_pref"], 300, "{shown}");
    assert!(
        path["attributes"]
            .as_str()
            .unwrap()
            .contains("communities 64512:7")
    );
    let whole = receiver_node.json(&["show", "peers", PEER]);
    assert_eq!(
        (&whole["flaps"], &whole["established"]),
        (&0.into(), &1.into()),
        "{whole}"
    );
    assert_eq!(whole["policy"]["import"], "mark");
    let policy = receiver_node.json(&["show", "policy", "mark"]);
    assert!(policy["rules"][0]["hits"].as_u64().unwrap() > 0, "{policy}");
    assert_eq!(policy["used_by"][0], "127.0.0.1 import");

    // Without its policy the peer gets nothing, and what it had is withdrawn.
    reload(
        &origin_node,
        &origin(port, "import = \"all\"\n[[policies]]\nname = \"all\"\n"),
    );
    wait(&receiver_node, &routes, |routes| routes[0].is_null());
    let whole = receiver_node.json(&["show", "peers", PEER]);
    assert_eq!(whole["flaps"], 0, "{whole}");
}

#[test]
fn a_reload_with_a_fault_changes_nothing() {
    let port = free_port();
    let node = Node::start_with("", &origin(port, ALL));
    node.configure("", &origin(port, "import = \"none\"\nhold_time = 2\n"));
    let refused = node.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("there is no policy `none`"), "{words}");
    assert!(words.contains("`2` is not a hold time"), "{words}");
    let whole = node.json(&["show", "peers", PEER]);
    assert_eq!(whole["policy"]["import"], "all");

    // Our AS takes a restart; what else changed is applied, and peers are still those of our AS.
    let moved = origin(port, ALL).replace("as = 65001", "as = 65009");
    node.configure(
        "",
        &moved.replace("remote_as = 65002", "remote_as = \"internal\""),
    );
    let done = node.json(&["reload"]);
    assert_eq!(
        done["kept"][0],
        "bgp.as changed: takes a restart, left as it was"
    );
    let whole = node.json(&["show", "peers", PEER]);
    assert_eq!(
        (&whole["local_as"], &whole["remote_as_wanted"]),
        (&65001.into(), &"internal".into())
    );
    assert_eq!(
        reload(
            &node,
            &origin(port, "shutdown = true\n").replace("65002", "65003")
        )
        .len(),
        2
    );
}

#[test]
fn peers_are_shut_down_enabled_and_cleared() {
    let port = free_port();
    let origin_node = Node::start_with("", &origin(port, ALL));
    let receiver_node = Node::start_with("", &receiver(port, ALL));
    let state = |wanted: &'static str| move |peers: &Value| peers[0]["state"] == wanted;
    wait(&origin_node, &["show", "peers"], state("Established"));
    let done = origin_node.run(&["peer", PEER, "shutdown", "--text", "back at ten"]);
    assert!(done.status.success(), "{done:?}");
    let peers = wait(&origin_node, &["show", "peers"], state("Idle"));
    assert!(peers[0]["held"].is_string(), "{peers}");
    assert!(origin_node.run(&["peer", PEER, "enable"]).status.success());
    wait(&origin_node, &["show", "peers"], state("Established"));
    wait(&receiver_node, &["show", "peers"], state("Established"));
    for soft in ["in", "out"] {
        let done = receiver_node.run(&["peer", PEER, "clear", "--soft", soft]);
        assert!(done.status.success(), "{soft}: {done:?}");
    }
    let flaps = receiver_node.json(&["show", "peers"])[0]["flaps"].clone();
    assert_eq!(flaps, 1, "the shutdown only");
    assert!(receiver_node.run(&["peer", PEER, "clear"]).status.success());
    wait(&receiver_node, &["show", "peers"], |peers| {
        peers[0]["flaps"] == 2 && peers[0]["state"] == "Established"
    });
    let absent = receiver_node.run(&["peer", "192.0.2.77", "clear"]);
    assert_eq!(absent.status.code(), Some(1));
}
