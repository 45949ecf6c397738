//! Every address family through `chanter rr` between two GoBGP, attribute by attribute.
//!
//! ```text
//!   g1: GoBGP ---- iBGP ---- r1: chanter rr ---- iBGP ---- g2: GoBGP
//! ```
//!
//! 1. What one side originates, the other has: IPv4, IPv6, VPNv4, VPNv6, EVPN types 1 to 5, FlowSpec
//!    and FlowSpec-VPN of both IP versions, with the same attributes but for those of reflection.
//! 2. Withdrawals arrive, and only what was withdrawn goes.
//! 3. A refresh that the reflector asks for, and a session that is reset, end with the same tables.
//! 4. GoBGP killed with -9: the other side keeps its routes and hears no withdrawal; what is not
//!    announced again goes. The reflector killed with -9: both sides keep all.
//! 5. With RT constraint, each side gets the routes of the route targets that it asked for, and no
//!    others.
//! 6. With ADD-PATH, a side gets each path to a destination that several have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use chanter_interop::*;
use serde_json::Value;

/// As the daemon and as its command name them.
const FAMILIES: [(&str, &str); 9] = [
    ("ipv4-unicast", "ipv4"),
    ("ipv6-unicast", "ipv6"),
    ("l3vpn-ipv4-unicast", "vpnv4"),
    ("l3vpn-ipv6-unicast", "vpnv6"),
    ("l2vpn-evpn", "evpn"),
    ("ipv4-flowspec", "ipv4-flowspec"),
    ("ipv6-flowspec", "ipv6-flowspec"),
    ("l3vpn-ipv4-flowspec", "ipv4-l3vpn-flowspec"),
    ("l3vpn-ipv6-flowspec", "ipv6-l3vpn-flowspec"),
];

/// As Chanter names them.
const OURS: &str = r#"["ipv4-unicast", "ipv6-unicast", "ipv4-vpn", "ipv6-vpn", "l2vpn-evpn",
    "ipv4-flowspec", "ipv6-flowspec", "ipv4-flowspec-vpn", "ipv6-flowspec-vpn"]"#;

/// Attributes of a route that reflection adds (ORIGINATOR_ID, CLUSTER_LIST), and LOCAL_PREF, which
/// GoBGP does not show of its own routes; nor does it an empty AS_PATH.
const OF_REFLECTION: [i64; 3] = [5, 9, 10];

/// A table: the attributes of the paths of each destination.
type Table = BTreeMap<String, Vec<Value>>;

#[test]
fn all_families_both_ways() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("g1", 11)?,
            lab.node("r1", 12)?,
            lab.node("g2", 13)?,
        ];
        let [g1, r1, g2] = &nodes;
        let mut reflector = Reflector::configured(lab, r1, &clients(OURS, &[g1, g2], ""))?;
        let families: Vec<_> = FAMILIES.map(|family| family.0).into();
        let config = GobgpConfig {
            peers: vec![r1.ip().into()],
            graceful_restart: true,
            families,
            ..GobgpConfig::default()
        };
        let mut one = Gobgp::start(lab, g1, &config)?;
        let two = Gobgp::start(lab, g2, &config)?;
        one.wait_established(r1.ip().into())?;
        two.wait_established(r1.ip().into())?;

        for gobgp in [&one, &two] {
            change(gobgp, "add")?;
        }
        wait_until(secs(60), "1: the same tables", || complete(&one, &two))?;
        change(&one, "del")?;
        wait_until(secs(60), "2: withdrawn", || has_only_own(&two))?;
        change(&one, "add")?;
        wait_until(secs(60), "2: announced again", || complete(&one, &two))?;

        refresh(&reflector, g1)?;
        wait_until(secs(60), "3: after a refresh", || complete(&one, &two))?;
        // `gobgp neighbor ADDRESS reset` crashes GoBGP 3.10 that has MAC routes.
        for word in ["disable", "enable"] {
            two.cli(&format!("neighbor {} {word}", r1.ip()))?;
        }
        reflector.cli(&["peer", &g1.ip().to_string(), "clear"])?;
        wait_until(secs(60), "3: after a reset by each side", || {
            for node in [g1, g2] {
                let peer = reflector.peer(node.ip().into())?;
                ensure!(
                    peer["state"] == "Established" && peer["flaps"] == 1,
                    "{peer}"
                );
            }
            complete(&one, &two)
        })?;

        let before = all(&two)?;
        one.kill()?;
        always(secs(3), "4: GoBGP is away", || equal(&before, &all(&two)?))?;
        one.spawn()?;
        change(&one, "add")?;
        wait_until(secs(60), "4: GoBGP is back", || complete(&one, &two))?;
        // GoBGP 3.10 that has a MAC route of its own crashes when it hears of one that is stale.
        for gobgp in [&one, &two] {
            withdraw_mac(gobgp)?;
        }
        wait_until(secs(60), "4: without MAC routes", || same(&one, &two, 2))?;
        let before = all(&two)?;
        reflector.restart()?;
        always(secs(1), "4: the reflector was away", || {
            equal(&before, &all(&two)?)
        })?;
        wait_until(secs(60), "4: the reflector is back", || {
            one.check_established(r1.ip().into())?;
            two.check_established(r1.ip().into())?;
            same(&one, &two, 2)
        })
    })
}

