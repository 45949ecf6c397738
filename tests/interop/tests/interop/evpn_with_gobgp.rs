//! EVPN routes between Chanter and GoBGP, field by field.
//!
//! ```text
//!   n1: chanter agent ---- iBGP ---- g1: GoBGP
//! ```
//!
//! 1. An attachment with an IPv4 and an IPv6 address is one type 2 route each, the instance one
//!    type 3 route; route target, encapsulation, VNI and tunnel endpoint are as declared (RFC
//!    8365).
//! 2. Types 2 and 3 of GoBGP are received.
//! 3. Withdrawals work both ways.
//! 4. After either side has restarted, both have everything again.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use chanter_interop::*;

const VNI: u32 = 5001;
const MAC2: &str = "02:00:00:00:02:02";
const IP2: &str = "192.168.9.2";

#[test]
fn types_2_and_3_both_ways() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, g1) = (lab.node("n1", 11)?, lab.node("g1", 12)?);
        let (mut gobgp, mut agent) = peers(lab, &n1, &g1)?;
        let vm1 = n1.endpoint(
            "vm1",
            "02:00:00:00:02:01",
            &["192.168.9.1/24", "2001:db8:9::1/64"],
        )?;
        agent.attach(VNI, &vm1)?;
        gobgp_advertises(&gobgp)?;
        wait_until(secs(30), "1, 2: routes both ways", || {
            complete(&gobgp, &agent, &vm1)
        })?;
        check_fields(
            &gobgp.mac_path(&vm1.mac, Some(vm1.address(0).parse()?))?,
            &n1,
        )?;
        check_fields(
            &gobgp.mac_path(&vm1.mac, Some(vm1.address(1).parse()?))?,
            &n1,
        )?;
        check_tunnel(&gobgp.multicast_path(n1.ip().into())?, &n1)?;

        agent.detach(VNI, &vm1)?;
        gobgp.remove_mac(MAC2, IP2.parse()?, VNI)?;
        gobgp.remove_multicast(VNI)?;
        wait_until(secs(30), "3: withdrawals both ways", || {
            gobgp.check_no_mac(&vm1.mac)?;
            agent.check_no_mac(MAC2)?;
            ensure!(
                gobgp.multicast_path(n1.ip().into()).is_err(),
                "type 3 is still there"
            );
            Ok(())
        })?;

        agent.attach(VNI, &vm1)?;
        gobgp.restart()?;
        gobgp_advertises(&gobgp)?;
        wait_until(secs(60), "4: after GoBGP's restart", || {
            complete(&gobgp, &agent, &vm1)
        })?;
        agent.stop()?;
        agent.spawn()?;
        wait_until(secs(60), "4: after Chanter's restart", || {
            agent.wait_established(1)?;
            complete(&gobgp, &agent, &vm1)
        })
    })
}

fn peers(lab: &Lab, n1: &Node, g1: &Node) -> Result<(Gobgp, Agent)> {
    let config = GobgpConfig {
        peers: vec![n1.ip().into()],
        ..Default::default()
    };
    let gobgp = Gobgp::start(lab, g1, &config)?;
    let config = AgentConfig {
        peers: vec![g1.ip().into()],
        ..Default::default()
    };
    let agent = Agent::start(lab, n1, &config)?;
    gobgp.wait_established(n1.ip().into())?;
    agent.wait_established(1)?;
    Ok((gobgp, agent))
}

fn gobgp_advertises(gobgp: &Gobgp) -> Result<()> {
    gobgp.add_mac(MAC2, IP2.parse()?, VNI)?;
    gobgp.add_multicast(VNI)
}

/// Each side has the other's routes.
fn complete(gobgp: &Gobgp, agent: &Agent, vm1: &Endpoint) -> Result<()> {
    for address in 0..vm1.addresses.len() {
        gobgp.mac_path(&vm1.mac, Some(vm1.address(address).parse()?))?;
    }
    gobgp.multicast_path(agent.node.ip().into())?;
    agent.check_mac(MAC2, IP2)?;
    agent.check_multicast(gobgp.node.ip().into())
}

/// What GoBGP makes of a type 2 route.
fn check_fields(path: &serde_json::Value, from: &Node) -> Result<()> {
    let (value, text) = (&path["nlri"]["value"], path["attrs"].to_string());
    ensure!(value["labels"][0] == VNI, "label: {value}");
    ensure!(value["etag"] == 0, "Ethernet tag: {value}");
    check_attributes(&text, from.ip().into())
}

/// What GoBGP makes of a type 3 route with its PMSI tunnel attribute (type 22; tunnel type 6 is
/// ingress replication, RFC 6514).
fn check_tunnel(path: &serde_json::Value, from: &Node) -> Result<()> {
    let attributes = path["attrs"].as_array().into_iter().flatten();
    let tunnel = attributes.clone().find(|attribute| attribute["type"] == 22);
    let tunnel = tunnel.map(ToString::to_string).unwrap_or_default();
    ensure!(
        tunnel.contains("\"label\":5001"),
        "no PMSI tunnel with the VNI: {}",
        path["attrs"]
    );
    ensure!(
        tunnel.contains(&from.ip().to_string()),
        "no tunnel endpoint: {tunnel}"
    );
    check_attributes(&path["attrs"].to_string(), from.ip().into())
}

fn check_attributes(text: &str, next_hop: IpAddr) -> Result<()> {
    ensure!(
        text.contains(&format!("\"{ASN}:{VNI}\"")),
        "route target: {text}"
    );
    ensure!(
        text.contains(&format!("\"{next_hop}\"")),
        "next hop: {text}"
    );
    // Encapsulation extended community: type 3, subtype 12, VXLAN is 8.
    ensure!(text.contains("\"tunnel_type\":8"), "encapsulation: {text}");
    Ok(())
}
