//! The program as an operator runs it: an agent with the dummy dataplane, on loopback, and the
//! commands that talk to it. Needs no privileges.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod node;

use std::path::PathBuf;

use node::{Node, chanter};
use serde_json::Value;

const MAC: &str = "02:00:00:00:00:01";
const ATTACH: [&str; 10] = [
    "attach", "blue", "--port", "tap0", "--mac", MAC, "--ip", "10.0.0.5", "--rt", "64512:1",
];

#[test]
fn an_attachment_is_shown_explained_and_detached() {
    let node = Node::start("");
    let attached = node.json(&ATTACH);
    assert_eq!(attached[0]["status"]["state"], "installed", "{attached}");
    assert_eq!(
        node.json(&["show", "instances", "blue"])["attachments"][0]["ip"],
        "10.0.0.5"
    );
    let routes = node.json(&["show", "routes", "--instance", "blue", "--mac", MAC]);
    assert_eq!(
        routes[0]["paths"][0]["route_targets"][0], "64512:1",
        "{routes}"
    );
    let why = node.json(&["why", "10.0.0.5"]);
    assert_eq!(why["instances"][0]["instance"], "blue", "{why}");
    let detached = node.json(&["detach", "blue", "--mac", MAC]);
    assert_eq!(detached["detached"], 1);
    assert_eq!(node.json(&["show", "instances"]), Value::Array(Vec::new()));
    let again = node.run(&["detach", "blue", "--mac", MAC]);
    assert_eq!(again.status.code(), Some(1));
    let words = String::from_utf8(again.stderr).unwrap();
    assert_eq!(words, format!("chanter: {MAC} is not attached to blue\n"));
}

#[test]
fn attachments_outlive_a_kill_and_a_stop() {
    let mut node = Node::start("");
    node.json(&ATTACH);
    node.kill();
    node.restart();
    assert_eq!(
        node.json(&["show", "summary"])["attachments"],
        1,
        "after a kill"
    );
    assert_eq!(node.terminate(), 0);
    node.restart();
    assert_eq!(
        node.json(&["show", "summary"])["attachments"],
        1,
        "after a stop"
    );
    let drained = node.json(&["drain"]);
    assert_eq!(
        (&drained["drained"], &drained["attachments_left"]),
        (&1.into(), &0.into())
    );
    node.kill();
    node.restart();
    assert_eq!(
        node.json(&["show", "summary"])["attachments"],
        0,
        "after a drain"
    );
}

#[test]
fn a_stop_that_withdraws_forgets_nothing() {
    let mut node = Node::start("on_stop = \"withdraw\"");
    node.json(&ATTACH);
    assert_eq!(node.terminate(), 0);
    node.restart();
    assert_eq!(node.json(&["show", "instances"])[0]["id"], "blue");
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let node = Node::start("");
    let config = node.dir.path().join("chanter.toml");
    let output = chanter()
        .arg("agent")
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("another daemon does"), "{words}");
}

#[test]
fn wrong_configuration_and_command_lines_exit_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bgp.conf");
    std::fs::write(&file, "[BGP]\nlocal_address = 127.0.0.1\nmy_as = x\n").unwrap();
    for args in [
        ["agent", "--config"],
        ["rr", "--config"],
        ["check-config", "--role=agent"],
    ] {
        let output = chanter().args(args).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        let expected = format!(
            "{}:3: [BGP] my_as: `x` is not an AS number: expected 1 to 4294967295, or HIGH.LOW \
             (asdot)\n  3 | my_as = x\n    |         ^\n1 error, nothing was done\n",
            file.display()
        );
        assert_eq!(words, expected, "{args:?}");
    }
    assert_eq!(
        chanter().arg("nonsense").output().unwrap().status.code(),
        Some(2)
    );
}

#[test]
fn without_a_daemon_the_commands_say_so() {
    let output = chanter()
        .args(["show", "peers", "--socket", "/nowhere/sock"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        words,
        "chanter: no daemon at /nowhere/sock (is `chanter agent` running?)\n"
    );
}

#[test]
fn the_packaged_configuration_is_usable() {
    let packaging = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    for (role, file) in [("agent", "chanter.toml"), ("rr", "rr.toml")] {
        let path = packaging.join(file);
        let output = chanter()
            .args(["check-config", "--role", role])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{file}: {output:?}");
        assert!(output.stderr.is_empty(), "{file}: {output:?}");
    }
}

/// Options of the example that exclude others, or need what is not on every node.
const NOT_WITH_THE_REST: [&str; 7] = [
    "interface",
    "listen",
    "role",
    "password_file",
    "tcp_ao",
    "ebgp_multihop",
    "role_strict",
];

#[test]
fn every_option_of_the_packaged_configuration_is_accepted() {
    let packaging = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let text = std::fs::read_to_string(packaging.join("chanter.toml")).unwrap();
    let mut options = 0;
    let mut all = String::new();
    for line in text.lines() {
        let option = line.strip_prefix('#').filter(|option| {
            let key = option.split_once(" = ").map(|(key, _)| key);
            let plain = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let wanted = key.is_some_and(|key| plain(key) && !NOT_WITH_THE_REST.contains(&key));
            wanted || option.starts_with('[')
        });
        options += usize::from(option.is_some());
        all.push_str(option.unwrap_or(line));
        all.push('\n');
    }
    assert!(options > 80, "only {options} found");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.toml");
    std::fs::write(&file, all).unwrap();
    let output = chanter()
        .args(["check-config", "--role", "rr"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
