//! What operators change in the running daemon, and policies.

use chanter_api::control::PeerAction;
use chanter_bgp::Family;
use chanter_engine::PeerId;
use serde_json::{Value, json};

use crate::harness::Node;

#[tokio::test]
async fn a_reload_tells_what_changed_and_what_is_wrong() {
    let node = Node::start().await;
    let done = node.native("POST", "/v1/reload", &Value::Null).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.json()["changed"], json!(["peer 192.0.2.1 is gone"]));
    assert_eq!(done.json()["kept"].as_array().unwrap().len(), 1);
    *node.control.fault.lock().unwrap() = Some("chanter.toml:3: bgp.as: ...".to_owned());
    let refused = node.native("POST", "/v1/reload", &Value::Null).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["detail"], "chanter.toml:3: bgp.as: ...");
}

#[tokio::test]
async fn peers_are_shown_shut_down_and_cleared() {
    let node = Node::start().await;
    let shown = node
        .native("GET", "/v1/peers/10.98.0.2", &Value::Null)
        .await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let shown = shown.json();
    assert_eq!(shown["name"], "10.98.0.2");
    assert_eq!(shown["hostname"], "rr1");
    assert_eq!(shown["capabilities_received"], json!(["route-refresh"]));
    assert_eq!(shown["policy"]["import"], "customer-in");
    for (path, body, status) in [
        ("shutdown", json!({"text": "moving"}), 204),
        ("shutdown", json!({"text": "x".repeat(129)}), 400),
        ("shutdown", json!({"txt": "x"}), 400),
        ("enable", Value::Null, 204),
        ("clear", Value::Null, 204),
        ("clear", json!({"soft": "in"}), 409),
        (
            "clear",
            json!({"soft": "out", "families": ["l2vpn-evpn"]}),
            204,
        ),
        ("clear", json!({"families": ["l2vpn-evpn"]}), 400),
        ("clear", json!({"soft": "out", "families": ["evpn"]}), 400),
        (
            "clear",
            json!({"soft": "out", "families": ["ipv4-vpn"]}),
            400,
        ),
        ("clear", json!({"soft": "sideways"}), 400),
    ] {
        let path = format!("/v1/peers/10.98.0.2/{path}");
        let done = node.native("POST", &path, &body).await;
        assert_eq!(done.status, status, "{path} {body}: {}", done.body);
    }
    let text = String::new;
    let done = [
        PeerAction::Shutdown {
            text: "moving".to_owned(),
        },
        PeerAction::Enable,
        PeerAction::Reset { text: text() },
        PeerAction::RefreshIn {
            families: Vec::new(),
        },
        PeerAction::RefreshOut {
            families: vec![Family::L2VPN_EVPN],
        },
    ];
    let done = done.map(|action| (PeerId(1), action));
    assert_eq!(*node.control.actions.lock().unwrap(), done);
    for (method, path) in [("GET", ""), ("POST", "/enable")] {
        let path = format!("/v1/peers/10.98.0.9{path}");
        let absent = node.native(method, &path, &Value::Null).await;
        assert_eq!(absent.status, 404);
        assert_eq!(absent.json()["detail"], "there is no peer `10.98.0.9`");
    }
}

#[tokio::test]
async fn policies_are_shown_and_tried() {
    let node = Node::start().await;
    let policies = node
        .native("GET", "/v1/policies", &Value::Null)
        .await
        .json();
    assert_eq!(
        policies,
        json!([{
            "name": "customer-in",
            "rules": [
                {"name": "no transit", "matches": ["as-path contains 174"], "except": [], "set": [],
                 "then": "reject", "hits": 0},
                {"name": "rest", "matches": [], "except": [], "set": ["local-pref 50"],
                 "then": "accept", "hits": 0},
            ],
            "default": "reject",
            "default_hits": 0,
            "used_by": ["10.98.0.2 import"],
        }])
    );
    let one = node
        .native("GET", "/v1/policies/customer-in", &Value::Null)
        .await;
    assert_eq!(one.json(), policies[0]);
    let test = "/v1/policies/customer-in/test";
    let trial = json!({"route": "10.0.0.0/24", "attributes": "as-path 64999"});
    let outcome = node.native("POST", test, &trial).await;
    assert_eq!(outcome.status, 200, "{}", outcome.body);
    assert_eq!(
        outcome.json(),
        json!({
            "accepted": true,
            "rule": "rest",
            "before": "origin igp, as-path 64999",
            "after": "origin igp, as-path 64999, local-pref 50",
            "steps": [{"rule": "rest", "then": "accept",
                "attributes": "origin igp, as-path 64999, local-pref 50"}],
        })
    );
    let trial = json!({"route": "10.0.0.0/24", "attributes": "as-path 64999 174"});
    let outcome = node.native("POST", test, &trial).await.json();
    assert_eq!(
        (&outcome["accepted"], &outcome["rule"]),
        (&json!(false), &json!("no transit"))
    );
    assert_eq!(outcome.get("after"), None);
    for (trial, field) in [
        (json!({"route": "10.0.0.0"}), None),
        (json!({"route": "10.0.0.0/33"}), Some("route")),
        (
            json!({"route": "10.0.0.0/8", "attributes": "colour red"}),
            Some("attributes"),
        ),
    ] {
        let answer = node.native("POST", test, &trial).await;
        assert_eq!(
            answer.status,
            if field.is_some() { 400 } else { 200 },
            "{trial}"
        );
        assert_eq!(answer.json().get("field").and_then(Value::as_str), field);
    }
    let absent = node.native("GET", "/v1/policies/none", &Value::Null).await;
    assert_eq!(absent.status, 404);
}
