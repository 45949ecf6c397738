//! The peers without Chanter. What they do among themselves is what the other tests take for
//! granted, so a peer that does not work here explains a failure there.
//!
//! ```text
//!   b1: bagpipe-bgp ---.
//!                       rr: GoBGP, route reflector
//!   f1: FRR, VTEP -----'
//! ```
//!
//! 1. Types 2 and 3 of bagpipe-bgp reach FRR, those of FRR reach bagpipe-bgp, those of GoBGP reach
//!    both.
//! 2. A detach reaches FRR; GoBGP's withdrawals reach both.

use chanter_interop::*;

const VNI: u32 = 5000;

#[test]
fn bagpipe_and_frr_meet_at_gobgp() -> Result<(), Failure> {
    in_lab(|lab| {
        let (rr, b1, f1) = (lab.node("rr", 2)?, lab.node("b1", 11)?, lab.node("f1", 12)?);
        let reflecting = GobgpConfig {
            listen: true,
            reflector: true,
            rt_constraint: true,
            ..Default::default()
        };
        let gobgp = Gobgp::start(lab, &rr, &reflecting)?;
        let bagpipe = Bagpipe::start(lab, &b1, &[rr.ip()], BagpipeDataplane::Dummy)?;
        let frr = Frr::start(
            lab,
            &f1,
            &FrrConfig {
                peers: vec![rr.ip().into()],
                ..Default::default()
            },
        )?;
        frr.vtep(VNI)?;
        frr.wait_established(rr.ip().into())?;
        bagpipe.wait_established(1)?;
        gobgp.check_established(b1.ip().into())?;

        let vm1 = b1.endpoint("vm1", "02:00:00:00:01:01", &["192.168.9.1/24"])?;
        let vm2 = f1.endpoint("vm2", "02:00:00:00:01:02", &["192.168.9.2/24"])?;
        let (mac3, ip3) = ("02:00:00:00:01:03", "192.168.9.3".parse()?);
        bagpipe.attach(VNI, &vm1)?;
        frr.plug(VNI, &vm2)?;
        gobgp.add_mac(mac3, ip3, VNI)?;
        gobgp.add_multicast(VNI)?;
        wait_until(secs(30), "routes both ways", || {
            frr.check_mac(&vm1.mac, Some(vm1.address(0).parse()?))?;
            frr.check_mac(mac3, Some(ip3))?;
            frr.check_multicast(b1.ip().into())?;
            frr.check_multicast(rr.ip().into())?;
            bagpipe.check_mac(VNI, &vm2.mac, "")?;
            bagpipe.check_mac(VNI, mac3, "192.168.9.3")?;
            bagpipe.check_multicast(VNI, f1.ip())?;
            bagpipe.check_multicast(VNI, rr.ip())
        })?;
        gobgp.mac_path(&vm1.mac, Some(vm1.address(0).parse()?))?;
        gobgp.mac_path(&vm2.mac, None)?;
        gobgp.multicast_path(f1.ip().into())?;

        bagpipe.detach(VNI, &vm1)?;
        gobgp.remove_mac(mac3, ip3, VNI)?;
        gobgp.remove_multicast(VNI)?;
        wait_until(secs(30), "the withdrawals", || {
            gobgp.check_no_mac(&vm1.mac)?;
            frr.check_no_mac(&vm1.mac)?;
            frr.check_no_mac(mac3)
        })
    })
}

/// What `restart` relies on: a change would be heard.
#[test]
fn the_kernel_monitor_hears_of_changes() -> Result<(), Failure> {
    in_lab(|lab| {
        let node = lab.node("n1", 11)?;
        let vm1 = node.endpoint("vm1", "02:00:00:00:01:01", &["192.168.9.1/24"])?;
        let at = &node.namespace;
        let monitor = KernelMonitor::start(lab, &node)?;
        anyhow::ensure!(monitor.stop()?.is_empty(), "an event without a change");
        let changes: [&dyn Fn() -> anyhow::Result<String>; 4] = [
            &|| at.ip(&["link", "set", "dev", &vm1.port, "mtu", "1450"]),
            &|| at.ip(&["addr", "add", "192.168.8.1/24", "dev", &vm1.port]),
            &|| {
                at.ip(&[
                    "neigh",
                    "add",
                    "192.168.8.2",
                    "lladdr",
                    &vm1.mac,
                    "dev",
                    &vm1.port,
                ])
            },
            &|| at.bridge(&["fdb", "add", &vm1.mac, "dev", &vm1.port, "self"]),
        ];
        for (number, change) in changes.iter().enumerate() {
            let monitor = KernelMonitor::start(lab, &node)?;
            change()?;
            anyhow::ensure!(!monitor.stop()?.is_empty(), "change {number} was not heard");
        }
        Ok(())
    })
}
