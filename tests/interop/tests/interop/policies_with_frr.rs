//! eBGP with FRR: policies, their change at run time, and limits.
//!
//! ```text
//!   f1: FRR, AS 65001 ---- eBGP ---- r1: chanter rr ---- iBGP ---- g2: GoBGP
//!                                          \------- eBGP ---- g3: GoBGP, AS 65003 (from 3 on)
//! ```
//!
//! 1. Without a policy no route goes in or out (RFC 8212), and the log says so.
//! 2. SIGHUP with policies: prefix lists choose; LOCAL_PREF, MED, communities and prepending arrive.
//!    The session is not reset.
//! 3. SIGHUP with one more peer: it gets its session, the others keep theirs.
//! 4. A route with our own AS in its path is taken with `allow_as_in` alone.
//! 5. More routes taken than `max_prefixes` end the session for the time that it says, and not for longer.

use anyhow::{Result, ensure};
use chanter_interop::*;
use serde_json::Value;

const CUSTOMER: u32 = 65001;
const OTHER: u32 = 65003;

/// The customer announces it with our AS in its path.
const LOOPED: &str = "10.11.9.0/24";

/// What the customer may announce, what it is told, and what becomes of both.
const POLICIES: &str = r#"
[[prefix_lists]]
name = "customer"
prefixes = ["10.11.0.0/16 ge 24 le 25"]
[[prefix_lists]]
name = "ours"
prefixes = ["10.13.0.0/24"]
[[policies]]
name = "from-customer"
[[policies.rules]]
name = "its own"
match = { prefix_list = "customer" }
set = { local_pref = 300, med = 50, add_community = "64512:7" }
then = "accept"
[[policies]]
name = "to-customer"
[[policies.rules]]
name = "our own"
match = { prefix_list = "ours" }
set = { med = 70, prepend = 2, add_community = "64512:8" }
then = "accept"
[[policies]]
name = "all"
default = "accept"
"#;

const BY_POLICY: &str = "import = \"from-customer\"\nexport = \"to-customer\"\n";

#[test]
fn policies_and_limits_change_at_run_time() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("f1", 11)?,
            lab.node("r1", 12)?,
            lab.node("g2", 13)?,
            lab.node("g3", 14)?,
        ];
        let [f1, r1, g2, g3] = &nodes;
        let inside = peer(g2, ASN, "client = true\n");
        let reflector = Reflector::configured(lab, r1, &(peer(f1, CUSTOMER, "") + &inside))?;
        let config = FrrConfig {
            text: Some(frr_config(f1, r1)),
            ..FrrConfig::default()
        };
        let frr = Frr::start(lab, f1, &config)?;
        let gobgp = Gobgp::start(lab, g2, &gobgp_config(r1, None))?;
        for prefix in ["10.13.0.0/24", "10.14.0.0/24"] {
            let me = g2.ip();
            gobgp.cli(&format!("global rib add -a ipv4 {prefix} nexthop {me}"))?;
        }
        without_policy(&reflector, &frr, &gobgp)?;

        let config = peer(f1, CUSTOMER, BY_POLICY) + &inside + POLICIES;
        let (customer, kept) = (Session::of(&reflector, f1)?, Session::of(&reflector, g2)?);
        reflector.reload(&config)?;
        wait_until(secs(30), "2: by policy", || by_policy(&frr, &gobgp))?;
        customer.check(&reflector)?;

        let added = peer(g3, OTHER, "import = \"all\"\nexport = \"all\"\n");
        reflector.reload(&(added.clone() + &config))?;
        let other = Gobgp::start(lab, g3, &gobgp_config(r1, Some(OTHER)))?;
        other.wait_established(r1.ip().into())?;
        wait_until(secs(30), "3: routes for the new peer", || {
            let table = other.json("global rib -a ipv4")?;
            for prefix in ["10.11.1.0/24", "10.13.0.0/24", "10.14.0.0/24"] {
                ensure!(table.get(prefix).is_some(), "no {prefix}: {table}");
            }
            ensure!(table.get(LOOPED).is_none(), "{LOOPED} is there: {table}");
            Ok(())
        })?;
        customer.check(&reflector)?;

        let looped = peer(f1, CUSTOMER, &format!("{BY_POLICY}allow_as_in = 1\n"));
        reflector.reload(&(looped + &inside + &added + POLICIES))?;
        // A speaker of our own AS would not take it from us.
        wait_until(secs(30), "4: our own AS in its path", || {
            let table = other.json("global rib -a ipv4")?;
            ensure!(table.get(LOOPED).is_some(), "no {LOOPED}: {table}");
            by_policy(&frr, &gobgp)
        })?;
        customer.check(&reflector)?;

        let limit = "max_prefixes = { limit = 2, action = \"close\", restart = 3 }\n";
        let limited = peer(f1, CUSTOMER, &format!("{BY_POLICY}{limit}"));
        reflector.reload(&(limited + &inside + &added + POLICIES))?;
        limited_for_a_time(&reflector, &frr, &gobgp)?;
        kept.check(&reflector)
    })
}

/// 1.
fn without_policy(reflector: &Reflector, frr: &Frr, gobgp: &Gobgp) -> Result<()> {
    let rr = reflector.node.ip().into();
    gobgp.wait_established(rr)?;
    let customer = frr.node.ip().into();
    wait_until(secs(30), "1: the session", || {
        let peer = reflector.peer(customer)?;
        ensure!(peer["state"] == "Established", "{peer}");
        ensure!(peer["received"]["update"].as_u64() > Some(1), "{peer}");
        Ok(())
    })?;
    always(secs(1), "1: no routes", || {
        let table = gobgp.json("global rib -a ipv4")?;
        ensure!(!table.to_string().contains("10.11."), "{table}");
        let table = frr.json("show bgp ipv4 unicast")?.to_string();
        ensure!(!table.contains("10.13."), "{table}");
        Ok(())
    })?;
    let log = reflector.log();
    ensure!(log.contains("RFC 8212"), "{log}");
    let peer = reflector.peer(customer)?;
    let missing = peer["without_policy"].as_array().map(Vec::len);
    ensure!(missing == Some(2), "{peer}");
    Ok(())
}

