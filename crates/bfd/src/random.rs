//! Jitter and numbers. The seed comes from outside, so a run can be repeated.

use std::time::Duration;

/// A small deterministic generator (SplitMix64), not meant for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `interval` less 0 to 25 %; with a detection multiplier of 1, less 10 to 25 % (RFC 5880
    /// section 6.8.7).
    pub(crate) fn jitter(&mut self, interval: Duration, detect_mult: u8) -> Duration {
        let most = if detect_mult == 1 { 900 } else { 1000 };
        let thousandths = 750 + self.next() % (most - 750 + 1);
        let nanos = interval.as_nanos() * u128::from(thousandths) / 1000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_keeps_its_bounds() {
        let mut random = Random::new(1);
        for (detect_mult, most) in [(1, 900), (2, 1000), (3, 1000)] {
            let waits: Vec<_> = (0..2000)
                .map(|_| {
                    random
                        .jitter(Duration::from_millis(1000), detect_mult)
                        .as_millis()
                })
                .collect();
            let (low, high) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert_eq!((*low, *high), (750, most));
        }
    }
}
