//! Requests recorded with bagpipe-bgp 21.0.0, replayed: what it answered, or what we answer instead
//! and why. (25.0.0 answered the same.)

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::harness::Node;

#[derive(Debug, Deserialize)]
struct Exchange {
    id: String,
    host: String,
    method: String,
    path: String,
    body: Option<Value>,
    raw: Option<String>,
    status: u16,
    text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    json: Option<Value>,
}

/// `null` as a value that is there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Request, our status, what our text holds, why we differ.
const DIFFERENCES: &[(&str, u16, &str, &str)] = &[
    (
        "errors/28",
        400,
        "the body must be a JSON object",
        "it answered 500",
    ),
    (
        "errors/48",
        400,
        "IP address 300.1.1.1/24 is not valid (ip_address:",
        "it answered 500",
    ),
    (
        "errors/50",
        400,
        "IP address 192.168.20.1/33 is not valid (ip_address:",
        "it answered 500",
    ),
    (
        "errors/54",
        400,
        "gateway_ip: `\"x\"` is not accepted",
        "it took any text",
    ),
    (
        "errors/55",
        400,
        "import_rt: `nope` is not accepted",
        "it answered 500",
    ),
    (
        "errors/56",
        400,
        "import_rt: `64512` is not accepted",
        "it answered 500",
    ),
    (
        "errors/67",
        400,
        "local_pref: `\"high\"` is not accepted",
        "it answered 500",
    ),
    (
        "errors/68",
        400,
        "local_pref: `-1` is not accepted",
        "it answered 500",
    ),
    (
        "errors/69",
        400,
        "lb_consistent_hash_order: `\"x\"` is not accepted",
        "it answered 500",
    ),
    ("errors/71", 400, "readvertise: ", "it answered 500"),
    ("errors/72", 400, "attract_traffic: ", "it answered 500"),
    (
        "errors/74",
        400,
        "vni: `\"abc\"` is not accepted",
        "its route tables died of it",
    ),
    (
        "errors/75",
        400,
        "vni: `16777216` is not accepted",
        "it kept a VNI that has no encoding",
    ),
    (
        "errors/78",
        400,
        "vpn_instance_id: `17` is not accepted",
        "ids are texts",
    ),
    (
        "errors/79",
        400,
        "vpn_instance_id: `\"\"` is not accepted",
        "ids are not empty",
    ),
    (
        "linux_evpn/3",
        200,
        "null",
        "its driver failed when it cleaned up",
    ),
    (
        "linux_evpn/4",
        200,
        "null",
        "its driver failed when it cleaned up",
    ),
    (
        "fakerr/6",
        400,
        "VPN ipvpn-a could not be found",
        "its attach was refused",
    ),
];

/// An attach of a type that has no dataplane yet.
const IPVPN: (u16, &str) = (400, "vpn_type: ipvpn is not supported by this node");

#[tokio::test]
async fn recorded_requests_get_the_recorded_answers_or_better_ones() {
    let exchanges: Vec<Exchange> = include_str!("data/bagpipe-rest.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut used = 0;
    let mut nodes: BTreeMap<(String, String), Node> = BTreeMap::new();
    let mut faults = Vec::new();
    for exchange in &exchanges {
        let scenario = exchange.id.split('/').next().unwrap().to_owned();
        let key = (scenario, exchange.host.clone());
        if !nodes.contains_key(&key) {
            nodes.insert(key.clone(), Node::start().await);
        }
        let body = match (&exchange.raw, &exchange.body) {
            (Some(raw), _) => raw.clone(),
            (None, body) => body.as_ref().map(Value::to_string).unwrap_or_default(),
        };
        let answer = nodes[&key]
            .bagpipe(&exchange.method, &exchange.path, &body)
            .await;
        let difference = DIFFERENCES.iter().find(|(id, ..)| *id == exchange.id);
        used += usize::from(difference.is_some());
        let ipvpn = exchange
            .body
            .as_ref()
            .is_some_and(|body| body["vpn_type"] == "ipvpn")
            && exchange.path == "/attach_localport"
            && exchange.status != 400;
        let (status, text, why) = match difference {
            Some((_, status, text, why)) => (*status, *text, *why),
            None if ipvpn => (IPVPN.0, IPVPN.1, "no dataplane for it yet"),
            None => (
                exchange.status,
                exchange.text.as_deref().unwrap_or_default(),
                "as recorded",
            ),
        };
        let same_json = difference.is_some()
            || ipvpn
            || exchange
                .json
                .as_ref()
                .is_none_or(|json| *json == answer.json());
        if answer.status != status || !answer.body.contains(text) || !same_json {
            faults.push(format!(
                "{}: {body}\n  expected ({why}) {status} {text}\n  got {} {}",
                exchange.id, answer.status, answer.body
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(
        used,
        DIFFERENCES.len(),
        "a difference is listed for a request that is not made"
    );
}