/// 2.
fn by_policy(frr: &Frr, gobgp: &Gobgp) -> Result<()> {
    let table = gobgp.json("global rib -a ipv4")?;
    let path = table["10.11.1.0/24"][0]["attrs"].to_string();
    let community = 64_512_u32 << 16 | 7;
    for mark in [
        "\"type\":5,\"value\":300".to_owned(),
        "\"metric\":50".to_owned(),
        community.to_string(),
    ] {
        ensure!(path.contains(&mark), "no {mark}: {path}");
    }
    let refused = ["10.66.0.0/24", "10.11.0.0/16", "10.11.2.0/26"];
    for prefix in refused {
        ensure!(table.get(prefix).is_none(), "{prefix} is there: {table}");
    }
    let table = frr.json("show bgp ipv4 unicast")?;
    ensure!(table["routes"].get("10.14.0.0/24").is_none(), "{table}");
    let route = frr.json("show bgp ipv4 unicast 10.13.0.0/24")?;
    let path = &route["paths"][0];
    ensure!(
        path["metric"] == 70
            && path["community"]["string"] == "64512:8"
            && path["aspath"]["string"] == "64512 64512 64512",
        "{route}"
    );
    Ok(())
}

/// 5.
fn limited_for_a_time(reflector: &Reflector, frr: &Frr, gobgp: &Gobgp) -> Result<()> {
    let customer = frr.node.ip().into();
    let one_more = ["10.11.4.0/24"];
    wait_until(secs(30), "5: as many as may be", || {
        let peer = reflector.peer(customer)?;
        ensure!(peer["families"][0]["received"] == 2, "{peer}");
        Ok(())
    })?;
    frr.configure(&networks(&one_more, true))?;
    wait_until(secs(30), "5: too many routes", || {
        let peer = reflector.peer(customer)?;
        ensure!(peer["state"] != "Established", "{peer}");
        ensure!(peer["held"].is_string(), "{peer}");
        let table = gobgp.json("global rib -a ipv4")?;
        ensure!(!table.to_string().contains("10.11."), "{table}");
        Ok(())
    })?;
    let neighbor = frr.json("show bgp neighbors")?;
    let neighbor = &neighbor[reflector.node.ip().to_string()];
    // Cease, maximum number of prefixes reached (RFC 4486).
    ensure!(neighbor["lastErrorCodeSubcode"] == "0601", "5: {neighbor}");
    frr.configure(&networks(&one_more, false))?;
    wait_until(secs(30), "5: the session is back", || {
        let peer = reflector.peer(customer)?;
        ensure!(peer["state"] == "Established", "{peer}");
        let table = gobgp.json("global rib -a ipv4")?;
        ensure!(table.get("10.11.1.0/24").is_some(), "{table}");
        Ok(())
    })
}

/// A session that is to go on.
struct Session {
    node: Node,
    since: Value,
}

impl Session {
    fn of(reflector: &Reflector, node: &Node) -> Result<Self> {
        let peer = reflector.peer(node.ip().into())?;
        Ok(Self {
            node: node.clone(),
            since: peer["since"].clone(),
        })
    }

    fn check(&self, reflector: &Reflector) -> Result<()> {
        let peer = reflector.peer(self.node.ip().into())?;
        ensure!(
            peer["state"] == "Established" && peer["flaps"] == 0 && peer["since"] == self.since,
            "it was {}: {peer}",
            self.since
        );
        Ok(())
    }
}

fn peer(node: &Node, asn: u32, extra: &str) -> String {
    let addr = node.ip();
    format!(
        "[[bgp.peers]]\naddress = \"{addr}\"\nremote_as = {asn}\npassive = true\n\
         families = [\"ipv4-unicast\"]\n{extra}"
    )
}

fn gobgp_config(r1: &Node, asn: Option<u32>) -> GobgpConfig {
    GobgpConfig {
        asn,
        peer_asn: Some(ASN),
        peers: vec![r1.ip().into()],
        families: vec!["ipv4-unicast"],
        ..GobgpConfig::default()
    }
}

fn frr_config(f1: &Node, r1: &Node) -> String {
    let (me, peer) = (f1.ip(), r1.ip());
    format!(
        "frr defaults traditional\nhostname f1\nrouter bgp {CUSTOMER}\n bgp router-id {me}\n \
         no bgp ebgp-requires-policy\n no bgp network import-check\n \
         neighbor {peer} remote-as {ASN}\n neighbor {peer} timers connect 1\n \
         address-family ipv4 unicast\n  network {LOOPED} route-map looped\n \
         exit-address-family\nexit\n\
         route-map looped permit 10\n set as-path prepend {ASN}\nexit\n"
    ) + &networks(
        &[
            "10.11.1.0/24",
            "10.11.3.0/24",
            "10.66.0.0/24",
            "10.11.0.0/16",
            "10.11.2.0/26",
        ],
        true,
    )
}

/// What FRR originates, or no longer.
fn networks(prefixes: &[&str], wanted: bool) -> String {
    let no = if wanted { "" } else { "no " };
    let lines: String = prefixes
        .iter()
        .map(|prefix| format!("  {no}network {prefix}\n"))
        .collect();
    format!(
        "router bgp {CUSTOMER}\n address-family ipv4 unicast\n{lines} exit-address-family\nexit\n"
    )
}
