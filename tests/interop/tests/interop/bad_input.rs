//! Bad input over REST: it is answered with 4xx and the name of the field, and spoils nothing.
//!
//! ```text
//!   client --REST--> n1: chanter agent (dummy dataplane) ---- iBGP ---- g1: GoBGP
//! ```
//!
//! 1. Every body that real clients send to attach to an EVPN is accepted.
//! 2. Each bad body gets a status of 400 to 499 and a text that names its field.
//! 3. After all of them, the routes of the good ones are what GoBGP has, no more and no less, and a
//!    further attach to the same instance works.

use anyhow::{Context, Result, ensure};
use chanter_interop::*;
use serde_json::{Value, json};

const MAC: &str = "02:00:00:00:06:01";

#[test]
fn bad_bodies_spoil_nothing() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, g1) = (lab.node("n1", 11)?, lab.node("g1", 12)?);
        let config = GobgpConfig {
            peers: vec![n1.ip().into()],
            ..Default::default()
        };
        let gobgp = Gobgp::start(lab, &g1, &config)?;
        let config = AgentConfig {
            peers: vec![g1.ip().into()],
            driver: "dummy",
            ..Default::default()
        };
        let agent = Agent::start(lab, &n1, &config)?;
        agent.wait_established(1)?;

        agent.rest.post("/attach_localport", &good())?.expect_ok()?;
        for (client, body) in client_bodies() {
            let reply = agent.rest.post("/attach_localport", &body)?;
            reply
                .expect_ok()
                .with_context(|| format!("1: attach by {client}"))?;
        }
        let expected = agent
            .rest
            .fetch("/looking-glass/summary/vpn_instances_count")?;
        ensure!(
            expected == 1 + client_bodies().len(),
            "1: {expected} instances"
        );
        let path = || gobgp.mac_path(MAC, Some("10.0.0.5".parse()?)).map(drop);
        wait_until(secs(30), "the good route", path)?;
        let before = routes(&gobgp)?;

        for (field, body) in bad_bodies() {
            let reply = agent
                .rest
                .request("POST", "/attach_localport", Some(&body))?;
            check_refusal(&reply, field).with_context(|| format!("2: attach {body}"))?;
        }
        for (field, body) in bad_detaches() {
            let reply = agent
                .rest
                .request("POST", "/detach_localport", Some(&body))?;
            check_refusal(&reply, field).with_context(|| format!("2: detach {body}"))?;
        }

        let instances = agent
            .rest
            .fetch("/looking-glass/summary/vpn_instances_count")?;
        ensure!(
            instances == expected,
            "3: {instances} instances, {expected} before"
        );
        let next = with(json!({"mac_address": "02:00:00:00:06:02", "ip_address": "10.0.0.6"}));
        agent.rest.post("/attach_localport", &next)?.expect_ok()?;
        wait_until(secs(30), "3: a further attach", || {
            gobgp
                .mac_path("02:00:00:00:06:02", Some("10.0.0.6".parse()?))
                .map(drop)
        })?;
        agent.rest.post("/detach_localport", &next)?.expect_ok()?;
        wait_until(secs(30), "3: the routes of before", || {
            let now = routes(&gobgp)?;
            ensure!(now == before, "before: {before:#?}\nnow: {now:#?}");
            Ok(())
        })
    })
}

fn routes(gobgp: &Gobgp) -> Result<Vec<String>> {
    let mut routes: Vec<String> = gobgp
        .evpn_paths()?
        .iter()
        .map(|path| path["nlri"].to_string())
        .collect();
    routes.sort();
    Ok(routes)
}

fn check_refusal(reply: &Reply, field: &str) -> Result<()> {
    ensure!(
        (400..500).contains(&reply.status),
        "status {}: {}",
        reply.status,
        reply.text
    );
    ensure!(
        reply.text.contains(field),
        "the text does not name `{field}`: {}",
        reply.text
    );
    Ok(())
}

fn good() -> Value {
    json!({
        "vpn_type": "evpn", "vpn_instance_id": "blue", "vni": 1001,
        "mac_address": MAC, "ip_address": "10.0.0.5", "gateway_ip": "10.0.0.1",
        "local_port": {"linuxif": "tap1"}, "import_rt": ["64512:77"], "export_rt": ["64512:77"],
    })
}

/// The good body with some fields replaced.
fn with(fields: Value) -> Value {
    let mut body = good();
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}

/// The good body without a field.
fn without(field: &str) -> Value {
    let mut body = good();
    if let Value::Object(body) = &mut body {
        body.remove(field);
    }
    body
}

