//! What the process is told from outside.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// The signals that mean something to a daemon.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// From now on these signals are taken instead of ending the process.
    pub(super) fn take() -> anyhow::Result<Self> {
        let take = |kind| signal(kind).context("cannot take signals");
        Ok(Self {
            term: take(SignalKind::terminate())?,
            int: take(SignalKind::interrupt())?,
            hup: take(SignalKind::hangup())?,
        })
    }

    /// Completes when the process is to stop, with the signal's name.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.term.recv() => return "SIGTERM",
                _ = self.int.recv() => return "SIGINT",
                _ = self.hup.recv() => warn!(
                    "SIGHUP: the configuration cannot be reloaded in this release; restart instead, \
                     which interrupts no traffic"
                ),
            }
        }
    }
}
