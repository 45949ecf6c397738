//! How long things took: counts in buckets that grow with the time.

use std::sync::Mutex;
use std::sync::PoisonError;

/// Buckets for each doubling of the time: within 1/16 of the truth.
const STEPS: usize = 16;
const DOUBLINGS: usize = 32;

/// A histogram of microseconds.
#[derive(Debug)]
pub(super) struct Latency(Mutex<Box<[u64]>>);

impl Latency {
    pub(super) fn new() -> Self {
        Self(Mutex::new(vec![0; STEPS * DOUBLINGS].into()))
    }

    /// Counts one.
    pub(super) fn add(&self, micros: u64) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(micros).min(buckets.len() - 1);
        buckets[place] += 1;
    }

    /// The median, the 99th percentile and the longest, as the upper ends of their buckets.
    pub(super) fn percentiles(&self) -> [u64; 3] {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u64 = buckets.iter().sum();
        [total / 2, total * 99 / 100, total.saturating_sub(1)].map(|wanted| {
            let mut seen = 0;
            let found = buckets.iter().position(|count| {
                seen += count;
                seen > wanted
            });
            found.map_or(0, upper)
        })
    }
}

fn place(micros: u64) -> usize {
    let Some(doubling) = (micros / STEPS as u64).checked_ilog2() else {
        return micros as usize;
    };
    let step = (micros >> doubling) as usize - STEPS;
    (doubling as usize + 1) * STEPS + step
}

fn upper(place: usize) -> u64 {
    let (doubling, step) = (place / STEPS, place % STEPS);
    match doubling.checked_sub(1) {
        None => step as u64,
        Some(shift) => (((STEPS + step + 1) as u64) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_whose_end_is_at_most_a_sixteenth_above() {
        for micros in (0..100_000).chain([1 << 20, (1 << 30) + 12345]) {
            let end = upper(place(micros));
            assert!(
                end >= micros && end <= micros + micros / 16,
                "{micros}: {end}"
            );
        }
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let latency = Latency::new();
        (1..=100).for_each(|micros| latency.add(micros));
        let [p50, p99, longest] = latency.percentiles();
        assert!((51..=53).contains(&p50) && (99..=103).contains(&p99) && longest >= 100);
        assert_eq!(Latency::new().percentiles(), [0, 0, 0]);
    }
}
