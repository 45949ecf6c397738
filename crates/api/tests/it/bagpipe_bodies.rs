//! Bodies of real clients, and of mistaken ones.

use serde_json::{Value, json};

use crate::harness::{Node, evpn, with, without};

/// What the Neutron agent, its older linuxbridge and ML2 kin, rest-attach and a Kubernetes CNI
/// plugin send for EVPN.
fn bodies_of_clients() -> Vec<(&'static str, Value)> {
    vec![
        (
            "Neutron OVS agent",
            json!({
            "vpn_type": "evpn", "vpn_instance_id": "evpn_9f1f", "mac_address": "fa:16:3e:00:00:01",
            "ip_address": "10.0.0.5", "gateway_ip": "10.0.0.1",
            "local_port": {"linuxif": "patch2tun:4", "vlan": 4}, "vni": 1001,
            "import_rt": ["64512:77"], "export_rt": ["64512:77"],
            "description": {"port": "port-uuid"},
            "instance_description": "BGPVPN evpn associations for net 9f1f (10.0.0.1)"}),
        ),
        (
            "linuxbridge agent",
            json!({
            "vpn_type": "evpn", "vpn_instance_id": "evpn_aaaa", "mac_address": "fa:16:3e:00:00:02",
            "ip_address": "10.0.0.6", "gateway_ip": "10.0.0.1",
            "local_port": {"linuxif": "tap12345678-90"}, "linuxbr": "brq12345678-90",
            "import_rt": ["64512:78"], "export_rt": ["64512:78"],
            "description": {"port": "port-uuid"}}),
        ),
        (
            "bagpipe ML2 extension",
            json!({
            "vpn_type": "evpn", "vpn_instance_id": "evpn_bbbb", "mac_address": "fa:16:3e:00:00:03",
            "local_port": {"linuxif": "tap22345678-90"}, "linuxbr": "brq22345678-90", "vni": 1002,
            "gateway_ip": null, "import_rt": ["64512:1002"], "export_rt": ["64512:1002"]}),
        ),
        (
            "bagpipe-rest-attach",
            json!({
            "import_rt": ["64512:513"], "export_rt": ["64512:513"],
            "local_port": {"linuxif": "ns-test"}, "vpn_instance_id": "evpn-bagpipe-test",
            "vpn_type": "evpn", "gateway_ip": "12.11.11.254", "mac_address": "52:54:00:99:99:22",
            "ip_address": "12.11.11.1/24", "advertise_subnet": false, "readvertise": null,
            "attract_traffic": {}, "lb_consistent_hash_order": 0, "vni": 0, "direction": "both"}),
        ),
        (
            "Kubernetes CNI plugin",
            json!({
            "vpn_type": "evpn", "vpn_instance_id": "veth1234", "mac_address": "0a:58:0a:00:00:07",
            "ip_address": "10.1.0.7/16", "gateway_ip": "10.1.0.1",
            "local_port": {"linuxif": "veth1234"}, "import_rt": ["64512:90"],
            "export_rt": ["64512:90"], "advertise_subnet": false, "readvertise": ""}),
        ),
    ]
}

#[tokio::test]
async fn bodies_of_real_clients_are_taken_for_attach_again_and_detach() {
    let node = Node::start().await;
    for (client, body) in bodies_of_clients() {
        // A client that sees another /ping value attaches everything again.
        for _ in 0..2 {
            let answer = node.attach(&body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_str()),
                (200, "null"),
                "{client}"
            );
        }
    }
    assert_eq!(node.glass("/summary/vpn_instances_count").await, 5);
    for (client, body) in bodies_of_clients() {
        let answer = node.detach(&body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (200, "null"),
            "{client}"
        );
    }
    assert_eq!(node.glass("/summary/vpn_instances_count").await, 0);
}

#[tokio::test]
async fn a_detach_may_be_as_short_as_the_neutron_agents() {
    let node = Node::start().await;
    for (client, body) in bodies_of_clients() {
        assert_eq!(node.attach(&body).await.status, 200, "{client}");
        let mut short = json!({
            "vpn_type": "evpn", "vpn_instance_id": body["vpn_instance_id"],
            "mac_address": body["mac_address"],
            "local_port": {"linuxif": body["local_port"]["linuxif"]},
        });
        if let Some(ip) = body.get("ip_address") {
            short["ip_address"] = ip.clone();
        }
        let answer = node.detach(&short).await;
        assert_eq!(answer.status, 200, "{client}: {}", answer.body);
    }
    assert!(node.snapshot().await.0.is_empty());
}

