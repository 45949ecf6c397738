//! The native API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Node, evpn};

const INSTANCE: &str = "/v1/instances/net%2F1";
const ENDPOINT: &str = "/v1/instances/net%2F1/attachments/02:00:00:00:00:01/10.0.0.1";

fn instance() -> Value {
    json!({"import": ["64512:1"], "export": ["64512:1"], "vni": 100})
}

#[tokio::test]
async fn instances_and_attachments_are_declared_shown_and_removed() {
    let node = Node::start().await;
    let put = node.native("PUT", INSTANCE, &instance()).await;
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(put.json()["id"], "net/1");
    assert_eq!(put.json()["vni"], 100);
    let spec = json!({"port": "tap1", "vlan": 7, "sticky": true, "local_pref": 150});
    let put = node.native("PUT", ENDPOINT, &spec).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let shown = node.native("GET", ENDPOINT, &Value::Null).await.json();
    assert_eq!(shown, put.json());
    assert_eq!(
        (
            &shown["port"],
            &shown["vlan"],
            &shown["sticky"],
            &shown["local_pref"]
        ),
        (&json!("tap1"), &json!(7), &json!(true), &json!(150))
    );
    assert_eq!(shown["status"]["state"], "installed");
    assert_eq!(shown["source"], "rest");
    let listed = node
        .native("GET", "/v1/attachments?instance=net%2F1", &Value::Null)
        .await
        .json();
    assert_eq!(listed, json!([shown]));
    // The port may be changed: a PUT says how it is to be.
    let moved = node.native("PUT", ENDPOINT, &json!({"port": "tap2"})).await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    assert_eq!(moved.json()["port"], "tap2");
    assert_eq!(
        node.native("DELETE", ENDPOINT, &Value::Null).await.status,
        204
    );
    assert_eq!(
        node.native("DELETE", ENDPOINT, &Value::Null).await.status,
        404
    );
    // Declared for itself, the instance stays.
    let shown = node.native("GET", INSTANCE, &Value::Null).await;
    assert_eq!(shown.json()["attachments"], 0);
    assert_eq!(
        node.native("DELETE", INSTANCE, &Value::Null).await.status,
        204
    );
    assert_eq!(node.native("GET", INSTANCE, &Value::Null).await.status, 404);
    assert!(
        node.snapshot()
            .await
            .1
            .iter()
            .all(|view| view.source != chanter_intent::SourceId::Rest)
    );
}

#[tokio::test]
async fn an_instance_declared_along_goes_with_its_last_attachment() {
    let node = Node::start().await;
    let missing = node.native("PUT", ENDPOINT, &json!({"port": "tap1"})).await;
    assert_eq!(missing.status, 404, "{}", missing.body);
    let put = node
        .native(
            "PUT",
            ENDPOINT,
            &json!({"port": "tap1", "instance": instance()}),
        )
        .await;
    assert_eq!(put.status, 200, "{}", put.body);
    let bare = "/v1/instances/net%2F1/attachments/02:00:00:00:00:02";
    assert_eq!(
        node.native("PUT", bare, &json!({"port": "tap2"}))
            .await
            .status,
        200
    );
    assert_eq!(
        node.native("GET", bare, &Value::Null).await.json()["mac"],
        "02:00:00:00:00:02"
    );
    assert_eq!(
        node.native("DELETE", ENDPOINT, &Value::Null).await.status,
        204
    );
    assert_eq!(node.native("GET", INSTANCE, &Value::Null).await.status, 200);
    assert_eq!(node.native("DELETE", bare, &Value::Null).await.status, 204);
    assert_eq!(node.native("GET", INSTANCE, &Value::Null).await.status, 404);
}

