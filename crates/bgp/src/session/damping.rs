//! How long to wait before the next attempt to connect (DampPeerOscillations, RFC 4271 section
//! 8.1.1).

use std::time::Duration;

use super::config::SessionTimes;
use super::random::Random;

/// After so many short sessions in a row that ended by an error, the peer is not let in either
/// until our own next attempt.
const REJECT_AFTER: u32 = 3;

/// How long to wait before the next attempt to connect.
///
/// The wait doubles from `first` to `cap` with each attempt that fails, and is `first` again once a
/// session was Established. What keeps a session from going up and down for ever is counted apart:
/// each session that is shorter than `cap` doubles the first wait after the next one, each `cap` of
/// a longer session takes one of them back. So a peer that was away for an hour and then flaps once
/// is tried again at once, and one that flaps without end is not.
#[derive(Debug, Clone)]
pub(super) struct Damping {
    first: Duration,
    cap: Duration,
    /// Attempts since the last session.
    attempts: u32,
    /// Short sessions.
    short: u32,
    /// Those among them, the last ones in a row, that ended by an error.
    errors: u32,
}

/// How a session ended, in view of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// An operator or the peer's restart wanted it so: nothing speaks against the next one.
    Wanted,
    /// The peer went away, by itself or because the network failed.
    Lost,
    /// One side could not go on with what the other had sent, and may soon have it again.
    Error,
}

impl Damping {
    pub(super) fn new(times: &SessionTimes) -> Self {
        let mut damping = Self {
            first: Duration::ZERO,
            cap: Duration::ZERO,
            attempts: 0,
            short: 0,
            errors: 0,
        };
        damping.configure(times);
        damping
    }

    pub(super) fn configure(&mut self, times: &SessionTimes) {
        self.first = times.connect_retry;
        self.cap = times.connect_retry_max.max(times.connect_retry);
    }

    /// The next wait, jittered.
    pub(super) fn next(&mut self, random: &mut Random) -> Duration {
        let wait = self.doubled(self.attempts.saturating_add(self.short.saturating_sub(1)));
        self.attempts = self.attempts.saturating_add(1);
        random.jitter(wait)
    }

    fn doubled(&self, times: u32) -> Duration {
        let factor = 1u32.checked_shl(times).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// The session is Established.
    pub(super) fn established(&mut self) {
        self.attempts = 0;
    }

    /// The Established session has ended.
    pub(super) fn ended(&mut self, lasted: Duration, ending: Ending) {
        let spans = lasted.as_nanos() / self.cap.as_nanos().max(1);
        if spans > 0 {
            let spans = u32::try_from(spans).unwrap_or(u32::MAX);
            self.short = self.short.saturating_sub(spans);
        } else if ending != Ending::Wanted {
            self.short = self.short.saturating_add(1);
        }
        self.errors = match ending {
            Ending::Error if spans == 0 => self.errors.saturating_add(1),
            _ => 0,
        };
    }

    /// For how long connections of the peer are rejected.
    pub(super) fn reject_for(&self) -> Option<Duration> {
        let wait = self.doubled(self.short.saturating_sub(1));
        (self.errors > REJECT_AFTER).then_some(wait)
    }

    /// On an operator's word: from the beginning.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
        self.short = 0;
        self.errors = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damping() -> Damping {
        Damping::new(&SessionTimes::default())
    }

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// The next wait must be `full`, but for jitter.
    fn expect(damping: &mut Damping, full: u64) {
        let wait = damping.next(&mut Random::new(1));
        let full = secs(full);
        assert!(wait >= full * 3 / 4 && wait <= full, "{wait:?} of {full:?}");
    }

    #[test]
    fn waits_double_to_the_cap_and_start_over_with_a_session() {
        let mut damping = damping();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            expect(&mut damping, expected);
        }
        for _ in 0..100 {
            damping.next(&mut Random::new(1));
        }
        expect(&mut damping, 30);
        damping.established();
        damping.ended(secs(5), Ending::Lost);
        expect(&mut damping, 1);
        expect(&mut damping, 2);
    }

    #[test]
    fn short_sessions_in_a_row_are_damped_and_long_ones_make_good() {
        let mut damping = damping();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            damping.established();
            damping.ended(secs(29), Ending::Lost);
            expect(&mut damping, expected);
        }
        // Of seven, three are taken back.
        damping.established();
        damping.ended(secs(90), Ending::Lost);
        expect(&mut damping, 8);
        damping.established();
        damping.ended(secs(3600), Ending::Lost);
        expect(&mut damping, 1);
    }

    #[test]
    fn what_was_wanted_is_not_held_against_the_peer() {
        let mut damping = damping();
        for _ in 0..10 {
            damping.established();
            damping.ended(secs(1), Ending::Wanted);
            expect(&mut damping, 1);
        }
    }

    #[test]
    fn only_errors_in_a_row_keep_the_peer_out() {
        let mut damping = damping();
        for _ in 0..10 {
            damping.ended(secs(1), Ending::Lost);
            assert_eq!(damping.reject_for(), None);
        }
        damping.reset();
        for _ in 0..3 {
            damping.ended(secs(1), Ending::Error);
            assert_eq!(damping.reject_for(), None);
        }
        damping.ended(secs(1), Ending::Error);
        assert_eq!(damping.reject_for(), Some(secs(8)));
        damping.ended(secs(1), Ending::Lost);
        assert_eq!(damping.reject_for(), None);
    }

    #[test]
    fn times_of_zero_do_no_harm() {
        let mut damping = Damping::new(&SessionTimes {
            connect_retry: Duration::ZERO,
            connect_retry_max: Duration::ZERO,
            ..SessionTimes::default()
        });
        damping.ended(Duration::ZERO, Ending::Lost);
        expect(&mut damping, 0);
    }
}
