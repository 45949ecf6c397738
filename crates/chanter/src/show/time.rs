//! Times as operators read them.

use std::time::Duration;

use jiff::Timestamp;

/// How long ago `since` (RFC 3339) was: `4s`, `2m 5s`, `3h 12m`, `8d 1h`. A text that is no time is
/// shown as it is.
pub(crate) fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else {
        return since.to_owned();
    };
    let secs = u64::try_from(now.as_second() - since.as_second()).unwrap_or(0);
    let (d, h, m, s) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m {s}s"),
        (0, _, _) => format!("{h}h {m}m"),
        _ => format!("{d}d {h}h"),
    }
}

/// A short time: `740 µs`, `12 ms`, `1.25 s`, `2 min 5 s`.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1000 => format!("{micros} µs"),
        micros @ 1000..100_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros @ 100_000..1_000_000 => format!("{:.0} ms", micros as f64 / 1e3),
        micros @ 1_000_000..120_000_000 => format!("{:.2} s", micros as f64 / 1e6),
        micros => format!("{} min {} s", micros / 60_000_000, micros / 1_000_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (since, text) in [
            ("2026-03-01T11:59:56.5Z", "4s"),
            ("2026-03-01T11:57:55Z", "2m 5s"),
            ("2026-03-01T08:48:00Z", "3h 12m"),
            ("2026-02-21T11:00:00Z", "8d 1h"),
            ("2026-03-01T12:00:01Z", "0s"),
            ("never", "never"),
        ] {
            assert_eq!(age(since, now), text, "{since}");
        }
    }

    #[test]
    fn short_times_have_a_fitting_unit() {
        for (micros, text) in [
            (740, "740 µs"),
            (12_340, "12.3 ms"),
            (740_000, "740 ms"),
            (1_250_000, "1.25 s"),
            (125_000_000, "2 min 5 s"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), text);
        }
    }
}