#[expect(clippy::too_many_lines, reason = "a flat table")]
#[tokio::test]
async fn forms_that_clients_use_are_taken() {
    let node = Node::start().await;
    let good = || evpn("forms", 1);
    for (what, body) in [
        ("unknown keys", with(good(), "unknown_parameter", json!(1))),
        (
            "route targets as one text",
            with(good(), "import_rt", json!("64512:1, 64512:2,64512:3")),
        ),
        (
            "no route targets",
            with(with(good(), "import_rt", json!([])), "export_rt", json!("")),
        ),
        (
            "route targets of other types",
            with(good(), "export_rt", json!(["4200000000:1", "10.0.0.1:5"])),
        ),
        ("a port as text", with(good(), "local_port", json!("tap1"))),
        (
            "a bare address",
            with(good(), "ip_address", json!("192.168.10.1")),
        ),
        (
            "an address with mask",
            with(good(), "ip_address", json!("192.168.10.1/255.255.255.0")),
        ),
        (
            "a MAC address as vendors write it",
            with(good(), "mac_address", json!("0200.0000.0A01")),
        ),
        (
            "a MAC address with dashes",
            with(good(), "mac_address", json!("02-00-00-00-0A-01")),
        ),
        (
            "an empty object for nothing",
            with(good(), "readvertise", json!({})),
        ),
        (
            "null for nothing",
            with(good(), "attract_traffic", Value::Null),
        ),
        (
            "null for the default",
            with(good(), "local_pref", Value::Null),
        ),
        ("0 for the default", with(good(), "local_pref", json!(0))),
        (
            "a fallback, which is ignored",
            with(good(), "fallback", json!({"src_mac": "00:00:5e:2a:10:00"})),
        ),
        (
            "an inactive attract_traffic",
            with(
                good(),
                "attract_traffic",
                json!({"redirect_rts": ["64512:1"]}),
            ),
        ),
    ] {
        let answer = node.attach(&body).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    }
    let v6 = with(
        with(good(), "mac_address", json!("02:00:00:00:0a:02")),
        "ip_address",
        json!("2001:db8::2/64"),
    );
    assert_eq!(
        node.attach(&with(v6, "local_port", json!("tap2")))
            .await
            .status,
        200
    );
    // All forms of the first endpoint were the same endpoint.
    let attachments = &node.snapshot().await.0[0].attachments;
    assert_eq!(attachments.len(), 2, "{attachments:?}");
}

