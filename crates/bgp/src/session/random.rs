//! Jitter and back-off. The seed comes from the shell, so a run can be repeated.

use std::time::Duration;

/// A small deterministic generator (SplitMix64): enough to keep a thousand speakers that were
/// started together from acting together, not meant for secrets.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `duration` times a factor of 0.75 to 1.0 (RFC 4271 section 10).
    pub(super) fn jitter(&mut self, duration: Duration) -> Duration {
        let thousandths = 750 + self.next() % 251;
        let nanos = duration.as_nanos() * u128::from(thousandths) / 1000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// How long to wait before the next attempt to connect: doubles from `first` to `cap`
/// (DampPeerOscillations, RFC 4271 section 8.1.1).
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    cap: Duration,
    attempts: u32,
}

impl Backoff {
    pub(super) fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap: cap.max(first),
            attempts: 0,
        }
    }

    /// The next wait, jittered.
    pub(super) fn next(&mut self, random: &mut Random) -> Duration {
        let factor = 1u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.attempts = self.attempts.saturating_add(1);
        random.jitter(self.first.saturating_mul(factor).min(self.cap))
    }

    /// After a session that lasted, or on an operator's word: from the beginning.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// A session shorter than this counts as one more failed attempt.
    pub(super) fn session_min(&self) -> Duration {
        self.cap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_quarter_and_varies() {
        let mut random = Random::new(7);
        let waits: Vec<_> = (0..1000)
            .map(|_| random.jitter(Duration::from_secs(4)))
            .collect();
        let (low, high) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(
            *low >= Duration::from_secs(3) && *low < Duration::from_millis(3100),
            "{low:?}"
        );
        assert!(
            *high <= Duration::from_secs(4) && *high > Duration::from_millis(3900),
            "{high:?}"
        );
        let again = Random::new(7).jitter(Duration::from_secs(4));
        assert_eq!(again, waits[0], "the same seed gives the same wait");
    }

    #[test]
    fn waits_double_to_the_cap_and_start_over_after_a_reset() {
        let mut random = Random::new(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let wait = backoff.next(&mut random);
            let full = Duration::from_secs(expected);
            assert!(wait >= full * 3 / 4 && wait <= full, "{wait:?} of {full:?}");
        }
        for _ in 0..100 {
            backoff.next(&mut random);
        }
        assert!(backoff.next(&mut random) <= Duration::from_secs(30));
        backoff.reset();
        assert!(backoff.next(&mut random) <= Duration::from_secs(1));
    }
}