#[expect(clippy::too_many_lines, reason = "a flat table")]
#[tokio::test]
async fn refusals_are_problem_details_that_name_the_field() {
    let node = Node::start().await;
    assert_eq!(node.native("PUT", INSTANCE, &instance()).await.status, 200);
    assert_eq!(
        node.native("PUT", ENDPOINT, &json!({"port": "tap1"}))
            .await
            .status,
        200
    );
    node.break_port("tap9", true);
    let other = "/v1/instances/other";
    let before = node.snapshot().await;
    let spec = |name: &str, value: Value| {
        let mut spec = json!({"import": [], "export": []});
        spec[name] = value;
        spec
    };
    for (method, path, body, status, field) in [
        ("PUT", other, spec("vni", json!("8")), 400, Some("vni")),
        ("PUT", other, spec("vni", json!(0)), 400, Some("vni")),
        ("PUT", other, spec("vni", json!(100)), 409, Some("vni")),
        (
            "PUT",
            other,
            spec("import", json!(["64512"])),
            400,
            Some("import"),
        ),
        (
            "PUT",
            other,
            spec("export", json!([7])),
            400,
            Some("export[0]"),
        ),
        ("PUT", other, spec("rd", json!("x")), 400, Some("rd")),
        (
            "PUT",
            other,
            spec("bridge", json!("a/b")),
            400,
            Some("bridge"),
        ),
        (
            "PUT",
            other,
            spec("gateway_ip", json!("x")),
            400,
            Some("gateway_ip"),
        ),
        (
            "PUT",
            other,
            spec("unheard_of", json!(1)),
            400,
            Some("unheard_of"),
        ),
        ("PUT", other, json!({"import": []}), 400, None),
        ("PUT", other, json!([]), 400, None),
        ("PUT", ENDPOINT, json!({"port": ""}), 400, Some("port")),
        ("PUT", ENDPOINT, json!({"port": 1}), 400, Some("port")),
        (
            "PUT",
            ENDPOINT,
            json!({"port": "tap1", "vlan": 4095}),
            400,
            Some("vlan"),
        ),
        ("PUT", ENDPOINT, json!({"port": "tap9"}), 400, Some("port")),
        (
            "PUT",
            ENDPOINT,
            json!({"port": "tap1", "instance": spec("vni", json!(0))}),
            400,
            Some("instance.vni"),
        ),
        (
            "PUT",
            "/v1/instances/net%2F1/attachments/zz",
            json!({"port": "tap1"}),
            400,
            Some("mac"),
        ),
        (
            "PUT",
            "/v1/instances/net%2F1/attachments/02:00:00:00:00:01/x",
            json!({"port": "tap1"}),
            400,
            Some("ip"),
        ),
        (
            "PUT",
            "/v1/instances/net%2F1/attachments/02:00:00:00:00:05/10.0.0.1",
            json!({"port": "tap5"}),
            409,
            Some("ip"),
        ),
        (
            "PUT",
            "/v1/instances/net%2F1/attachments/02:00:00:00:00:01/10.0.0.9",
            json!({"port": "tap5"}),
            409,
            Some("port"),
        ),
        (
            "GET",
            "/v1/routes?family=ipv5",
            Value::Null,
            400,
            Some("family"),
        ),
        ("GET", "/v1/routes?limit=0", Value::Null, 400, Some("limit")),
        ("GET", "/v1/routes?after=x", Value::Null, 400, Some("after")),
        (
            "GET",
            "/v1/routes?peer=192.0.2.77",
            Value::Null,
            400,
            Some("peer"),
        ),
        ("GET", "/v1/routes?colour=red", Value::Null, 400, None),
        (
            "GET",
            "/v1/why?address=x",
            Value::Null,
            400,
            Some("address"),
        ),
        ("GET", "/v1/why", Value::Null, 400, None),
        ("GET", "/v1/nothing", Value::Null, 404, None),
        ("POST", "/v1/summary", Value::Null, 405, None),
    ] {
        let answer = node.native(method, path, &body).await;
        let what = format!("{method} {path} {body}: {} {}", answer.status, answer.body);
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.content_type, "application/problem+json", "{what}");
        let problem = answer.json();
        assert_eq!(problem["field"].as_str(), field, "{what}");
        assert_eq!(problem["status"], status, "{what}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}"
        );
        assert_eq!(node.snapshot().await, before, "{what} changed something");
    }
}

