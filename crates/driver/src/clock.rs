//! Where pure code's [`Instant`] comes from.

use std::time::{Duration, SystemTime};

use chanter_types::Instant;

/// A monotonic clock whose epoch is its creation.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: std::time::Instant,
    epoch_wall: SystemTime,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            epoch: std::time::Instant::now(),
            epoch_wall: SystemTime::now(),
        }
    }

    /// The present.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    /// The time of day at `instant`, as of when the clock was started (later steps of the time of
    /// day do not show).
    pub fn time_of_day(&self, instant: Instant) -> SystemTime {
        self.epoch_wall + instant.since_epoch()
    }

    /// How long from now until `instant`; zero if it has passed.
    pub fn until(&self, instant: Instant) -> Duration {
        instant.saturating_since(self.now())
    }
}
