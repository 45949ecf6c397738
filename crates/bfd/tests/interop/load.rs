//! Two services of ours under load, and beside trouble.
//!
//! ```text
//!   c1: Chanter --- underlay --- c2: Chanter
//! ```
//!
//! 1. A hundred sessions at 3 times 50 ms stay Up while every processor is busy.
//! 2. A restart of one service brings all of them up anew.
//! 3. A packet from beyond the link (TTL below 255) or with authentication counts for nothing.
//! 4. A port that is taken, a device that is not there yet: said in the status, and tried again.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chanter_bfd::{Bfd, BfdPeer, BfdState, BfdWatch, Diagnostic, Packet};
use chanter_interop::*;

use crate::support::*;

const SESSIONS: u8 = 100;

fn address(node: u8, number: u8) -> IpAddr {
    Ipv4Addr::new(10, 97, node, number).into()
}

fn watch_all(bfd: &Bfd, ours: u8, theirs: u8) -> Vec<BfdWatch> {
    let peer = |number| BfdPeer {
        local: Some(address(ours, number)),
        min_tx: Duration::from_millis(50),
        min_rx: Duration::from_millis(50),
        multiplier: 3,
        ..BfdPeer::single_hop(address(theirs, number))
    };
    (1..=SESSIONS)
        .map(|number| bfd.watch(peer(number)))
        .collect()
}

fn wait_all_up(bfd: &Bfd) -> Result<()> {
    wait_until(secs(20), "all sessions are Up", || {
        let all = sessions(bfd)?;
        let up = all.iter().filter(|status| status.state == BfdState::Up);
        ensure!(up.count() == usize::from(SESSIONS), "{:?}", all.first());
        Ok(())
    })
}

#[test]
fn a_hundred_sessions_on_a_busy_machine() -> Result<(), Failure> {
    in_lab(|lab| {
        let (c1, c2) = (lab.node("c1", 11)?, lab.node("c2", 12)?);
        for (node, number) in [(&c1, 1), (&c2, 2)] {
            let script = format!(
                "for i in $(seq {SESSIONS}); do ip addr add 10.97.{number}.$i/16 dev eth0; done"
            );
            node.namespace.sh(&script)?;
        }
        let bfd = [start(&c1.namespace)?, start(&c2.namespace)?];
        let _watches = [watch_all(&bfd[0], 1, 2), watch_all(&bfd[1], 2, 1)];
        wait_all_up(&bfd[0])?;
        wait_all_up(&bfd[1])?;
        while_busy(Duration::from_secs(5));
        for bfd in &bfd {
            for status in sessions(bfd)? {
                ensure!(status.downs == 0, "claim 1: {status:?}");
                ensure!(status.discarded == 0, "claim 1: {status:?}");
            }
        }

        stop(&bfd[1]).context("claim 2")?;
        let down = sessions(&bfd[0])?;
        ensure!(
            down.iter().all(|status| status.state == BfdState::Down),
            "claim 2"
        );
        let again = start(&c2.namespace)?;
        let _watches = watch_all(&again, 2, 1);
        wait_all_up(&again).context("claim 2")?;
        wait_all_up(&bfd[0]).context("claim 2")
    })
}

