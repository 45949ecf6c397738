//! Jitter. The seed comes from the shell, so a run can be repeated.

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
}