/// Every mistake of a client: the body, and what the answer's text has to hold.
#[expect(clippy::too_many_lines, reason = "a flat table")]
fn mistakes() -> Vec<(Value, &'static str)> {
    let good = || evpn("net", 9);
    let set = |name: &str, value: Value| with(good(), name, value);
    vec![
        (json!([]), "No local port details received"),
        (json!("text"), "No local port details received"),
        (json!(7), "No local port details received"),
        (
            without(good(), "vpn_type"),
            "missing instance_type (parameter vpn_type",
        ),
        (set("vpn_type", json!("l2vpn")), "unknown vpn_type: l2vpn"),
        (set("vpn_type", json!(1)), "unknown vpn_type: 1"),
        (
            set("vpn_type", json!("ipvpn")),
            "vpn_type: ipvpn is not supported by this node",
        ),
        (
            without(good(), "vpn_instance_id"),
            "Missing parameter: 'vpn_instance_id'",
        ),
        (set("vpn_instance_id", json!("")), "vpn_instance_id"),
        (set("vpn_instance_id", json!(17)), "vpn_instance_id"),
        (set("vpn_instance_id", Value::Null), "vpn_instance_id"),
        (
            without(good(), "mac_address"),
            "Missing parameter: 'mac_address'",
        ),
        (
            set("mac_address", json!("zz")),
            "MAC address zz is not valid (mac_address",
        ),
        (set("mac_address", json!(5)), "mac_address"),
        (
            set("mac_address", json!("01:00:5e:00:00:01")),
            "mac_address",
        ),
        (
            set("mac_address", json!("00:00:00:00:00:00")),
            "mac_address",
        ),
        (
            without(good(), "local_port"),
            "Missing parameter: 'local_port'",
        ),
        (
            set("local_port", json!({})),
            "Mandatory key is missing in local_port",
        ),
        (set("local_port", json!(3)), "local_port: `3`"),
        (set("local_port", json!("")), "local_port"),
        (
            set("local_port", json!({"linuxif": 3})),
            "local_port.linuxif: `3`",
        ),
        (
            set("local_port", json!({"linuxif": "tap9", "vlan": 4095})),
            "local_port.vlan: `4095`",
        ),
        (
            set("local_port", json!({"linuxif": "tap9", "vlan": "4"})),
            "local_port.vlan",
        ),
        (
            set("local_port", json!({"linuxif": "tap9", "ovs": 1})),
            "local_port.ovs",
        ),
        (set("local_port", json!({"evpn": {}})), "local_port.evpn"),
        (
            set("local_port", json!({"evpn": {"id": "x"}})),
            "local_port: an `evpn` port",
        ),
        (
            without(good(), "import_rt"),
            "Missing parameter: 'import_rt'",
        ),
        (set("import_rt", Value::Null), "import_rt: `null`"),
        (set("import_rt", json!("nope")), "import_rt: `nope`"),
        (set("import_rt", json!([64512])), "import_rt: `[64512]`"),
        (
            without(good(), "export_rt"),
            "Missing parameter: 'export_rt'",
        ),
        (
            set("export_rt", json!(["64512:1", "64512"])),
            "export_rt: `64512`",
        ),
        (set("export_rt", json!({"rt": "64512:1"})), "export_rt"),
        (
            set("ip_address", Value::Null),
            "IP address null is not valid (ip_address",
        ),
        (set("ip_address", json!("")), "ip_address"),
        (
            set("ip_address", json!("300.1.1.1/24")),
            "IP address 300.1.1.1/24 is not valid",
        ),
        (set("ip_address", json!("192.168.10.9/33")), "ip_address"),
        (
            set("ip_address", json!("192.168.10.9/255.0.255.0")),
            "ip_address",
        ),
        (set("ip_address", json!("192.168.10.9/")), "ip_address"),
        (set("ip_address", json!("192.168.10.9/+8")), "ip_address"),
        (set("ip_address", json!("2001:db8::9/129")), "ip_address"),
        (set("ip_address", json!("2001:db8::9/ffff::")), "ip_address"),
        (set("ip_address", json!("0.0.0.0")), "ip_address"),
        (set("ip_address", json!("224.0.0.1")), "ip_address"),
        (set("gateway_ip", json!("x")), "gateway_ip: `\"x\"`"),
        (
            set("advertise_subnet", json!("yes")),
            "'advertise_subnet' must be a boolean",
        ),
        (set("advertise_subnet", json!(true)), "advertise_subnet"),
        (
            set("direction", json!("sideways")),
            "direction should be one of",
        ),
        (
            set("direction", json!("from-port")),
            "Unsupported direction: from-port (direction",
        ),
        (set("direction", json!(1)), "direction should be one of"),
        (set("vni", json!("8")), "vni: `\"8\"`"),
        (set("vni", json!(16_777_216)), "vni: `16777216`"),
        (set("vni", json!(-1)), "vni: `-1`"),
        (set("vni", json!(1.5)), "vni: `1.5`"),
        (set("vni", json!(true)), "vni: `true`"),
        (
            set("vni", json!(5000)),
            "A VPN instance using vni 5000 already exists.",
        ),
        (set("local_pref", json!("high")), "local_pref: `\"high\"`"),
        (set("local_pref", json!(-1)), "local_pref: `-1`"),
        (set("local_pref", json!(4_294_967_296_u64)), "local_pref"),
        (
            set("lb_consistent_hash_order", json!("x")),
            "lb_consistent_hash_order",
        ),
        (set("linuxbr", json!("a name that is too long")), "linuxbr"),
        (set("linuxbr", json!(1)), "linuxbr: `1`"),
        (set("readvertise", json!("x")), "readvertise: `\"x\"`"),
        (
            set("readvertise", json!({"from_rt": ["64512:1"]})),
            "readvertise: ",
        ),
        (
            set("readvertise", json!({"from_rt": ["1"], "to_rt": []})),
            "readvertise.from_rt: `1`",
        ),
        (
            set(
                "readvertise",
                json!({"from_rt": ["64512:1"], "to_rt": ["64512:2"]}),
            ),
            "readvertise: only instances of vpn_type ipvpn",
        ),
        (
            set("attract_traffic", json!({"classifier": {}})),
            "attract_traffic: ",
        ),
        (
            set("attract_traffic", json!({"redirect_rts": 1})),
            "attract_traffic.redirect_rts: `1`",
        ),
        (
            set(
                "attract_traffic",
                json!({"redirect_rts": ["64512:1"], "to_rt": ["64512:2"]}),
            ),
            "attract_traffic: ",
        ),
        (set("fallback", json!(1)), "fallback: `1`"),
        // Against what is attached: tap1 has 02:00:00:00:0a:01 with 192.168.10.1 in net.
        (
            with(evpn("net", 1), "local_port", json!("tap99")),
            "Port information is not consistent. MAC address cannot be bound to two different \
             ports. Previous plug for port tap99",
        ),
        (
            with(evpn("net", 2), "ip_address", json!("192.168.10.1")),
            "Inconsistent endpoint info: IP 192.168.10.1 already bound to a MAC address different",
        ),
        (
            with(evpn("net", 3), "local_port", json!("tap77")),
            "local_port: ",
        ),
    ]
}

