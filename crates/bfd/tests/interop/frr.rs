//! Sessions with FRR's bfdd.
//!
//! ```text
//!   c1: Chanter --- underlay --- f1: bfdd        (multihop: both by way of r1)
//! ```
//!
//! 1. The session comes up at both ends, at the speed that both asked for.
//! 2. A wire that drops everything is noticed within the detection time, and mended it is Up again.
//! 3. So is the end of bfdd by SIGKILL, and its restart.
//! 4. New timers are agreed upon without leaving Up.
//! 5. `shutdown` at bfdd says so; ours says so to bfdd.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use chanter_bfd::{Bfd, BfdPeer, BfdState, BfdWatch, Diagnostic};
use chanter_interop::*;

use crate::bfdd::Bfdd;
use crate::support::*;

/// What the scheduler and `bridge` may take on a busy machine beside the detection time itself.
const SLACK: Duration = Duration::from_millis(500);

#[test]
fn single_hop_ipv4() -> Result<(), Failure> {
    in_lab(|lab| {
        let (c1, f1) = (lab.node("c1", 11)?, lab.node("f1", 12)?);
        let peer = format!("{} local-address {} interface eth0", c1.ip(), f1.ip());
        let frr = Bfdd::start(lab, &f1, std::slice::from_ref(&peer))?;
        let watched = BfdPeer::single_hop(f1.ip().into());
        Case { c1, f1, frr, peer }.run(watched)
    })
}

#[test]
fn single_hop_ipv6_link_local() -> Result<(), Failure> {
    in_lab(|lab| {
        let (c1, f1) = (lab.node("c1", 11)?, lab.node("f1", 12)?);
        let (ours, theirs) = (link_local(&c1)?, link_local(&f1)?);
        let peer = format!("{ours} local-address {theirs} interface eth0");
        let frr = Bfdd::start(lab, &f1, std::slice::from_ref(&peer))?;
        let watched = BfdPeer {
            interface: Some("eth0".to_owned()),
            ..BfdPeer::single_hop(theirs.parse()?)
        };
        Case { c1, f1, frr, peer }.run(watched)
    })
}

