//! An agent is killed and started again, and nothing else notices.
//!
//! ```text
//!                       .--- g1: GoBGP, which keeps the routes of a restarting peer (RFC 4724)
//!   vm1 -- n1: chanter agent ---.
//!                                rr: chanter rr
//!   vm2 -- n2: chanter agent ---'
//! ```
//!
//! While n1's agent is killed with SIGKILL, absent for two seconds, and started again:
//! 1. GoBGP keeps vm1's route, and has it afresh afterwards;
//! 2. no link, address, neighbour or FDB entry of n1 or n2 is deleted or changed;
//! 3. vm1 and vm2 lose no packet, IPv4 and IPv6.
//!
//! Afterwards:
//! 4. a detach is a withdrawal: what was adopted is really owned.

use anyhow::{Result, ensure};
use chanter_interop::*;

const VNI: u32 = 5004;

#[test]
fn a_killed_agent_loses_nothing() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, n2) = (lab.node("n1", 11)?, lab.node("n2", 12)?);
        let (rr, g1) = (lab.node("rr", 2)?, lab.node("g1", 13)?);
        let _reflector = Reflector::start(lab, &rr)?;
        let helping = GobgpConfig {
            peers: vec![n1.ip().into()],
            graceful_restart: true,
            ..Default::default()
        };
        let gobgp = Gobgp::start(lab, &g1, &helping)?;
        let both = AgentConfig {
            peers: vec![rr.ip().into(), g1.ip().into()],
            ..Default::default()
        };
        let mut agent = Agent::start(lab, &n1, &both)?;
        let other = AgentConfig {
            peers: vec![rr.ip().into()],
            ..Default::default()
        };
        let other = Agent::start(lab, &n2, &other)?;
        let vm1 = n1.endpoint(
            "vm1",
            "02:00:00:00:05:01",
            &["192.168.9.1/24", "2001:db8:9::1/64"],
        )?;
        let vm2 = n2.endpoint(
            "vm2",
            "02:00:00:00:05:02",
            &["192.168.9.2/24", "2001:db8:9::2/64"],
        )?;
        agent.attach(VNI, &vm1)?;
        other.attach(VNI, &vm2)?;
        agent.wait_established(2)?;
        vm1.expect_ping(vm2.address(0), secs(60))?;
        vm1.expect_ping(vm2.address(1), secs(60))?;

        let monitors = [
            KernelMonitor::start(lab, &n1)?,
            KernelMonitor::start(lab, &n2)?,
        ];
        let pings = [
            Ping::start(lab, &vm1, vm2.address(0))?,
            Ping::start(lab, &vm2, vm1.address(1))?,
        ];
        restart(&mut agent, &gobgp, &vm1)?;
        for ping in &pings {
            ping.expect_replies(50, secs(30))?;
        }
        for ping in pings {
            let report = ping.stop()?;
            ensure!(report.sent == report.received, "3: {report:?}");
        }
        for monitor in monitors {
            let events = monitor.stop()?;
            ensure!(events.is_empty(), "2: the kernel told of {events:#?}");
        }
        agent.detach(VNI, &vm1)?;
        wait_until(secs(30), "4: the withdrawal", || {
            gobgp.check_no_mac(&vm1.mac)
        })
    })
}

/// Kills the agent, starts it again, and watches GoBGP's view of vm1 all the time.
fn restart(agent: &mut Agent, gobgp: &Gobgp, vm1: &Endpoint) -> Result<()> {
    let ip = vm1.address(0).parse()?;
    let kept = || gobgp.mac_path(&vm1.mac, Some(ip)).map(drop);
    agent.kill()?;
    always(secs(2), "1: GoBGP keeps the route without the agent", kept)?;
    agent.spawn()?;
    wait_until(secs(60), "1: GoBGP has the route afresh", || {
        // Asked in this order: once the session is up again, a route that is not stale is a new
        // one.
        gobgp.check_established(agent.node.ip().into())?;
        let path = gobgp.mac_path(&vm1.mac, Some(ip))?;
        ensure!(path["stale"] != true, "still stale: {path}");
        Ok(())
    })?;
    agent.wait_established(2)?;
    always(secs(3), "1: GoBGP keeps the route with the new agent", kept)
}
