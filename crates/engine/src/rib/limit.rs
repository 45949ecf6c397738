//! How many routes a peer may have in a table.

use chanter_policy::{LimitAction, PrefixLimit};

/// The limit of one table of a peer, and what has been said about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PrefixWatch {
    /// From so many on there is a warning.
    warn_from: u32,
    /// A warning was given; there is none again until the number has gone well below.
    warned: bool,
    /// More are not taken.
    max: u32,
    /// The session is being closed for it.
    exceeded: bool,
    limit: u32,
}

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warning {
    /// So many routes are near the limit, or beyond it.
    High,
    /// Well below it again.
    Normal,
}

impl PrefixWatch {
    pub(super) fn new(limit: Option<&PrefixLimit>) -> Self {
        let Some(limit) = limit else {
            return Self {
                warn_from: u32::MAX,
                warned: false,
                max: u32::MAX,
                exceeded: false,
                limit: u32::MAX,
            };
        };
        let percent = u64::from(limit.warn_percent.clamp(1, 100));
        let warn_from = (u64::from(limit.limit) * percent).div_ceil(100);
        Self {
            warn_from: u32::try_from(warn_from).unwrap_or(u32::MAX).max(1),
            warned: false,
            max: match limit.action {
                LimitAction::Warn => u32::MAX,
                LimitAction::Close { .. } => limit.limit,
            },
            exceeded: false,
            limit: limit.limit,
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether more than the limit are not taken.
    pub(super) fn is_enforced(&self) -> bool {
        self.max != u32::MAX
    }

    /// Whether a route more than `count` is too many.
    pub(super) fn is_full(&self, count: usize) -> bool {
        count >= self.max as usize
    }

    /// Notes that there was one too many; whether for the first time in this session.
    pub(super) fn exceed(&mut self) -> bool {
        !std::mem::replace(&mut self.exceeded, true)
    }

    /// What is to be said with so many routes. Between nine tenths of the threshold and the threshold
    /// nothing is, so that a route that comes and goes does not fill the log.
    pub(super) fn review(&mut self, count: usize) -> Option<Warning> {
        let threshold = self.warn_from as usize;
        if !self.warned && self.warn_from != u32::MAX && count >= threshold {
            self.warned = true;
            Some(Warning::High)
        } else if self.warned && count < threshold - (threshold / 10).max(1) {
            self.warned = false;
            Some(Warning::Normal)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_given_once_until_the_number_is_well_below() {
        let mut watch = PrefixWatch::new(Some(&PrefixLimit {
            limit: 100,
            warn_percent: 80,
            action: LimitAction::Warn,
        }));
        assert_eq!(watch.review(79), None);
        assert_eq!(watch.review(80), Some(Warning::High));
        assert_eq!(watch.review(100), None);
        assert_eq!(watch.review(79), None);
        assert_eq!(watch.review(72), None);
        assert_eq!(watch.review(71), Some(Warning::Normal));
        assert_eq!(watch.review(71), None);
        assert_eq!(watch.review(81), Some(Warning::High));
        assert!(!watch.is_full(1_000_000), "it only warns");
    }

    #[test]
    fn without_a_limit_nothing_is_said() {
        let mut watch = PrefixWatch::new(None);
        assert!(!watch.is_full(100_000_000));
        assert_eq!(watch.review(10_000_000), None);
    }
}
