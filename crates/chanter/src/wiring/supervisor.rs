//! What systemd is told: ready, alive, stopping. Without systemd, nobody is told anything.

use std::future::pending;
use std::time::Duration;

use chanter_driver::EngineHandle;
use sd_notify::NotifyState;
use tracing::debug;

/// The daemon does its work now.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The daemon reads its configuration again; [`ready`] comes after it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => debug!("systemd was not told: {error}"),
    }
}

/// The daemon is about to end.
pub(super) fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("systemd was not told: {error}");
    }
}

/// Tells the watchdog that all is well, as long as the engine answers: a daemon that only looks
/// alive is to be restarted. Never completes while the engine lives.
pub(super) async fn watchdog(engine: EngineHandle) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return pending().await;
    };
    loop {
        if engine.query(|_| ()).await.is_err() {
            return;
        }
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(pause(limit)).await;
    }
}

/// Three signs of life within the limit, so that one may be late.
fn pause(limit: Duration) -> Duration {
    limit / 3
}
