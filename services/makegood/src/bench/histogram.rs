//! Latencies in constant memory: buckets whose width grows with the value, as in HdrHistogram.
//!
//! A value is counted in a bucket that is at most 1/64 of it wide, so a percentile is off by 1.6 % at most; the maximum is exact.

use std::time::Duration;

use serde::Serialize;

/// Buckets per power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^36 µs (19 h); longer ones count in the last bucket.
const OCTAVES: usize = 31;

/// Counts of microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

/// What people compare.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; OCTAVES * STEPS as usize], count: 0, max: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(micros).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |share| self.at(share).as_secs_f64() * 1_000.0;
        Percentiles { p50_ms: at(0.50), p95_ms: at(0.95), p99_ms: at(0.99), max_ms: self.max.as_secs_f64() * 1_000.0 }
    }

    /// The least value that `share` of all values do not exceed, as far as buckets tell.
    fn at(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) && bucket + 1 < self.buckets.len() {
                return Duration::from_micros(upper_bound(bucket)).min(self.max);
            }
        }
        // The last bucket has no upper bound.
        self.max
    }
}

/// The first two octaves are exact; from there on a bucket is named by its leading seven bits and their position.
fn bucket_of(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let shift = micros.ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (micros >> shift)) as usize
}

/// The largest value of a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let leading = bucket - shift * STEPS;
    ((leading + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_is_narrow_enough() {
        let mut last = 0;
        for micros in (0..200_000).chain([1 << 30, (1 << 36) - 1]) {
            let bucket = bucket_of(micros);
            let upper = upper_bound(bucket);
            assert!(
                bucket >= last && upper >= micros && upper - micros <= micros / STEPS,
                "{micros} in {bucket}, up to {upper}"
            );
            last = bucket;
        }
        assert!(last < OCTAVES * STEPS as usize);
    }

    #[test]
    fn percentiles_are_of_the_values_recorded() {
        let mut histogram = Histogram::default();
        for millis in 1..=1_000 {
            histogram.record(Duration::from_millis(millis));
        }
        let percentiles = histogram.percentiles();
        for (found, exact) in [(percentiles.p50_ms, 500.0), (percentiles.p95_ms, 950.0), (percentiles.p99_ms, 990.0)] {
            assert!(found >= exact && found <= exact * (1.0 + 1.0 / 64.0), "{found} for {exact}");
        }
        assert_eq!(percentiles.max_ms, 1_000.0);
    }

    #[test]
    fn one_value_is_all_its_percentiles_and_none_is_zero() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), Percentiles { p50_ms: 0.0, p95_ms: 0.0, p99_ms: 0.0, max_ms: 0.0 });
        histogram.record(Duration::from_secs(1_000_000));
        let percentiles = histogram.percentiles();
        assert_eq!((percentiles.p50_ms, percentiles.max_ms), (percentiles.max_ms, 1e9));
    }
}
