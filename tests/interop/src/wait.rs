//! Waiting for something that other processes do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a probe is repeated. Short against the deadlines, long against the cost of a probe (a
/// few processes).
const INTERVAL: Duration = Duration::from_millis(100);

/// Repeats `probe` until it succeeds, at most for `patience`. The error is the probe's last one.
pub fn wait_until<T>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error)
                    .with_context(|| format!("{what}: not within {} s", patience.as_secs()));
            }
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}

/// Repeats `probe` for `duration`; it must succeed every time.
pub fn always(duration: Duration, what: &str, mut probe: impl FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < duration {
        let at = start.elapsed();
        probe().with_context(|| format!("{what}: no longer after {at:.1?}"))?;
        std::thread::sleep(INTERVAL);
    }
    Ok(())
}

/// A duration in whole seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}
