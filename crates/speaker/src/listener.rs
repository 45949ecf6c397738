//! Accepts connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::warn;

use crate::Routes;
use crate::rate::RateLimit;
use crate::registry::{Refused, Registry};

/// So many lines about refused connections are logged in [`REFUSED_WINDOW`].
const REFUSED_LINES_MAX: u32 = 5;
const REFUSED_WINDOW: Duration = Duration::from_secs(60);

/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(500);

/// Accepts connections for ever.
pub(crate) async fn run<R: Routes>(listener: Arc<TcpListener>, registry: Arc<Registry<R>>) {
    let clock = registry.clock();
    let mut lines = RateLimit::new(REFUSED_LINES_MAX, REFUSED_WINDOW);
    loop {
        // Those that were accepted have a chance to speak before there are more of them.
        tokio::task::yield_now().await;
        match listener.accept().await {
            Ok((stream, remote)) => {
                let result = registry.accept(stream, remote);
                if let Err(reason) = result
                    && reason != Refused::Stopped
                    && let Some(more) = lines.allow(clock.now())
                {
                    warn!("connection from {remote} closed: {reason}{more}");
                }
            }
            Err(error) => {
                if let Some(more) = lines.allow(clock.now()) {
                    warn!("cannot accept a connection: {error}{more}");
                }
                if !is_of_one_connection(&error) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether only the one connection is gone, as opposed to a lack of descriptors or memory.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
