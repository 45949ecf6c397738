//! The task: waits for news of the engine, of the kernel, or of the clock, and converges.

use std::time::{Duration, Instant};

use chanter_driver::{DesiredFeed, EngineHandle};
use chanter_engine::Input;
use tokio::time::{sleep, sleep_until};
use tracing::{error, info};

use super::netlink::NetlinkError;
use super::sink::Sink;

/// Pause before netlink sockets are opened again after one failed.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Settings of the Linux dataplane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinuxConfig {
    /// The UDP port on which VXLAN packets are sent and received; 0: the kernel's default (8472).
    pub vxlan_port: u16,
}

impl LinuxConfig {
    /// The port that IANA assigned to VXLAN (RFC 7348 section 8).
    pub const VXLAN_PORT: u16 = 4789;
}

impl Default for LinuxConfig {
    fn default() -> Self {
        LinuxConfig {
            vxlan_port: Self::VXLAN_PORT,
        }
    }
}

/// Why the Linux dataplane cannot run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum LinuxError {
    /// A privilege or a part of the kernel is missing.
    #[error("the linux dataplane needs {0}")]
    Missing(&'static str),
    /// Netlink does not work.
    #[error("the linux dataplane cannot talk to the kernel")]
    Netlink(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<NetlinkError> for LinuxError {
    fn from(error: NetlinkError) -> Self {
        LinuxError::Netlink(error.into())
    }
}

/// Makes the kernel match the feed until the engine or the feed ends.
///
/// # Errors
/// At the start only: if the privileges or the kernel's features do not suffice.
pub async fn run(
    config: LinuxConfig,
    mut feed: DesiredFeed,
    engine: EngineHandle,
) -> Result<(), LinuxError> {
    let mut sink = Sink::open(config).await?;
    loop {
        match step(&mut sink, &mut feed, &engine).await {
            Ok(Next::Continue) => {}
            Ok(Next::End) => {
                info!(
                    "the engine has ended, so does the linux dataplane; the kernel stays as it is"
                );
                return Ok(());
            }
            Err(error) => {
                error!("{error}; opening netlink anew, the kernel stays as it is");
                reopen(&mut sink).await;
            }
        }
    }
}

async fn reopen(sink: &mut Sink) {
    loop {
        sleep(REOPEN_PAUSE).await;
        match sink.reopen().await {
            Ok(()) => return,
            Err(error) => error!("{error}; trying again"),
        }
    }
}

enum Next {
    Continue,
    End,
}

async fn step(
    sink: &mut Sink,
    feed: &mut DesiredFeed,
    engine: &EngineHandle,
) -> Result<Next, NetlinkError> {
    let deadline = sink.next_deadline();
    let alarm = async {
        match deadline {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        batch = feed.next() => match batch {
            Some(batch) => sink.submit(batch.changes, batch.prune_allowed),
            None => return Ok(Next::End),
        },
        received = sink.next_notification() => sink.absorb(received?).await?,
        () = alarm => {}
    }
    let reports = sink.converge(Instant::now()).await?;
    if !reports.is_empty() && engine.input(Input::Dataplane(reports)).await.is_err() {
        return Ok(Next::End);
    }
    Ok(Next::Continue)
}