#[tokio::test]
async fn routes_come_in_pages() {
    let node = Node::start().await;
    for octet in 1..=20 {
        assert_eq!(node.attach(&evpn("net", octet)).await.status, 200);
    }
    let whole = node
        .native("GET", "/v1/routes?family=l2vpn-evpn", &Value::Null)
        .await
        .json();
    assert_eq!(
        whole["routes"].as_array().unwrap().len(),
        21,
        "20 endpoints and the flood route"
    );
    let mut paged = Vec::new();
    let mut path = "/v1/routes?family=l2vpn-evpn&limit=4".to_owned();
    loop {
        let page = node.native("GET", &path, &Value::Null).await.json();
        let routes = page["routes"].as_array().unwrap();
        assert!(routes.len() <= 4);
        paged.extend(routes.clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/v1/routes?family=l2vpn-evpn&limit=4&after={next}");
    }
    assert_eq!(json!(paged), whole["routes"]);
    let one = node
        .native(
            "GET",
            "/v1/routes?mac=02:00:00:00:0a:07&local=true",
            &Value::Null,
        )
        .await;
    let one = one.json();
    assert_eq!(one["routes"].as_array().unwrap().len(), 1);
    let path = &one["routes"][0]["paths"][0];
    assert_eq!(
        (&path["best"], &path["next_hop"]),
        (&json!(true), &json!("10.98.0.61"))
    );
    assert_eq!(path["source"], json!({"from": "instance", "id": "net"}));
}

#[tokio::test]
async fn the_node_is_shown_as_a_whole() {
    let node = Node::start().await;
    node.peer_up().await;
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    let get = async |path: &str| {
        let answer = node.native("GET", path, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    };
    let summary = get("/v1/summary").await.json();
    assert_eq!(
        (&summary["instances"], &summary["attachments"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        summary["sources"],
        json!([{"source": "rest", "synced": true}])
    );
    let peers = get("/v1/peers").await.json();
    assert_eq!(peers[0]["addr"], "10.98.0.2");
    assert_eq!(peers[0]["role"], "ibgp");
    assert_eq!(peers[0]["received"]["update"], 7);
    let objects = get("/v1/dataplane?instance=net").await.json();
    assert!(objects.as_array().unwrap().len() >= 3, "{objects}");
    for object in objects.as_array().unwrap() {
        assert_eq!(object["state"], "installed", "{object}");
    }
    let why = get("/v1/why?address=192.168.10.1").await.json();
    assert_eq!(why["instances"][0]["instance"], "net");
    assert!(!why["instances"][0]["steps"].as_array().unwrap().is_empty());
    let health = get("/v1/health").await.json();
    assert_eq!(health["ready"], true, "{health}");
}

#[tokio::test]
async fn metrics_are_counted_at_each_scrape() {
    let node = Node::start().await;
    node.peer_up().await;
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    let answer = node.native("GET", "/metrics", &Value::Null).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .content_type
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "chanter_instances 1",
        "chanter_peers_established 1",
        "chanter_routes_local 2",
        "chanter_source_synced{source=\"rest\"} 1",
        "chanter_instance_attachments{instance=\"net\"} 1",
        "chanter_peer_up{peer=\"10.98.0.2\"} 1",
        "chanter_peer_flaps_total{peer=\"10.98.0.2\"} 2",
        "chanter_peer_messages_total{peer=\"10.98.0.2\",direction=\"received\",type=\"update\"} 7",
        "chanter_objects{source=\"rest\",status=\"installed\"} 2",
        "chanter_dataplane_objects_failed 0",
        "chanter_rib_paths{family=\"l2vpn-evpn\"} 2",
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{line} is not in\n{}",
            answer.body
        );
    }
    assert_eq!(node.attach(&evpn("net", 2)).await.status, 200);
    let answer = node.native("GET", "/metrics", &Value::Null).await;
    assert!(
        answer
            .body
            .contains("chanter_instance_attachments{instance=\"net\"} 2")
    );
}

/// All operations, which the document has to list and the router to take.
const OPERATIONS: &[(&str, &str)] = &[
    ("get", "/v1/attachments"),
    ("get", "/v1/dataplane"),
    ("get", "/v1/events"),
    ("get", "/v1/health"),
    ("get", "/v1/instances"),
    ("get", "/v1/instances/{instance}"),
    ("put", "/v1/instances/{instance}"),
    ("delete", "/v1/instances/{instance}"),
    ("get", "/v1/instances/{instance}/attachments/{mac}"),
    ("put", "/v1/instances/{instance}/attachments/{mac}"),
    ("delete", "/v1/instances/{instance}/attachments/{mac}"),
    ("get", "/v1/instances/{instance}/attachments/{mac}/{ip}"),
    ("put", "/v1/instances/{instance}/attachments/{mac}/{ip}"),
    ("delete", "/v1/instances/{instance}/attachments/{mac}/{ip}"),
    ("get", "/v1/peers"),
    ("get", "/v1/peers/{peer}"),
    ("post", "/v1/peers/{peer}/shutdown"),
    ("post", "/v1/peers/{peer}/enable"),
    ("post", "/v1/peers/{peer}/clear"),
    ("post", "/v1/reload"),
    ("get", "/v1/bfd"),
    ("get", "/v1/policies"),
    ("get", "/v1/policies/{policy}"),
    ("post", "/v1/policies/{policy}/test"),
    ("get", "/v1/routes"),
    ("get", "/v1/summary"),
    ("get", "/v1/why"),
];

/// Every type that the API carries is described.
const SCHEMAS: &[&str] = &[
    "Attachment",
    "AttachmentSpec",
    "DesiredObject",
    "EventRecord",
    "Health",
    "Instance",
    "InstanceSpec",
    "Peer",
    "PeerInFull",
    "Policy",
    "PolicyOutcome",
    "PolicyTrial",
    "PeerClear",
    "PeerMessage",
    "ReloadReport",
    "BfdSession",
    "Problem",
    "RoutePage",
    "Summary",
    "WhyReport",
];

#[tokio::test]
async fn the_openapi_document_lists_every_operation_and_resolves() {
    let node = Node::start().await;
    let document = node
        .native("GET", "/v1/openapi.json", &Value::Null)
        .await
        .json();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    let listed: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = ["get", "put", "post", "delete", "patch"].into_iter();
            methods
                .filter(|method| item.get(method).is_some())
                .map(move |method| (method.to_owned(), path.clone()))
        })
        .collect();
    let expected: BTreeSet<(String, String)> = OPERATIONS
        .iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(listed, expected);
    let mut names = BTreeSet::new();
    references(&document, &mut names);
    for name in &names {
        let schema = &document["components"]["schemas"][name];
        assert!(
            schema.is_object(),
            "schema {name} is referred to and not there"
        );
    }
    for name in SCHEMAS {
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} has no schema"
        );
    }
    for (method, path) in OPERATIONS.iter().filter(|(_, path)| *path != "/v1/events") {
        let path = path
            .replace("{instance}", "x")
            .replace("{mac}", "02:00:00:00:00:01");
        let path = path.replace("{ip}", "10.0.0.1");
        let answer = node
            .native(&method.to_uppercase(), &path, &Value::Null)
            .await;
        assert_ne!(answer.status, 405, "{method} {path}");
        let routed = !answer.body.contains("there is nothing at this address");
        assert!(routed, "{method} {path}: {}", answer.body);
    }
}

fn references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                let name = name
                    .strip_prefix("#/components/schemas/")
                    .expect("a schema");
                names.insert(name.to_owned());
            }
            members
                .values()
                .for_each(|member| references(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}
