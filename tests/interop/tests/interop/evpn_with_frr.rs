//! An FRR node and a Chanter node in one EVPN, packets included.
//!
//! ```text
//!   vm1 -- n1: chanter agent ---- iBGP, directly ---- f1: FRR, bridge and VXLAN -- vm2
//!                           \                        /
//!                            '---- rr: chanter rr --'
//! ```
//!
//! 1. Types 2 and 3 reach FRR and those of FRR reach Chanter.
//! 2. vm1 and vm2 ping each other, IPv4 and IPv6.
//! 3. A detach reaches FRR, and vm1 is cut off.
//! 4. After bgpd has restarted, and after the agent has been killed and started again, they ping
//!    again.

use anyhow::Result;
use chanter_interop::*;

const VNI: u32 = 5002;

#[test]
fn as_direct_peers() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, f1) = (lab.node("n1", 11)?, lab.node("f1", 12)?);
        let frr = FrrConfig {
            peers: vec![n1.ip().into()],
            ..Default::default()
        };
        let agent = AgentConfig {
            peers: vec![f1.ip().into()],
            ..Default::default()
        };
        let mut pair = Pair::start(lab, &n1, &f1, &agent, &frr)?;
        pair.frr.wait_established(n1.ip().into())?;
        pair.meet()?;
        pair.part_and_meet_again()?;
        pair.restart_each()
    })
}

#[test]
fn through_a_chanter_reflector() -> Result<(), Failure> {
    in_lab(|lab| {
        let (n1, f1, rr) = (lab.node("n1", 11)?, lab.node("f1", 12)?, lab.node("rr", 2)?);
        let mut reflector = Reflector::start(lab, &rr)?;
        let frr = FrrConfig {
            peers: vec![rr.ip().into()],
            ..Default::default()
        };
        let agent = AgentConfig {
            peers: vec![rr.ip().into()],
            ..Default::default()
        };
        let pair = Pair::start(lab, &n1, &f1, &agent, &frr)?;
        pair.frr.wait_established(rr.ip().into())?;
        pair.meet()?;
        pair.part_and_meet_again()?;
        reflector.restart()?;
        pair.frr.wait_established(rr.ip().into())?;
        pair.agent.wait_established(1)?;
        pair.meet()
    })
}

struct Pair {
    agent: Agent,
    frr: Frr,
    vm1: Endpoint,
    vm2: Endpoint,
}

impl Pair {
    fn start(
        lab: &Lab,
        n1: &Node,
        f1: &Node,
        agent: &AgentConfig,
        frr: &FrrConfig,
    ) -> Result<Self> {
        let frr = Frr::start(lab, f1, frr)?;
        frr.vtep(VNI)?;
        let agent = Agent::start(lab, n1, agent)?;
        agent.wait_established(1)?;
        let vm1 = n1.endpoint(
            "vm1",
            "02:00:00:00:03:01",
            &["192.168.9.1/24", "2001:db8:9::1/64"],
        )?;
        let vm2 = f1.endpoint(
            "vm2",
            "02:00:00:00:03:02",
            &["192.168.9.2/24", "2001:db8:9::2/64"],
        )?;
        agent.attach(VNI, &vm1)?;
        frr.plug(VNI, &vm2)?;
        Ok(Self {
            agent,
            frr,
            vm1,
            vm2,
        })
    }

    /// Claims 1 and 2.
    fn meet(&self) -> Result<()> {
        wait_until(secs(60), "1: routes both ways", || {
            for address in 0..self.vm1.addresses.len() {
                self.frr
                    .check_mac(&self.vm1.mac, Some(self.vm1.address(address).parse()?))?;
            }
            self.frr.check_multicast(self.agent.node.ip().into())?;
            self.agent.check_mac(&self.vm2.mac, "")?;
            self.agent.check_multicast(self.frr.node.ip().into())
        })?;
        for address in 0..self.vm1.addresses.len() {
            self.vm1.expect_ping(self.vm2.address(address), secs(30))?;
            self.vm2.expect_ping(self.vm1.address(address), secs(30))?;
        }
        Ok(())
    }

    /// Claim 3.
    fn part_and_meet_again(&self) -> Result<()> {
        self.agent.detach(VNI, &self.vm1)?;
        wait_until(secs(30), "3: the withdrawal", || {
            self.frr.check_no_mac(&self.vm1.mac)
        })?;
        self.vm2.expect_no_ping(self.vm1.address(0))?;
        self.agent.attach(VNI, &self.vm1)?;
        self.meet()
    }

    /// Claim 4.
    fn restart_each(&mut self) -> Result<()> {
        self.frr.restart()?;
        self.frr.wait_established(self.agent.node.ip().into())?;
        self.meet()?;
        self.agent.kill()?;
        self.agent.spawn()?;
        self.agent.wait_established(1)?;
        self.meet()
    }
}