#[test]
fn rt_constraint_for_all_vpn_families() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("g1", 11)?,
            lab.node("r1", 12)?,
            lab.node("g2", 13)?,
        ];
        let [g1, r1, g2] = &nodes;
        let ours = r#"["ipv4-vpn", "ipv6-vpn", "l2vpn-evpn", "ipv4-rtc"]"#;
        let _reflector = Reflector::configured(lab, r1, &clients(ours, &[g1, g2], ""))?;
        let config = GobgpConfig {
            peers: vec![r1.ip().into()],
            families: vec!["l3vpn-ipv4-unicast", "l3vpn-ipv6-unicast", "l2vpn-evpn"],
            rt_constraint: true,
            ..GobgpConfig::default()
        };
        let one = Gobgp::start(lab, g1, &config)?;
        let mut two = Gobgp::start(lab, g2, &config)?;
        // A VRF is what makes GoBGP ask for a route target.
        two.cli("vrf add red rd 64512:77 rt both 64512:7")?;
        one.wait_established(r1.ip().into())?;
        two.wait_established(r1.ip().into())?;
        for rt in [7, 8] {
            for line in vpn_routes(g1, rt) {
                one.cli(&format!("global rib add -a {line}"))?;
            }
        }
        let wanted = |rt: u32| format!("[\"64512:{rt}\"]");
        wait_until(secs(60), "5: what was asked for", || {
            for family in ["vpnv4", "vpnv6", "evpn"] {
                let table = table(&two, family)?;
                let count = table.len();
                ensure!(
                    count == 1,
                    "{family}: {count} routes in place of one: {table:?}"
                );
                ensure!(rts(&table).contains("64512:7"), "{family}: {table:?}");
            }
            Ok(())
        })?;
        two.cli("vrf add blue rd 64512:78 rt both 64512:8")?;
        wait_until(secs(60), "5: what was asked for later", || {
            for family in ["vpnv4", "vpnv6", "evpn"] {
                let count = table(&two, family)?.len();
                ensure!(
                    count == 2,
                    "{family}: {count} routes in place of two, {}",
                    wanted(8)
                );
            }
            Ok(())
        })?;
        // GoBGP 3.10 crashes when a VRF is deleted.
        two.kill()?;
        two.spawn()?;
        two.cli("vrf add blue rd 64512:78 rt both 64512:8")?;
        wait_until(secs(60), "5: what is not asked for any more", || {
            for family in ["vpnv4", "vpnv6", "evpn"] {
                let table = table(&two, family)?;
                ensure!(
                    rts(&table) == BTreeSet::from(["64512:8".to_owned()]),
                    "{table:?}"
                );
            }
            Ok(())
        })
    })
}

