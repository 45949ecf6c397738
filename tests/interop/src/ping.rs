//! Reachability, measured by `ping`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::{Endpoint, Lab};
use crate::process::Process;
use crate::wait::wait_until;

/// What `ping` counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingReport {
    /// Echo requests sent.
    pub sent: u32,
    /// Echo replies received.
    pub received: u32,
}

impl PingReport {
    fn parse(text: &str) -> Result<Self> {
        // "20 packets transmitted, 20 received, 0% packet loss, time 1938ms"
        let line = text
            .lines()
            .find(|line| line.contains("packets transmitted"))
            .context("no summary of ping")?;
        let mut numbers = line
            .split(", ")
            .filter_map(|part| part.split(' ').next()?.parse().ok());
        let mut next = || {
            numbers
                .next()
                .with_context(|| format!("unexpected summary of ping: {line}"))
        };
        Ok(Self {
            sent: next()?,
            received: next()?,
        })
    }
}

impl Endpoint {
    /// Waits until `address` answers, then expects ten of ten answers.
    pub fn expect_ping(&self, address: &str, patience: Duration) -> Result<()> {
        wait_until(
            patience,
            &format!("{} answers {}", address, self.port),
            || self.ping_once(address),
        )?;
        let text = self
            .namespace
            .sh(&format!("ping -n -q -c 10 -i 0.05 -W 2 {address}"))?;
        let report = PingReport::parse(&text)?;
        ensure!(
            report
                == PingReport {
                    sent: 10,
                    received: 10
                },
            "{} pings {address}: {report:?}",
            self.port
        );
        Ok(())
    }

    /// One echo request, one reply.
    pub fn ping_once(&self, address: &str) -> Result<()> {
        self.namespace
            .sh(&format!("ping -n -q -c 1 -W 1 {address}"))
            .map(drop)
    }

    /// Expects that none of five echo requests is answered.
    pub fn expect_no_ping(&self, address: &str) -> Result<()> {
        let text = self
            .namespace
            .sh(&format!("ping -n -q -c 5 -i 0.2 -W 1 {address} || true"))?;
        let report = PingReport::parse(&text)?;
        ensure!(
            report
                == PingReport {
                    sent: 5,
                    received: 0
                },
            "{} should not reach {address}: {report:?}",
            self.port
        );
        Ok(())
    }
}

/// A ping that runs while something else happens.
#[derive(Debug)]
pub struct Ping {
    process: Process,
}

impl Ping {
    /// Starts pinging `address` from `endpoint`, fifty times a second.
    pub fn start(lab: &Lab, endpoint: &Endpoint, address: &str) -> Result<Self> {
        let name = format!("ping-{}", endpoint.port);
        let mut command = endpoint.namespace.command("ping");
        command.args(["-n", "-i", "0.02", "-W", "2", address]);
        Ok(Self {
            process: Process::spawn(&name, &mut command, lab.directory())?,
        })
    }

    /// Waits for `count` more replies.
    pub fn expect_replies(&self, count: usize, patience: Duration) -> Result<()> {
        let before = answered(&self.process.log()).len();
        wait_until(patience, "replies to a running ping", || {
            let now = answered(&self.process.log()).len();
            ensure!(now >= before + count, "{} of {count} replies", now - before);
            Ok(())
        })
    }

    /// Ends it. What was sent after the last reply does not count: it may have been on its way.
    pub fn stop(self) -> Result<PingReport> {
        let replies = answered(&self.process.interrupt()?);
        let last = *replies.last().context("not one reply to a running ping")?;
        Ok(PingReport {
            sent: last,
            received: u32::try_from(replies.len())?,
        })
    }
}

/// The sequence numbers of the replies, counted from 1, without duplicates.
fn answered(text: &str) -> Vec<u32> {
    let replies = text.lines().filter(|line| line.contains(" bytes from "));
    let number = |line: &str| {
        line.split("icmp_seq=")
            .nth(1)?
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    let numbers: std::collections::BTreeSet<u32> = replies.filter_map(number).collect();
    numbers.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_ping_is_read() {
        let text = "\n--- ::1 ping statistics ---\n\
                    20 packets transmitted, 18 received, 10% packet loss, time 1ms\n";
        assert_eq!(
            PingReport::parse(text).unwrap(),
            PingReport {
                sent: 20,
                received: 18
            }
        );
    }

    #[test]
    fn replies_are_counted_once() {
        let line =
            |seq: u32| format!("64 bytes from 10.0.0.1: icmp_seq={seq} ttl=64 time=0.05 ms\n");
        let text = [
            line(1),
            line(2),
            line(2),
            "no answer yet for icmp_seq=3\n".into(),
            line(4),
        ]
        .concat();
        assert_eq!(answered(&text), [1, 2, 4]);
    }
}