#[test]
fn multihop() -> Result<(), Failure> {
    in_lab(|lab| {
        let (c1, f1) = (lab.node("c1", 11)?, lab.node("f1", 12)?);
        let r1 = lab.node("r1", 13)?;
        let (ours, theirs) = ("10.98.0.11", "10.98.0.12");
        r1.namespace.sh("for scope in all eth0; do
                echo 0 >/proc/sys/net/ipv4/conf/$scope/send_redirects
            done
            echo 1 >/proc/sys/net/ipv4/ip_forward")?;
        for (node, address, other) in [(&c1, ours, theirs), (&f1, theirs, ours)] {
            let at = &node.namespace;
            at.ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"])?;
            at.ip(&["route", "add", other, "via", &r1.ip().to_string()])?;
            r1.namespace
                .ip(&["route", "add", address, "via", &node.ip().to_string()])?;
        }
        let peer = format!("{ours} multihop local-address {theirs}");
        let frr = Bfdd::start(lab, &f1, std::slice::from_ref(&peer))?;
        let watched = BfdPeer {
            minimum_ttl: 254,
            ..BfdPeer::multihop(theirs.parse()?, Some(ours.parse()?))
        };
        Case { c1, f1, frr, peer }.run(watched)
    })
}

struct Case {
    c1: Node,
    f1: Node,
    frr: Bfdd,
    /// How bfdd calls its peer.
    peer: String,
}

impl Case {
    fn run(mut self, peer: BfdPeer) -> Result<()> {
        let peer = fast(peer);
        let bfd = start(&self.c1.namespace)?;
        let watch = bfd.watch(peer.clone());
        self.comes_up(&bfd, &watch).context("claim 1")?;
        self.dropped_wire(&bfd, &watch).context("claim 2")?;
        self.killed_peer(&bfd, &watch).context("claim 3")?;
        let watch = self.new_timers(&bfd, watch).context("claim 4")?;
        self.taken_down(&bfd, &watch).context("claim 5")
    }

    fn comes_up(&self, bfd: &Bfd, watch: &BfdWatch) -> Result<()> {
        wait_state(bfd, watch, BfdState::Up)?;
        self.frr.wait("status", "up")?;
        wait_until(secs(5), "both go at 100 ms", || {
            let status = session(bfd)?;
            ensure!(status.tx_interval == Some(INTERVAL), "{status:?}");
            ensure!(status.detection_time == Some(INTERVAL * 3), "{status:?}");
            let peer = self.frr.peer()?;
            ensure!(peer["remote-transmit-interval"] == 100, "{peer}");
            ensure!(peer["remote-detect-multiplier"] == 3, "{peer}");
            Ok(())
        })
    }

    fn dropped_wire(&self, bfd: &Bfd, watch: &BfdWatch) -> Result<()> {
        let detection_time = session(bfd)?.detection_time.context("it is Up")?;
        let cut = SystemTime::now();
        self.set_forwarding(false)?;
        wait_state(bfd, watch, BfdState::Down)?;
        let status = session(bfd)?;
        ensure!(
            status.diagnostic == Diagnostic::DETECTION_TIME_EXPIRED,
            "{status:?}"
        );
        let took = status.since.duration_since(cut)?;
        ensure!(took <= detection_time + SLACK, "noticed after {took:?}");
        self.frr.wait("status", "down")?;
        self.set_forwarding(true)?;
        wait_state(bfd, watch, BfdState::Up)?;
        self.frr.wait("status", "up")
    }

    /// Whether the underlay's bridge passes on what f1 sends and is sent; the link stays up, so that
    /// nothing but BFD can tell.
    fn set_forwarding(&self, on: bool) -> Result<()> {
        let (fabric, port) = ("chit-fab", self.f1.name.as_str());
        let state = if on { "3" } else { "0" };
        run(&[
            "bridge", "-n", fabric, "link", "set", "dev", port, "state", state,
        ])
        .map(drop)
    }

    fn killed_peer(&mut self, bfd: &Bfd, watch: &BfdWatch) -> Result<()> {
        let detection_time = session(bfd)?.detection_time.context("it is Up")?;
        let killed = SystemTime::now();
        self.frr.kill_bfdd()?;
        wait_state(bfd, watch, BfdState::Down)?;
        let took = session(bfd)?.since.duration_since(killed)?;
        ensure!(took <= detection_time + SLACK, "noticed after {took:?}");
        self.frr.start_bfdd()?;
        wait_state(bfd, watch, BfdState::Up)?;
        self.frr.wait("status", "up")
    }

    fn new_timers(&self, bfd: &Bfd, watch: BfdWatch) -> Result<BfdWatch> {
        let before = session(bfd)?;
        let slower = BfdPeer {
            min_tx: INTERVAL * 4,
            min_rx: INTERVAL * 2,
            multiplier: 5,
            ..watch.peer().clone()
        };
        let again = bfd.watch(slower);
        drop(watch);
        wait_until(secs(10), "the new timers hold", || {
            let status = session(bfd)?;
            ensure!(status.tx_interval == Some(INTERVAL * 4), "{status:?}");
            ensure!(status.detection_time == Some(INTERVAL * 6), "{status:?}");
            let peer = self.frr.peer()?;
            ensure!(peer["remote-transmit-interval"] == 400, "{peer}");
            ensure!(peer["remote-receive-interval"] == 200, "{peer}");
            ensure!(peer["remote-detect-multiplier"] == 5, "{peer}");
            Ok(())
        })?;
        let peer_line = format!("peer {}", self.peer);
        self.frr.configure(&[&peer_line, "transmit-interval 300"])?;
        wait_until(secs(10), "so do those of bfdd", || {
            let status = session(bfd)?;
            ensure!(status.detection_time == Some(INTERVAL * 9), "{status:?}");
            Ok(())
        })?;
        let after = session(bfd)?;
        ensure!(
            again.state() == BfdState::Up && after.downs == before.downs,
            "{after:?}"
        );
        ensure!(
            after.local_discriminator == before.local_discriminator,
            "{after:?}"
        );
        Ok(again)
    }

    fn taken_down(&self, bfd: &Bfd, watch: &BfdWatch) -> Result<()> {
        let peer_line = format!("peer {}", self.peer);
        self.frr.configure(&[&peer_line, "shutdown"])?;
        wait_state(bfd, watch, BfdState::Down)?;
        wait_until(secs(5), "the peer's operator did it", || {
            ensure!(watch.signal().peer_admin_down, "{:?}", watch.signal());
            Ok(())
        })?;
        self.frr.configure(&[&peer_line, "no shutdown"])?;
        wait_state(bfd, watch, BfdState::Up)?;
        self.frr.wait("status", "up")?;
        stop(bfd)?;
        self.frr.wait("status", "down")?;
        self.frr.wait("remote-diagnostic", "administratively down")
    }
}

fn link_local(node: &Node) -> Result<String> {
    let shown = node
        .namespace
        .ip(&["-o", "addr", "show", "dev", "eth0", "scope", "link"])?;
    let address = shown
        .split_whitespace()
        .find(|word| word.starts_with("fe80:"));
    let address = address.and_then(|address| address.split('/').next());
    Ok(address.context("a link-local address")?.to_owned())
}
