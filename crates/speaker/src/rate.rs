//! Keeps a peer from flooding the log.

use std::time::Duration;

use chanter_types::Instant;

/// Lets so many lines through in each window, and counts the others.
#[derive(Debug)]
pub(crate) struct RateLimit {
    lines_max: u32,
    window: Duration,
    window_end: Instant,
    lines: u32,
    suppressed: u64,
}

impl RateLimit {
    pub(crate) fn new(lines_max: u32, window: Duration) -> Self {
        Self {
            lines_max,
            window,
            window_end: Instant::ZERO,
            lines: 0,
            suppressed: 0,
        }
    }

    /// Whether a line may be written now; if so, what to add to it about lines that were not.
    pub(crate) fn allow(&mut self, now: Instant) -> Option<String> {
        if now >= self.window_end {
            self.window_end = now + self.window;
            self.lines = 0;
        }
        if self.lines >= self.lines_max {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(match std::mem::take(&mut self.suppressed) {
            0 => String::new(),
            count => format!(" (and {count} more before, not shown)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_counted() {
        let mut limit = RateLimit::new(2, Duration::from_secs(10));
        let at = Instant::from_secs;
        assert_eq!(limit.allow(at(100)).as_deref(), Some(""));
        assert_eq!(limit.allow(at(101)).as_deref(), Some(""));
        for second in 102..110 {
            assert_eq!(limit.allow(at(second)), None);
        }
        let text = " (and 8 more before, not shown)";
        assert_eq!(limit.allow(at(110)).as_deref(), Some(text));
        assert_eq!(limit.allow(at(111)).as_deref(), Some(""));
        assert_eq!(limit.allow(at(112)), None);
    }
}
