//! The tools of bagpipe-bgp, real and ours, against both daemons.
//!
//! ```text
//!   n1: a daemon (chanter, chanter as bagpipe-bgp, or bagpipe-bgp) + the tools ---- g1: GoBGP
//! ```
//!
//! 1. `bagpipe-rest-attach` attaches a network namespace that it makes; the route reaches GoBGP.
//! 2. `bagpipe-looking-glass summary BGP_established_peers` prints 1, and a walk over everything
//!    (`-r`) shows the instance.
//! 3. `bagpipe-rest-attach --detach` withdraws the route.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use chanter_interop::*;

const MAC: &str = "52:54:00:99:99:22";

#[test]
fn real_tools_and_chanter() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, gobgp) = setup(lab)?;
        let config = AgentConfig {
            peers: vec![gobgp.node.ip().into()],
            ..Default::default()
        };
        let agent = Agent::start(lab, &n1, &config)?;
        agent.wait_established(1)?;
        use_tools(&gobgp, |tool, arguments| real_tool(&n1, tool, arguments))
    })
}

#[test]
fn real_tools_and_chanter_in_place_of_bagpipe_bgp() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, gobgp) = setup(lab)?;
        let peers = [gobgp.node.ip()];
        let agent = Agent::start_as_bagpipe(lab, &n1, &peers, BagpipeDataplane::Linux)?;
        agent.wait_established(1)?;
        use_tools(&gobgp, |tool, arguments| real_tool(&n1, tool, arguments))
    })
}

#[test]
fn our_tools_and_chanter() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, gobgp) = setup(lab)?;
        let config = AgentConfig {
            peers: vec![gobgp.node.ip().into()],
            ..Default::default()
        };
        let agent = Agent::start(lab, &n1, &config)?;
        agent.wait_established(1)?;
        use_tools(&gobgp, |tool, arguments| persona(&n1, tool, arguments))
    })
}

#[test]
fn our_tools_and_bagpipe_bgp() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, gobgp) = setup(lab)?;
        let peers = [gobgp.node.ip()];
        let bagpipe = Bagpipe::start(lab, &n1, &peers, BagpipeDataplane::Dummy)?;
        bagpipe.wait_established(1)?;
        use_tools(&gobgp, |tool, arguments| persona(&n1, tool, arguments))
    })
}

/// What claims rely on: the real tools do this with the real daemon.
#[test]
fn real_tools_and_bagpipe_bgp() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, gobgp) = setup(lab)?;
        let peers = [gobgp.node.ip()];
        let bagpipe = Bagpipe::start(lab, &n1, &peers, BagpipeDataplane::Dummy)?;
        bagpipe.wait_established(1)?;
        use_tools(&gobgp, |tool, arguments| real_tool(&n1, tool, arguments))
    })
}

/// The node, and GoBGP as a reflector that waits for it.
fn setup(lab: &Lab) -> Result<(Node, Gobgp)> {
    let (n1, g1) = (lab.node("n1", 11)?, lab.node("g1", 12)?);
    let reflecting = GobgpConfig {
        listen: true,
        reflector: true,
        rt_constraint: true,
        ..Default::default()
    };
    let gobgp = Gobgp::start(lab, &g1, &reflecting)?;
    Ok((n1, gobgp))
}

fn use_tools(gobgp: &Gobgp, run: impl Fn(&str, &[&str]) -> Result<String>) -> Result<()> {
    let ip: Ipv4Addr = "12.11.11.1".parse()?;
    let attach = |operation: &str| {
        run(
            "bagpipe-rest-attach",
            &[
                operation,
                "--network-type",
                "evpn",
                "--vpn-instance-id",
                "test",
                "--port",
                "netns",
                "--ip",
                "12.11.11.1",
                "--mac",
                MAC,
                "--rt",
                "64512:90",
                "--vni",
                "90",
                "--netns",
                "chit-made",
            ],
        )
    };
    let printed = attach("--attach")?;
    ensure!(printed.contains("response: 200"), "1: {printed}");
    wait_until(secs(30), "1: the route", || {
        gobgp.mac_path(MAC, Some(ip.into())).map(drop)
    })?;

    let glass = |arguments: &[&str]| run("bagpipe-looking-glass", arguments);
    let established = glass(&["summary", "BGP_established_peers"])?;
    ensure!(established.trim() == "1", "2: {established}");
    let walk = glass(&["-r"])?;
    ensure!(
        walk.contains("test") && walk.contains("64512:90"),
        "2: {walk}"
    );
    let targets = glass(&["vpns", "instances", "test", "route_targets", "import"])?;
    ensure!(targets.contains("64512:90"), "2: {targets}");

    let printed = attach("--detach")?;
    ensure!(printed.contains("response: 200"), "3: {printed}");
    wait_until(secs(30), "3: the withdrawal", || gobgp.check_no_mac(MAC))
}