#[test]
fn additional_paths_both_ways() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("g1", 11)?,
            lab.node("r1", 12)?,
            lab.node("g2", 13)?,
            lab.node("g3", 14)?,
        ];
        let [g1, r1, g2, g3] = &nodes;
        let extra = "add_path = { receive = true, send = true }";
        let ours = r#"["ipv4-unicast", "ipv4-vpn"]"#;
        let _reflector = Reflector::configured(lab, r1, &clients(ours, &[g1, g2, g3], extra))?;
        let config = GobgpConfig {
            peers: vec![r1.ip().into()],
            families: vec!["ipv4-unicast", "l3vpn-ipv4-unicast"],
            add_paths: true,
            ..GobgpConfig::default()
        };
        let speakers = [g1, g2, g3].map(|node| Gobgp::start(lab, node, &config));
        let [one, two, three] = speakers;
        let (one, two, three) = (one?, two?, three?);
        for gobgp in [&one, &two, &three] {
            gobgp.wait_established(r1.ip().into())?;
        }
        for gobgp in [&one, &two] {
            let me = gobgp.node.ip();
            gobgp.cli(&format!("global rib add -a ipv4 192.0.2.0/24 nexthop {me}"))?;
            gobgp.cli(&format!(
                "global rib add -a vpnv4 192.0.2.0/24 label 100 rd 64512:1 rt 64512:1 nexthop {me}"
            ))?;
        }
        let paths = |gobgp: &Gobgp, wanted: usize| {
            for family in ["ipv4", "vpnv4"] {
                let table = table(gobgp, family)?;
                let count: usize = table.values().map(Vec::len).sum();
                ensure!(count == wanted, "{family}: {count} paths: {table:?}");
            }
            Ok(())
        };
        wait_until(secs(60), "6: both paths", || paths(&three, 2))?;
        wait_until(secs(60), "6: its own and the other's", || paths(&one, 2))?;
        let me = one.node.ip();
        one.cli(&format!("global rib del -a ipv4 192.0.2.0/24 nexthop {me}"))?;
        one.cli("global rib del -a vpnv4 192.0.2.0/24 label 100 rd 64512:1 rt 64512:1")?;
        wait_until(secs(60), "6: one path is left", || paths(&three, 1))
    })
}

/// Client peers of the reflector.
fn clients(families: &str, nodes: &[&Node], extra: &str) -> String {
    let mut text = String::new();
    for node in nodes {
        let addr = node.ip();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "[[bgp.peers]]\naddress = \"{addr}\"\nas = {ASN}");
        let _ = writeln!(
            text,
            "client = true\npassive = true\nfamilies = {families}\n{extra}"
        );
    }
    text
}

/// One route of each type, which differ by node.
fn routes(node: &Node) -> Vec<String> {
    let (me, me6) = (node.ip(), node.ip6());
    let number = me.octets()[3];
    let vpn = format!("rd {me}:1 rt 64512:7");
    let esi = format!("esi ARBITRARY 11:22:33:44:55:66:77:88:{number}");
    vec![
        format!(
            "ipv4 10.{number}.0.0/24 nexthop {me} med 10 community 64512:1 \
             large-community 1:2:3 aspath 65000"
        ),
        format!("ipv6 2001:db8:{number}::/64 nexthop {me6}"),
        format!("vpnv4 10.{number}.0.0/24 label 100 {vpn} nexthop {me}"),
        format!("vpnv6 2001:db8:{number}::/64 label 100 {vpn} nexthop {me6}"),
        format!("evpn a-d {esi} etag 0 label 100 {vpn} esi-label 200 nexthop {me}"),
        format!(
            "evpn macadv 02:00:00:00:00:{number} 192.0.2.{number} esi 0 etag 0 label 500 {vpn} \
             encap vxlan nexthop {me}"
        ),
        format!("evpn multicast {me} etag 0 {vpn} encap vxlan nexthop {me}"),
        format!("evpn esi {me} {esi} {vpn} nexthop {me}"),
        format!(
            "evpn prefix 10.{number}.0.0/24 esi single-homed etag 0 gw 10.0.0.1 label 500 {vpn} \
             encap vxlan nexthop {me}"
        ),
        format!(
            "evpn prefix 2001:db8:{number}::/64 esi single-homed etag 0 gw 2001:db8::1 label 500 \
             {vpn} encap vxlan nexthop {me}"
        ),
        format!(
            "ipv4-flowspec match destination 10.{number}.0.0/24 protocol tcp \
             destination-port >=80&<=90 then rate-limit 1000"
        ),
        format!("ipv6-flowspec match destination 2001:db8:{number}::/64/0 then discard"),
        format!(
            "ipv4-l3vpn-flowspec match destination 10.{number}.0.0/24 protocol udp then \
             redirect 64512:9 {vpn}"
        ),
        format!(
            "ipv6-l3vpn-flowspec match destination 2001:db8:{number}::/64/0 then discard {vpn}"
        ),
    ]
}

/// A route of each VPN family with that route target.
fn vpn_routes(node: &Node, rt: u32) -> Vec<String> {
    let (me, me6) = (node.ip(), node.ip6());
    let vpn = format!("rd {me}:{rt} rt 64512:{rt}");
    vec![
        format!("vpnv4 10.{rt}.0.0/24 label 100 {vpn} nexthop {me}"),
        format!("vpnv6 2001:db8:{rt}::/64 label 100 {vpn} nexthop {me6}"),
        format!("evpn multicast {me} etag 0 {vpn} encap vxlan nexthop {me}"),
    ]
}

