//! Segments that the kernel dropped for want of the right key: the only sign that a peer which
//! connects has another key or none.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, PoisonError};

use chanter_bgp::session::State;
use tracing::warn;

use super::Registry;
use crate::Routes;

/// So many peers are named in a line.
const NAMED_MAX: usize = 5;

/// What the kernel counts in the network namespace of this thread.
const COUNTERS: &str = "/proc/thread-self/net/netstat";

/// Segments without a key where one is wanted, with one where none is, and with a wrong one, of
/// TCP-MD5 and TCP-AO.
const NAMES: [(&str, &str); 6] = [
    ("TCPMD5NotFound", "without TCP-MD5"),
    ("TCPMD5Unexpected", "with TCP-MD5 where none is configured"),
    ("TCPMD5Failure", "with another password of TCP-MD5"),
    ("TCPAORequired", "without TCP-AO"),
    (
        "TCPAOKeyNotFound",
        "with a key of TCP-AO that is not configured",
    ),
    ("TCPAOBad", "with another key of TCP-AO"),
];

/// Looks again and again for segments that were dropped, for ever.
pub(crate) async fn watch<R: Routes>(registry: Arc<Registry<R>>) {
    let mut last = read();
    loop {
        let time = registry.lock().config.key_check_time;
        tokio::time::sleep(time).await;
        let now = read();
        let dropped = describe(&last, &now);
        last = now;
        if let Some(dropped) = dropped {
            registry.tell_dropped(&dropped);
        }
    }
}

impl<R: Routes> Registry<R> {
    /// Tells of dropped segments if there are peers whose they may be.
    fn tell_dropped(&self, dropped: &str) {
        let peers = self.lock();
        let mut names = Vec::new();
        for entry in peers.by_name.values() {
            let mut status = entry.status.lock().unwrap_or_else(PoisonError::into_inner);
            if status.auth.is_some() && status.state != State::Established {
                names.push(status.name.to_string());
                status.last_error = Some(format!(
                    "the kernel dropped segments {dropped}, of this peer or another one"
                ));
            }
        }
        let has_range = peers
            .config
            .ranges
            .iter()
            .any(|range| range.options.auth.name().is_some());
        let whose = match names.len() {
            0 if !has_range => return,
            0 => "listen ranges".to_owned(),
            count @ 1..=NAMED_MAX => format!(
                "{} without a session: {}",
                peers_of(count),
                names.join(", ")
            ),
            count => format!(
                "{} without a session, {} among them",
                peers_of(count),
                names[..NAMED_MAX].join(", ")
            ),
        };
        drop(peers);
        warn!("the kernel dropped TCP segments {dropped}; keys are configured for {whose}");
    }
}

fn peers_of(count: usize) -> String {
    if count == 1 {
        "1 peer".to_owned()
    } else {
        format!("{count} peers")
    }
}

/// What has grown, in words.
fn describe(last: &Counters, now: &Counters) -> Option<String> {
    let mut parts = Vec::new();
    for (name, what) in NAMES {
        let count = |counters: &Counters| counters.get(name).copied().unwrap_or_default();
        let more = count(now).saturating_sub(count(last));
        if more > 0 {
            parts.push(format!("{what} ({more})"));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

type Counters = BTreeMap<String, u64>;

fn read() -> Counters {
    // Without it there is less to tell.
    parse(&fs::read_to_string(COUNTERS).unwrap_or_default())
}

/// Pairs of lines, one with names, one with values.
fn parse(text: &str) -> Counters {
    let mut counters = Counters::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let values = values.split_whitespace();
        for (name, value) in names.split_whitespace().zip(values) {
            if let Ok(value) = value.parse() {
                counters.insert(name.to_owned(), value);
            }
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_grown_is_told() {
        let counters = |missing: u64, wrong: u64| {
            parse(&format!(
                "TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Failure\nTcpExt: 7 {missing} {wrong}\n\
                 IpExt: InNoRoutes\nIpExt: 3\n"
            ))
        };
        assert_eq!(describe(&counters(2, 3), &counters(2, 3)), None);
        assert_eq!(
            describe(&counters(2, 3), &counters(4, 8)).as_deref(),
            Some("without TCP-MD5 (2), with another password of TCP-MD5 (5)")
        );
        assert_eq!(describe(&counters(2, 3), &parse("")), None);
    }
}
