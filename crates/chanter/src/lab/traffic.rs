//! Pings between endpoints, and who heard them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::echo::{EchoPlan, EchoStats, echo};
use super::netns;
use super::topology::{Network, Topology, endpoint_addrs};

/// Pings at a time: each is a thread.
const PARALLEL: usize = 16;
/// Requests of a check.
const REQUESTS: u16 = 3;
/// Time between requests of a check.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// Time between requests of the ping that runs through a restart.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(10);

/// What the pings of a mesh came to.
#[derive(Debug, Default)]
pub(crate) struct MeshResult {
    /// Pairs that answered, and all pairs: IPv4, then IPv6.
    pub(crate) answered: [(usize, usize); 2],
    /// Pairs that did not, in words.
    pub(crate) failures: Vec<String>,
    /// The longest round trip.
    pub(crate) slowest: Duration,
}

/// Pings between all endpoints of each network, in both directions and both IP versions.
pub(crate) async fn ping_mesh(lab: &Topology) -> anyhow::Result<MeshResult> {
    let permits = Arc::new(Semaphore::new(PARALLEL));
    let mut pings = JoinSet::new();
    for (network, from) in lab.endpoints() {
        for to in lab.node_numbers().filter(|to| *to != from) {
            for target in endpoint_addrs(to) {
                let (place, permits) = (network.endpoint(from), Arc::clone(&permits));
                let namespace = lab.name.namespace(&place);
                pings.spawn(async move {
                    let _permit = permits.acquire().await;
                    let stats = ping(namespace, target, REQUESTS).await;
                    (format!("{place} to {target}"), target, stats)
                });
            }
        }
    }
    let mut result = MeshResult::default();
    while let Some(finished) = pings.join_next().await {
        let (pair, target, stats) = finished?;
        let stats = stats?;
        let (answered, all) = &mut result.answered[usize::from(target.is_ipv6())];
        *all += 1;
        if stats.lost() == 0 {
            *answered += 1;
        } else {
            result.failures.push(format!(
                "{pair}: {} of {} answered",
                stats.received, stats.sent
            ));
        }
        result.slowest = result.slowest.max(stats.slowest.unwrap_or_default());
    }
    result.failures.sort();
    Ok(result)
}

/// Pings `target` from inside a namespace.
pub(crate) async fn ping(
    namespace: String,
    target: IpAddr,
    count: u16,
) -> anyhow::Result<EchoStats> {
    let plan = EchoPlan {
        target,
        count,
        interval: CHECK_INTERVAL,
        patience: Duration::from_secs(1),
    };
    let task = move || echo(&namespace, plan, &AtomicBool::new(false));
    tokio::task::spawn_blocking(task).await?
}

/// ICMP echo requests that the endpoint has heard since it was made, both IP versions.
pub(crate) fn echoes_heard(lab: &Topology, network: Network, node: u8) -> anyhow::Result<u64> {
    netns::inside(&lab.name.namespace(&network.endpoint(node)), || {
        // Of the thread, which is in the namespace; the process is not.
        let v4 = std::fs::read_to_string("/proc/thread-self/net/snmp").context("snmp")?;
        let v6 = std::fs::read_to_string("/proc/thread-self/net/snmp6").context("snmp6")?;
        Ok(column(&v4, "Icmp:", "InEchos") + line(&v6, "Icmp6InEchos"))
    })
}

/// A value of /proc/net/snmp: a line of names, then a line of values.
fn column(text: &str, section: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter(|line| line.starts_with(section));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return 0;
    };
    let position = names.split_whitespace().position(|word| word == name);
    let value = position.and_then(|at| values.split_whitespace().nth(at));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// A value of /proc/net/snmp6: a name and a value in each line.
fn line(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

/// A ping that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Probe {
    /// What it shows: `red1 to 10.0.0.2`.
    pub(crate) name: String,
    stop: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<EchoStats>>,
}

impl Probe {
    /// Starts pinging `target` from the endpoint of `network` on node `from`.
    pub(crate) fn start(lab: &Topology, network: Network, from: u8, target: IpAddr) -> Self {
        let place = network.endpoint(from);
        let namespace = lab.name.namespace(&place);
        let stop = Arc::new(AtomicBool::new(false));
        let plan = EchoPlan {
            target,
            count: u16::MAX,
            interval: PROBE_INTERVAL,
            patience: Duration::from_secs(1),
        };
        let flag = Arc::clone(&stop);
        let task = tokio::task::spawn_blocking(move || echo(&namespace, plan, &flag));
        Self {
            name: format!("{place} to {target}"),
            stop,
            task,
        }
    }

    /// Stops it, and waits for the last replies.
    pub(crate) async fn finish(mut self) -> anyhow::Result<EchoStats> {
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.task).await?
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found() {
        let v4 = "Ip: A\nIp: 1\nIcmp: InMsgs InErrors InEchos\nIcmp: 7 0 5\nIcmpMsg: X\n";
        assert_eq!(column(v4, "Icmp:", "InEchos"), 5);
        assert_eq!(column(v4, "Icmp:", "Missing"), 0);
        let v6 = "Icmp6InEchoReplies              \t9\nIcmp6InEchos                    \t4\n";
        assert_eq!(line(v6, "Icmp6InEchos"), 4);
    }
}