fn change(gobgp: &Gobgp, word: &str) -> Result<()> {
    for line in routes(&gobgp.node) {
        gobgp.cli(&format!("global rib {word} -a {line}"))?;
    }
    Ok(())
}

/// GoBGP itself does not ask: it keeps what it has heard.
fn refresh(reflector: &Reflector, node: &Node) -> Result<()> {
    reflector.cli(&["peer", &node.ip().to_string(), "clear", "--soft", "in"])?;
    wait_until(secs(30), "3: GoBGP was asked", || {
        let peer = reflector.peer(node.ip().into())?;
        let asked = peer["sent"]["route_refresh"] == FAMILIES.len();
        ensure!(asked, "no refresh of each family: {peer}");
        Ok(())
    })
}

fn withdraw_mac(gobgp: &Gobgp) -> Result<()> {
    let mut routes = routes(&gobgp.node).into_iter();
    let mac = routes.find(|route| route.contains("macadv"));
    let mac = mac.context("a MAC route")?;
    gobgp.cli(&format!("global rib del -a {mac}")).map(drop)
}

fn table(gobgp: &Gobgp, family: &str) -> Result<Table> {
    let answer = gobgp.json(&format!("global rib -a {family}"))?;
    let mut table = Table::new();
    for (key, paths) in answer.as_object().into_iter().flatten() {
        let paths = paths.as_array().context("a list of paths")?;
        let mut paths: Vec<Value> = paths.iter().map(attributes).collect();
        paths.sort_by_key(Value::to_string);
        table.insert(key.clone(), paths);
    }
    Ok(table)
}

/// What has to be the same on both sides.
fn attributes(path: &Value) -> Value {
    let attributes = path["attrs"].as_array().into_iter().flatten();
    let mut kept: Vec<Value> = attributes
        .filter(|attribute| {
            let code = attribute["type"].as_i64();
            let empty = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
            code.is_some_and(|code| !OF_REFLECTION.contains(&code))
                && !empty(&attribute["as_paths"])
        })
        .cloned()
        .collect();
    kept.sort_by_key(|attribute| attribute["type"].as_i64());
    for attribute in &mut kept {
        // MP_REACH_NLRI is shown with all that came in the same UPDATE.
        if let Some(attribute) = attribute.as_object_mut().filter(|one| one["type"] == 14) {
            attribute.remove("value");
        }
    }
    kept.push(path["nlri"].clone());
    Value::Array(kept)
}

/// All tables.
fn all(gobgp: &Gobgp) -> Result<BTreeMap<&'static str, Table>> {
    FAMILIES
        .iter()
        .map(|(_, family)| Ok((*family, table(gobgp, family)?)))
        .collect()
}

fn equal(left: &BTreeMap<&str, Table>, right: &BTreeMap<&str, Table>) -> Result<()> {
    for ((family, left), right) in left.iter().zip(right.values()) {
        for key in left.keys().chain(right.keys()) {
            let (left, right) = (left.get(key), right.get(key));
            ensure!(left == right, "{family} {key}:\n{left:?}\nbut\n{right:?}");
        }
    }
    Ok(())
}

/// Both have the routes of both.
fn complete(one: &Gobgp, two: &Gobgp) -> Result<()> {
    same(one, two, 0)
}

/// Both have the routes of both, of which so many are withdrawn.
fn same(one: &Gobgp, two: &Gobgp, withdrawn: usize) -> Result<()> {
    let (left, right) = (all(one)?, all(two)?);
    let count: usize = left.values().map(Table::len).sum();
    let wanted = 2 * routes(&one.node).len() - withdrawn;
    ensure!(count == wanted, "{count} of {wanted} routes: {left:#?}");
    equal(&left, &right)
}

fn has_only_own(gobgp: &Gobgp) -> Result<()> {
    let tables = all(gobgp)?;
    let count: usize = tables.values().map(Table::len).sum();
    let wanted = routes(&gobgp.node).len();
    ensure!(
        count == wanted,
        "{count} in place of {wanted} routes: {tables:#?}"
    );
    Ok(())
}

/// The route targets that stand in a table.
fn rts(table: &Table) -> BTreeSet<String> {
    let attributes = table
        .values()
        .flatten()
        .filter_map(Value::as_array)
        .flatten();
    let communities = attributes
        .filter(|attribute| attribute["type"] == 16)
        .filter_map(|attribute| attribute["value"].as_array())
        .flatten();
    communities
        .filter(|community| community["subtype"] == 2)
        .filter_map(|community| community["value"].as_str().map(str::to_owned))
        .collect()
}