#[tokio::test]
async fn mistakes_get_400_with_the_field_and_change_nothing() {
    let node = Node::start().await;
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    assert_eq!(
        node.attach(&with(evpn("other", 77), "vni", json!(5000)))
            .await
            .status,
        200
    );
    let before = node.snapshot().await;
    for (body, text) in mistakes() {
        // In an instance of its own where the VNI is what is wrong: it is fixed in one that exists.
        let body = match body.get("vni") {
            Some(vni) if *vni == 5000 => with(body, "vpn_instance_id", json!("new")),
            _ => body,
        };
        let answer = node.attach(&body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(
            answer.body.contains(text),
            "{body}: {text} is not in {}",
            answer.body
        );
        assert_eq!(node.snapshot().await, before, "{body} changed something");
    }
}

#[tokio::test]
async fn a_port_that_cannot_be_used_is_named_and_leaves_nothing() {
    let node = Node::start().await;
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    let before = node.snapshot().await;
    node.break_port("tap2", true);
    node.break_port("tap3", false);
    let answer = node.attach(&evpn("net", 2)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer
            .body
            .contains("local_port: device tap2 cannot be used"),
        "{}",
        answer.body
    );
    let answer = node.attach(&evpn("fresh", 3)).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(
        answer.body.contains("device tap3 cannot be used"),
        "{}",
        answer.body
    );
    assert_eq!(node.snapshot().await, before);
}

#[tokio::test]
async fn an_update_that_fails_leaves_the_former_in_force() {
    let node = Node::start().await;
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    let before = node.snapshot().await;
    node.break_port("tap2", true);
    // A second endpoint that cannot be, in a call that also changes the instance's route targets.
    let body = with(evpn("net", 2), "export_rt", json!(["64512:600"]));
    assert_eq!(node.attach(&body).await.status, 400);
    let after = node.snapshot().await;
    assert_eq!(before.0[0].declared, after.0[0].declared);
    assert_eq!(before.1, after.1);
}

#[tokio::test]
async fn route_targets_are_those_of_the_latest_attach() {
    let node = Node::start().await;
    assert_eq!(node.attach(&evpn("net", 1)).await.status, 200);
    let body = with(
        evpn("net", 2),
        "export_rt",
        json!(["64512:601", "64512:513"]),
    );
    assert_eq!(
        node.attach(&with(body, "import_rt", json!("64512:600")))
            .await
            .status,
        200
    );
    let targets = node.glass("/vpns/instances/net/route_targets").await;
    assert_eq!(targets["import"], json!(["target:64512:600"]));
    assert_eq!(
        targets["export"],
        json!(["target:64512:513", "target:64512:601"])
    );
    let routes = node.glass("/vpns/instances/net/adv_routes").await;
    assert_eq!(routes.as_array().unwrap().len(), 3);
    for route in routes.as_array().unwrap() {
        let (_, about) = route.as_object().unwrap().iter().next().unwrap();
        assert_eq!(
            about["route_targets"],
            json!(["target:64512:513", "target:64512:601"])
        );
    }
}

#[tokio::test]
async fn detach_follows_the_original() {
    let node = Node::start().await;
    let second = with(evpn("net", 1), "ip_address", json!("192.168.10.101"));
    for body in [
        without(evpn("net", 1), "ip_address"),
        evpn("net", 1),
        second,
        evpn("net", 2),
    ] {
        assert_eq!(node.attach(&body).await.status, 200);
    }
    let before = node.snapshot().await;
    let unknown = node.detach(&evpn("nope", 1)).await;
    assert_eq!(unknown.status, 400);
    assert!(
        unknown
            .body
            .contains("API error: VPN nope could not be found"),
        "{}",
        unknown.body
    );
    let unknown = node.detach(&evpn("net", 55)).await;
    assert_eq!(unknown.status, 400);
    let text = "Endpoint ('02:00:00:00:0a:37', '192.168.10.55/24') not plugged yet, can't unplug";
    assert!(unknown.body.contains(text), "{}", unknown.body);
    let other = node
        .detach(&with(evpn("net", 1), "ip_address", json!("192.168.10.7")))
        .await;
    assert_eq!(other.status, 400);
    assert!(other.body.contains("ip_address"), "{}", other.body);
    for (name, value) in [
        ("vpn_instance_id", json!(1)),
        ("mac_address", json!("zz")),
        ("ip_address", Value::Null),
        ("local_port", json!({})),
        ("vpn_type", json!("l2vpn")),
    ] {
        let answer = node.detach(&with(evpn("net", 1), name, value)).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.body.contains(name), "{name}: {}", answer.body);
    }
    assert_eq!(node.snapshot().await, before);
    // Without address: all addresses of that MAC.
    assert_eq!(
        node.detach(&without(evpn("net", 1), "ip_address"))
            .await
            .status,
        200
    );
    let instances = node.snapshot().await.0;
    assert_eq!(instances[0].attachments.len(), 1);
    assert_eq!(
        node.detach(&without(evpn("net", 1), "ip_address"))
            .await
            .status,
        400
    );
    // Another writing of the same address will do; the last endpoint takes the instance along.
    let bare = with(evpn("net", 2), "ip_address", json!("192.168.10.2"));
    assert_eq!(node.detach(&bare).await.status, 200);
    assert!(node.snapshot().await.0.is_empty());
}

