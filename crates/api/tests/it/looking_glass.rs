//! The looking glass has the original's shape and texts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, InclusiveMulticast, MacIp, Nlri, PathData, PmsiTunnel,
    RouteEvent, UpdateBatch, encapsulation,
};
use chanter_engine::{Input, PeerId};
use chanter_types::{EthernetTag, RouteDistinguisher};
use serde_json::{Value, json};

use crate::harness::{LOCAL, Node, REFLECTOR, evpn, with, without};

/// What node b1 had when the shape was recorded, less the VRF.
async fn node() -> Node {
    let node = Node::start().await;
    node.peer_up().await;
    let vni = |body: Value| with(body, "vni", json!(5000));
    let first = with(vni(evpn("evpn-a", 1)), "description", json!("port one"));
    for body in [
        first,
        with(vni(evpn("evpn-a", 3)), "local_pref", json!(200)),
        without(vni(evpn("evpn-a", 4)), "ip_address"),
    ] {
        let answer = node.attach(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    node.state.engine.input(updates()).await.unwrap();
    node
}

/// What the reflector sends of node b2.
fn updates() -> Input {
    let vtep: IpAddr = [10, 98, 0, 62].into();
    let rd = RouteDistinguisher::from_ipv4([10, 98, 0, 62].into(), 0);
    let communities = vec![
        ExtendedCommunity::route_target("64512:513".parse().unwrap()),
        ExtendedCommunity::route_target("64512:601".parse().unwrap()),
        ExtendedCommunity::encapsulation(encapsulation::VXLAN),
    ];
    let reflected = || {
        Attributes::builder()
            .next_hop(vtep)
            .local_pref(Some(100))
            .originator_id(Some([10, 98, 0, 62].into()))
            .prepend_cluster(REFLECTOR)
            .extended_communities(communities.clone())
    };
    let mac_ip = MacIp {
        rd,
        tag: EthernetTag(0),
        mac: "02:00:00:00:0a:05".parse().unwrap(),
        ip: Some([192, 168, 10, 5].into()),
    };
    let multicast = InclusiveMulticast {
        rd,
        tag: EthernetTag(0),
        originator: vtep,
    };
    let tunnel = PmsiTunnel::ingress_replication(5000, vtep);
    let batch = UpdateBatch {
        attributes: vec![
            reflected().build(),
            reflected().pmsi_tunnel(Some(tunnel)).build(),
        ],
        events: vec![
            RouteEvent::Reach {
                nlri: Nlri::Evpn(EvpnNlri::MacIp(mac_ip)),
                data: PathData::with_label(5000),
                attributes: 0,
            },
            RouteEvent::Reach {
                nlri: Nlri::Evpn(EvpnNlri::InclusiveMulticast(multicast)),
                data: PathData::default(),
                attributes: 1,
            },
        ],
    };
    Input::Updates {
        peer: PeerId(1),
        batch,
    }
}

/// Complains where `expected` has what `found` has not.
fn compare(at: &str, expected: &Value, found: &Value, faults: &mut Vec<String>) {
    let Some(members) = expected.as_object() else {
        let same = match expected.as_str() {
            Some("href") => found["href"]
                .as_str()
                .is_some_and(|href| href.starts_with("http://")),
            Some("list") => found.is_array(),
            _ => !found.is_object() && !found.is_array(),
        };
        if !same {
            faults.push(format!("{at}: expected a {expected}, found {found}"));
        }
        return;
    };
    for (name, expected) in members {
        match found.get(name) {
            Some(found) => compare(&format!("{at}/{name}"), expected, found, faults),
            None => faults.push(format!("{at} lacks {name}")),
        }
    }
}

#[tokio::test]
async fn every_node_of_the_original_is_there_with_its_members() {
    let node = node().await;
    let number = node.snapshot().await.0[0].number;
    let shape: BTreeMap<String, Value> =
        serde_json::from_str(include_str!("data/looking-glass-shape.json")).unwrap();
    let mut faults = Vec::new();
    for (path, expected) in &shape {
        let path = path.replace("{number}", &number.to_string());
        let answer = node
            .bagpipe("GET", &format!("/looking-glass{path}"), "")
            .await;
        if answer.status != 200 {
            faults.push(format!("{path}: {}", answer.body));
            continue;
        }
        let found = answer.json();
        if let Some(object) = expected.get("object") {
            compare(&path, object, &found, &mut faults);
        } else if expected.get("by key").is_some() {
            let filled = found.as_object().is_some_and(|members| !members.is_empty());
            if !filled {
                faults.push(format!("{path}: expected members, found {found}"));
            }
        } else {
            let Some(items) = found.as_array() else {
                faults.push(format!("{path}: expected a list, found {found}"));
                continue;
            };
            for item in items {
                for key in expected["list of"].as_array().unwrap() {
                    if item.get(key.as_str().unwrap()).is_none() {
                        faults.push(format!("{path}: {item} lacks {key}"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(shape.len() > 30, "the shape was cut short");
}

#[tokio::test]
async fn every_href_leads_to_a_node() {
    let node = node().await;
    let mut seen = BTreeSet::new();
    let mut open = vec!["/looking-glass".to_owned()];
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = node.bagpipe("GET", &path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        hrefs(&answer.json(), &mut open);
    }
    assert!(seen.len() > 30, "{seen:?}");
}

fn hrefs(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "href") {
                    Some(href) => {
                        let path = href.strip_prefix("http://127.0.0.1:8082");
                        found.push(path.expect("the request's Host").to_owned());
                    }
                    None => hrefs(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| hrefs(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn routes_and_attributes_read_as_scripts_know_them() {
    let node = node().await;
    let instance = node.snapshot().await.0[0].clone();
    let own = node.glass("/vpns/instances/evpn-a/adv_routes").await;
    let own: BTreeMap<String, Value> = own
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|route| route.as_object().unwrap().clone())
        .collect();
    let rd = instance.rd;
    let first =
        format!("evpn:macadv::{rd}:-:0:02:00:00:00:0A:01/48:192.168.10.1: label 312 (5000)");
    let worker = format!("EVI-{}", instance.number);
    assert_eq!(
        own[&first],
        json!({
            "afi-safi": "l2vpn/evpn",
            "attributes": {
                "extended-community": "[ target:64512:513 encap:VXLAN ]", "local-preference": "100"},
            "next_hop": LOCAL.to_string(),
            "source": {
                "href": format!("http://127.0.0.1:8082/looking-glass/bgp/workers/{worker}"),
                "id": worker},
            "route_targets": ["target:64512:513"],
        })
    );
    let third =
        format!("evpn:macadv::{rd}:-:0:02:00:00:00:0A:03/48:192.168.10.3: label 312 (5000)");
    assert_eq!(own[&third]["attributes"]["local-preference"], "200");
    assert!(own.contains_key(&format!(
        "evpn:macadv::{rd}:-:0:02:00:00:00:0A:04/48:: label 312 (5000)"
    )));
    let flood = &own[&format!("evpn:multicast::{rd}:0:{LOCAL}")];
    let tunnel = format!("pmsi:ingressreplication:0:312(5000):{LOCAL}");
    assert_eq!(flood["attributes"]["pmsi-tunnel"], tunnel.as_str());
    let best = node.glass("/vpns/instances/evpn-a/best_routes").await;
    assert_eq!(
        best["('MAC', 02:00:00:00:0A:05)"],
        json!([{
        "evpn:macadv::10.98.0.62:0:-:0:02:00:00:00:0A:05/48:192.168.10.5: label 312 (5000)": {
            "afi-safi": "l2vpn/evpn",
            "attributes": {
                "cluster-list": "[ 10.98.0.2 ]",
                "extended-community": "[ target:64512:513 target:64512:601 encap:VXLAN ]",
                "local-preference": "100",
                "originator-id": "10.98.0.62"},
            "next_hop": "10.98.0.62",
            "source": {
                "href": "http://127.0.0.1:8082/looking-glass/bgp/workers/BGP-10.98.0.2",
                "id": "BGP-10.98.0.2"},
            "route_targets": ["target:64512:513", "target:64512:601"],
        }}])
    );
    assert!(
        best.get("('Multicast', (10.98.0.62,  rd 10.98.0.62:0))")
            .is_some(),
        "{best}"
    );
    let memberships = node.glass("/bgp/adv_routes").await;
    let membership = &memberships[0]["rtc 64512:target:64512:513"];
    assert_eq!(membership["source"]["id"], "BGPManager");
    assert_eq!(membership["next_hop"], LOCAL.to_string());
}

#[tokio::test]
async fn paths_lead_into_members_and_not_into_lists() {
    let node = node().await;
    assert_eq!(node.glass("/summary/BGP_established_peers").await, 1);
    assert_eq!(
        node.glass("/summary/route_counts/local_routes_count").await,
        4
    );
    assert_eq!(
        node.glass("/summary/route_counts/received_routes_count")
            .await,
        2
    );
    assert_eq!(
        node.glass("/vpns/instances/evpn-a/route_targets/import")
            .await,
        json!(["target:64512:513"])
    );
    assert_eq!(node.glass("/config/BGP/my_as").await, 64512);
    assert_eq!(
        node.glass("/bgp/peers/10.98.0.2/protocol/state").await,
        "Established"
    );
    let ports = node.glass("/vpns/instances/evpn-a/ports").await;
    assert_eq!(
        ports["tap1"]["endpoints"][0]["ip_address"],
        "192.168.10.1/24"
    );
    assert_eq!(ports["tap1"]["endpoints"][0]["description"], "port one");
    assert_eq!(ports["tap4"]["endpoints"][0]["ip_address"], Value::Null);
    for path in [
        "/bgp/routes/l2vpn%2Fevpn,%2A/0",
        "/vpns/instances/evpn-a/ports/tap1/endpoints/0",
    ] {
        let answer = node
            .bagpipe("GET", &format!("/looking-glass{path}"), "")
            .await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer
                .body
                .contains("No such looking glass object: 0 at http://"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn ids_with_odd_characters_are_reached_by_their_hrefs() {
    let node = Node::start().await;
    let id = "net/ä %41?";
    assert_eq!(node.attach(&evpn(id, 1)).await.status, 200);
    let list = node.glass("/vpns/instances").await;
    let href = list[0]["href"].as_str().unwrap();
    let path = href
        .strip_prefix("http://127.0.0.1:8082/looking-glass")
        .unwrap();
    assert_eq!(node.glass(path).await["external_instance_id"], id);
    assert_eq!(
        node.glass(&format!("{path}/route_targets/export")).await,
        json!(["target:64512:513"])
    );
}
