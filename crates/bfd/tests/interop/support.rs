//! What the tests ask of a service.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chanter_bfd::{Bfd, BfdConfig, BfdPeer, BfdState, BfdStatus, BfdWatch};
use chanter_interop::{Namespace, secs, wait_until};

pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
pub(crate) const MULTIPLIER: u8 = 3;

/// A service whose sockets are in `namespace`.
pub(crate) fn start(namespace: &Namespace) -> Result<Bfd> {
    namespace.inside(|| Ok(Bfd::start(BfdConfig::default())?))
}

/// The same peer at 3 times 100 ms.
pub(crate) fn fast(peer: BfdPeer) -> BfdPeer {
    BfdPeer {
        min_tx: INTERVAL,
        min_rx: INTERVAL,
        multiplier: MULTIPLIER,
        ..peer
    }
}

pub(crate) fn wait_state(bfd: &Bfd, watch: &BfdWatch, state: BfdState) -> Result<()> {
    wait_until(secs(15), &format!("session {state}"), || {
        ensure!(watch.state() == state, "{:?}", sessions(bfd)?);
        Ok(())
    })
}

pub(crate) fn sessions(bfd: &Bfd) -> Result<Vec<BfdStatus>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(bfd.sessions()))
}

/// The one session of a service.
pub(crate) fn session(bfd: &Bfd) -> Result<BfdStatus> {
    sessions(bfd)?.pop().context("there is a session")
}

pub(crate) fn stop(bfd: &Bfd) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(bfd.stop());
    Ok(())
}