#[test]
fn forged_packets_count_for_nothing() -> Result<(), Failure> {
    in_lab(|lab| {
        let (c1, c2) = (lab.node("c1", 11)?, lab.node("c2", 12)?);
        let bfd = start(&c1.namespace)?;
        let watch = bfd.watch(fast(BfdPeer::single_hop(c2.ip().into())));
        let down = Packet {
            diagnostic: Diagnostic::NONE,
            state: BfdState::Down,
            poll: false,
            is_final: false,
            control_plane_independent: false,
            authentication: None,
            demand: false,
            detect_mult: 3,
            my_discriminator: 9,
            your_discriminator: 0,
            desired_min_tx: 1_000_000,
            required_min_rx: 1_000_000,
            required_min_echo_rx: 0,
        };
        let mut authenticated = down.encode().to_vec();
        authenticated[1] |= 0x04;
        authenticated[3] = 28;
        authenticated.extend([4, 4, 0, 0]);
        let send = |ttl, octets: &[u8]| {
            c2.namespace.inside(|| {
                let socket = UdpSocket::bind("0.0.0.0:50000")?;
                socket.set_ttl(ttl)?;
                Ok(socket.send_to(octets, (c1.ip(), 3784))?)
            })
        };
        for (number, (ttl, octets, problem)) in [
            (254, &down.encode()[..], "TTL 254"),
            (255, &authenticated, "keyed SHA1"),
        ]
        .into_iter()
        .enumerate()
        {
            send(ttl, octets)?;
            wait_until(secs(5), "claim 3: it is counted", || {
                let status = session(&bfd)?;
                ensure!(status.discarded == number as u64 + 1, "{status:?}");
                let said = status.problem.context("no problem")?;
                ensure!(said.contains(problem), "{said}");
                Ok(())
            })?;
            ensure!(watch.state() == BfdState::Down, "claim 3");
        }
        // The same from the link, and without authentication, is heard.
        send(255, &down.encode())?;
        wait_state(&bfd, &watch, BfdState::Init)
    })
}

/// Keeps every processor busy.
fn while_busy(duration: Duration) {
    let stop = AtomicBool::new(false);
    let threads = 2 * std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let end = Instant::now() + duration;
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_not_there_yet_is_waited_for() -> Result<(), Failure> {
    in_lab(|lab| {
        let (c1, c2) = (lab.node("c1", 11)?, lab.node("c2", 12)?);
        let squatter = c1
            .namespace
            .inside(|| Ok(UdpSocket::bind("0.0.0.0:3784")?))?;
        let bfd = [start(&c1.namespace)?, start(&c2.namespace)?];
        let peers = [c2.ip(), c1.ip()].map(|ip| fast(BfdPeer::single_hop(ip.into())));
        let [one, two] = peers;
        let first = bfd[0].watch(one);
        let second = bfd[1].watch(two);
        wait_until(secs(5), "claim 4: the port is taken", || {
            let problem = session(&bfd[0])?.problem.context("no problem")?;
            ensure!(problem.contains("3784 is taken"), "{problem}");
            Ok(())
        })?;
        drop(squatter);
        wait_state(&bfd[0], &first, BfdState::Up)?;
        wait_state(&bfd[1], &second, BfdState::Up)?;
        drop((first, second));
        wait_until(secs(5), "nobody watches", || {
            ensure!(sessions(&bfd[0])?.is_empty() && sessions(&bfd[1])?.is_empty());
            Ok(())
        })?;

        let on = |addr: &str| -> Result<BfdPeer> {
            let interface = Some("late0".to_owned());
            Ok(fast(BfdPeer {
                interface,
                ..BfdPeer::single_hop(addr.parse()?)
            }))
        };
        let first = bfd[0].watch(on("10.96.0.2")?);
        let second = bfd[1].watch(on("10.96.0.1")?);
        wait_until(secs(5), "claim 4: the device is missing", || {
            let problem = session(&bfd[0])?.problem.context("no problem")?;
            ensure!(problem.contains("late0"), "{problem}");
            Ok(())
        })?;
        // Made twice: the second pair has the names of the first and other numbers.
        for _ in 0..2 {
            make_pair(&c1, &c2)?;
            wait_state(&bfd[0], &first, BfdState::Up)?;
            wait_state(&bfd[1], &second, BfdState::Up)?;
            c1.namespace.ip(&["link", "del", "dev", "late0"])?;
            wait_state(&bfd[0], &first, BfdState::Down)?;
            wait_state(&bfd[1], &second, BfdState::Down)?;
        }
        Ok(())
    })
}

fn make_pair(c1: &Node, c2: &Node) -> Result<()> {
    let other = c2.namespace.name();
    c1.namespace.ip(&[
        "link", "add", "late0", "type", "veth", "peer", "name", "late0", "netns", other,
    ])?;
    for (node, address) in [(c1, "10.96.0.1/24"), (c2, "10.96.0.2/24")] {
        node.namespace
            .ip(&["addr", "add", address, "dev", "late0"])?;
        node.namespace.ip(&["link", "set", "dev", "late0", "up"])?;
    }
    Ok(())
}