#[tokio::test]
async fn error_pages_come_in_the_form_that_is_asked_for() {
    let node = Node::start().await;
    let post = async |accept: &[(&str, &str)]| {
        node.bagpipe_with(
            "POST",
            "/attach_localport",
            accept,
            "{\"vpn_type\": \"<b>\"}",
        )
        .await
    };
    let json = post(&[("accept", "application/json")]).await;
    assert_eq!(json.content_type, "application/json");
    assert_eq!(json.json()["code"], 400);
    assert_eq!(json.json()["title"], "Bad Request");
    let text = "API error: unknown vpn_type: <b> (expected `evpn` or `ipvpn`)";
    assert_eq!(json.json()["description"], text);
    let both = post(&[("accept", "application/json, */*;q=0.5")]).await;
    assert_eq!(both.content_type, "application/json");
    let html = post(&[("accept", "*/*")]).await;
    assert!(html.content_type.starts_with("text/html"));
    assert!(
        html.body.contains("unknown vpn_type: &lt;b&gt;"),
        "{}",
        html.body
    );
    let plain = post(&[]).await;
    assert!(plain.content_type.starts_with("text/plain"));
    assert!(plain.body.starts_with("400 Bad Request\n\n") && plain.body.contains(text));
}

#[tokio::test]
async fn ping_is_one_number_per_process() {
    let node = Node::start().await;
    let first = node.bagpipe("GET", "/ping", "").await.json();
    assert!((1..=i64::MAX).contains(&first.as_i64().unwrap()));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(node.bagpipe(method, "/ping/", "{}").await.json(), first);
    }
    assert_ne!(
        Node::start().await.bagpipe("GET", "/ping", "").await.json(),
        first
    );
}
