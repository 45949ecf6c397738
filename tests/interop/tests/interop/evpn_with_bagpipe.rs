//! A bagpipe-bgp node and a Chanter node in one EVPN, through each reflector that such sites have.
//!
//! ```text
//!   vm1 -- n1: chanter agent ----.
//!                                 rr: bagpipe-fakerr, chanter under that name, GoBGP, chanter rr
//!   vm2 -- b1: bagpipe-bgp ------'
//! ```
//!
//! 1. Types 2 and 3 go both ways.
//! 2. A detach on either side reaches the other.
//! 3. After a session reset (one of the three restarted) both have everything again.
//! 4. With bagpipe-bgp's dataplane driver `linux`, vm1 and vm2 ping each other. (A detach fails there
//!    with 500, a fault of that driver with later pyroute2; hence claim 2 with its driver `dummy`.)

use anyhow::Result;
use chanter_interop::*;

const VNI: u32 = 5003;

#[test]
fn through_its_fake_reflector() -> Result<(), Failure> {
    in_lab(|lab| {
        let rr = lab.node("rr", 2)?;
        let _reflector = FakeReflector::start(lab, &rr)?;
        let mut pair = Pair::start(lab, &rr, BagpipeDataplane::Dummy)?;
        pair.meet()?;
        pair.part_and_meet_again()?;
        // The fake reflector drops the other side too when one leaves.
        pair.agent.kill()?;
        pair.agent.spawn()?;
        pair.meet()
    })
}

#[test]
fn through_chanter_as_the_fake_reflector() -> Result<(), Failure> {
    in_lab(|lab| {
        let rr = lab.node("rr", 2)?;
        let _reflector = FakeReflector::start_persona(lab, &rr)?;
        let pair = Pair::start(lab, &rr, BagpipeDataplane::Dummy)?;
        pair.meet()?;
        pair.part_and_meet_again()
    })
}

#[test]
fn through_gobgp() -> Result<(), Failure> {
    in_lab(|lab| {
        let rr = lab.node("rr", 2)?;
        let reflecting = GobgpConfig {
            listen: true,
            reflector: true,
            rt_constraint: true,
            ..Default::default()
        };
        let mut reflector = Gobgp::start(lab, &rr, &reflecting)?;
        let pair = Pair::start(lab, &rr, BagpipeDataplane::Dummy)?;
        pair.meet()?;
        pair.part_and_meet_again()?;
        reflector.restart()?;
        pair.meet()
    })
}

#[test]
fn through_a_chanter_reflector() -> Result<(), Failure> {
    in_lab(|lab| {
        let rr = lab.node("rr", 2)?;
        let mut reflector = Reflector::start(lab, &rr)?;
        let mut pair = Pair::start(lab, &rr, BagpipeDataplane::Dummy)?;
        pair.meet()?;
        pair.part_and_meet_again()?;
        reflector.restart()?;
        pair.meet()?;
        pair.bagpipe.restart()?;
        // It remembers nothing: its clients attach again.
        pair.bagpipe.attach(VNI, &pair.vm2)?;
        pair.meet()
    })
}

#[test]
fn packets_through_gobgp() -> Result<(), Failure> {
    in_lab(|lab| {
        let rr = lab.node("rr", 2)?;
        let reflecting = GobgpConfig {
            listen: true,
            reflector: true,
            rt_constraint: true,
            ..Default::default()
        };
        let _reflector = Gobgp::start(lab, &rr, &reflecting)?;
        let pair = Pair::start(lab, &rr, BagpipeDataplane::Linux)?;
        pair.meet()?;
        pair.vm1.expect_ping(pair.vm2.address(0), secs(30))?;
        pair.vm2.expect_ping(pair.vm1.address(0), secs(30))
    })
}

struct Pair {
    agent: Agent,
    bagpipe: Bagpipe,
    vm1: Endpoint,
    vm2: Endpoint,
}

impl Pair {
    fn start(lab: &Lab, rr: &Node, dataplane: BagpipeDataplane) -> Result<Self> {
        let (n1, b1) = (lab.node("n1", 11)?, lab.node("b1", 12)?);
        let config = AgentConfig {
            peers: vec![rr.ip().into()],
            ..Default::default()
        };
        let agent = Agent::start(lab, &n1, &config)?;
        let bagpipe = Bagpipe::start(lab, &b1, &[rr.ip()], dataplane)?;
        let vm1 = n1.endpoint("vm1", "02:00:00:00:04:01", &["192.168.9.1/24"])?;
        let vm2 = b1.endpoint("vm2", "02:00:00:00:04:02", &["192.168.9.2/24"])?;
        agent.attach(VNI, &vm1)?;
        bagpipe.attach(VNI, &vm2)?;
        Ok(Self {
            agent,
            bagpipe,
            vm1,
            vm2,
        })
    }

    /// Claim 1. bagpipe-bgp comes back 20 to 30 s after a session broke.
    fn meet(&self) -> Result<()> {
        self.bagpipe.wait_established(1)?;
        self.agent.wait_established(1)?;
        wait_until(secs(60), "1: routes both ways", || {
            self.bagpipe
                .check_mac(VNI, &self.vm1.mac, self.vm1.address(0))?;
            self.bagpipe.check_multicast(VNI, self.agent.node.ip())?;
            self.agent.check_mac(&self.vm2.mac, self.vm2.address(0))?;
            self.agent.check_multicast(self.bagpipe.node.ip().into())
        })
    }

    /// Claim 2.
    fn part_and_meet_again(&self) -> Result<()> {
        // bagpipe-bgp's instance needs somebody left in it, or nothing is there to be looked at.
        let at = &self.bagpipe.node;
        let vm3 = at.endpoint("vm3", "02:00:00:00:04:03", &["192.168.9.3/24"])?;
        self.bagpipe.attach(VNI, &vm3)?;
        self.agent.detach(VNI, &self.vm1)?;
        self.bagpipe.detach(VNI, &self.vm2)?;
        wait_until(secs(30), "2: withdrawals both ways", || {
            self.bagpipe.check_no_mac(VNI, &self.vm1.mac)?;
            self.agent.check_no_mac(&self.vm2.mac)
        })?;
        self.agent.attach(VNI, &self.vm1)?;
        self.bagpipe.attach(VNI, &self.vm2)?;
        self.meet()
    }
}