/// What the clients of bagpipe-bgp send.
fn client_bodies() -> Vec<(&'static str, Value)> {
    vec![
        (
            "the Neutron OVS agent",
            json!({
                "vpn_type": "evpn", "vpn_instance_id": "evpn_9f1f",
                "mac_address": "fa:16:3e:00:00:01",
                "ip_address": "10.0.0.5", "gateway_ip": "10.0.0.1",
                "local_port": {"linuxif": "patch2tun:4", "vlan": 4}, "vni": 1002,
                "import_rt": ["64512:78"], "export_rt": ["64512:78"],
                "description": {"port": "port-uuid"},
                "instance_description": "BGPVPN evpn associations for net 9f1f (10.0.0.1)",
            }),
        ),
        (
            "the Neutron linuxbridge agent",
            json!({
                "vpn_type": "evpn", "vpn_instance_id": "evpn_8e2e",
                "mac_address": "fa:16:3e:00:00:02",
                "ip_address": "10.0.0.6", "gateway_ip": "10.0.0.1", "linuxbr": "brq8e2e0000-00",
                "local_port": {"linuxif": "tap00000000-01"},
                "import_rt": ["64512:79"], "export_rt": ["64512:79"],
            }),
        ),
        (
            "the ML2 mechanism driver",
            json!({
                "vpn_type": "evpn", "vpn_instance_id": "evpn_7d3d",
                "mac_address": "fa:16:3e:00:00:03",
                "local_port": {"linuxif": "tap00000000-02"}, "linuxbr": "brq7d3d0000-00",
                "vni": 1003,
                "import_rt": ["64512:1003"], "export_rt": ["64512:1003"],
            }),
        ),
        (
            "bagpipe-rest-attach",
            json!({
                "import_rt": ["64512:512"], "export_rt": ["64512:512"],
                "local_port": {"linuxif": "ns-test"}, "vpn_instance_id": "test", "vpn_type": "evpn",
                "gateway_ip": "12.11.11.254", "mac_address": "52:54:00:99:99:22",
                "ip_address": "12.11.11.1/24", "advertise_subnet": false, "readvertise": null,
                "attract_traffic": {}, "lb_consistent_hash_order": 0, "vni": 0, "direction": "both",
            }),
        ),
        (
            "a Kubernetes CNI plugin",
            json!({
                "vpn_type": "evpn", "vpn_instance_id": "veth0a1b",
                "mac_address": "0a:58:0a:01:00:02",
                "ip_address": "10.1.0.2/16", "gateway_ip": "10.1.0.1",
                "local_port": {"linuxif": "veth0a1b"}, "readvertise": "", "advertise_subnet": false,
                "import_rt": "64512:80", "export_rt": "64512:80",
            }),
        ),
    ]
}

/// A field and a body in which it is wrong.
fn bad_bodies() -> Vec<(&'static str, String)> {
    let mut bad = vec![
        ("", String::new()),
        ("", "{".to_owned()),
        ("", "[]".to_owned()),
        ("", "7".to_owned()),
    ];
    for field in [
        "vpn_type",
        "vpn_instance_id",
        "mac_address",
        "local_port",
        "import_rt",
        "export_rt",
    ] {
        bad.push((field, without(field).to_string()));
        bad.push((field, with(json!({ field: null })).to_string()));
    }
    let wrong = [
        ("vpn_type", json!({"vpn_type": "vpls"})),
        ("mac_address", json!({"mac_address": "02:00:00:00:06"})),
        ("mac_address", json!({"mac_address": 7})),
        ("ip_address", json!({"ip_address": "10.0.0.256"})),
        ("ip_address", json!({"ip_address": "10.0.0.5/33"})),
        ("local_port", json!({"local_port": 7})),
        ("local_port", json!({"local_port": {}})),
        (
            "local_port",
            json!({"local_port": "a-name-of-a-device-that-is-too-long"}),
        ),
        // Consistency: known MAC with another port; known address with another MAC.
        ("local_port", json!({"local_port": {"linuxif": "tap2"}})),
        ("ip_address", json!({"mac_address": "02:00:00:00:06:99"})),
        ("import_rt", json!({"import_rt": ["64512"]})),
        ("import_rt", json!({"import_rt": ["64512:99999999999"]})),
        ("export_rt", json!({"export_rt": [7]})),
        ("vni", json!({"vni": "8"})),
        ("vni", json!({"vni": 16_777_216})),
        ("vni", json!({"vni": -1})),
        ("vni", json!({"vpn_instance_id": "red", "vni": 1002})),
        ("local_pref", json!({"local_pref": "high"})),
        ("local_pref", json!({"local_pref": -1})),
        (
            "lb_consistent_hash_order",
            json!({"lb_consistent_hash_order": "first"}),
        ),
        ("advertise_subnet", json!({"advertise_subnet": "yes"})),
        (
            "advertise_subnet",
            json!({"advertise_subnet": true, "ip_address": "10.0.0.0/24"}),
        ),
        ("direction", json!({"direction": "sideways"})),
        (
            "readvertise",
            json!({"readvertise": {"from_rt": ["64512:1"]}}),
        ),
    ];
    bad.extend(wrong.map(|(field, fields)| (field, with(fields).to_string())));
    bad
}

fn bad_detaches() -> Vec<(&'static str, String)> {
    vec![
        ("", "{".to_owned()),
        ("vpn_type", without("vpn_type").to_string()),
        ("vpn_instance_id", without("vpn_instance_id").to_string()),
        ("mac_address", without("mac_address").to_string()),
        ("local_port", without("local_port").to_string()),
        (
            "unknown",
            with(json!({"vpn_instance_id": "unknown"})).to_string(),
        ),
        (
            "02:00:00:00:06:77",
            with(json!({"mac_address": "02:00:00:00:06:77"})).to_string(),
        ),
        (
            "10.0.0.77",
            with(json!({"ip_address": "10.0.0.77"})).to_string(),
        ),
    ]
}
