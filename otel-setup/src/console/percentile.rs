//! What the buckets of a histogram tell of its percentiles.

/// Values above `low`, up to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Estimate {
    About(f64),
    /// The highest bucket has no end, and nobody kept the maximum.
    MoreThan(f64),
}

/// The value that `share` (0 to 1) of all values do not exceed, as if the values of a bucket were
/// spread evenly over it; `None` without values. Buckets are in order.
pub(crate) fn percentile(
    buckets: &[Bucket],
    share: f64,
    (least, most): (Option<f64>, Option<f64>),
) -> Option<Estimate> {
    let all: u64 = buckets.iter().map(|bucket| bucket.count).fold(0, u64::saturating_add);
    let wanted = float(all) * share;
    let mut below = 0.0;
    let highest = buckets.iter().rposition(|bucket| bucket.count > 0)?;
    for (at, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| bucket.count > 0) {
        let count = float(bucket.count);
        if below + count < wanted && at < highest {
            below += count;
            continue;
        }
        let low = least.map_or(bucket.low, |least| bucket.low.max(least));
        let high = most.map_or(bucket.high, |most| bucket.high.min(most));
        return Some(match (low.is_finite(), high.is_finite()) {
            (true, true) => {
                let part = ((wanted - below) / count).clamp(0.0, 1.0);
                Estimate::About(low + (high - low).max(0.0) * part)
            }
            (false, true) => Estimate::About(high),
            _ => Estimate::MoreThan(bucket.low),
        });
    }
    None
}

/// Of a histogram with `bounds`: one count more than bounds.
pub(crate) fn explicit(
    bounds: impl Iterator<Item = f64>,
    counts: impl Iterator<Item = u64>,
) -> Vec<Bucket> {
    // Most things that are measured are not negative.
    let mut low: Option<f64> = None;
    let ends = bounds.chain([f64::INFINITY]);
    ends.zip(counts)
        .map(|(high, count)| {
            let start = low.unwrap_or(if high > 0.0 { 0.0 } else { f64::NEG_INFINITY });
            low = Some(high);
            Bucket { low: start, high, count }
        })
        .collect()
}

/// Of one half of an exponential histogram: bucket `i` holds values above `base^i`, up to
/// `base^(i+1)`, where `base` is `2^(2^-scale)`.
pub(crate) fn exponential(
    scale: i8,
    offset: i32,
    counts: impl Iterator<Item = u64>,
) -> impl Iterator<Item = Bucket> {
    let step = f64::from(-i32::from(scale)).exp2();
    (i64::from(offset)..).zip(counts).map(move |(index, count)| {
        let bound = |index: i64| (signed(index) * step).exp2();
        Bucket { low: bound(index), high: bound(index + 1), count }
    })
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(crate) fn signed(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what is compared with it is wrapped")]
    fn about(value: f64) -> Option<Estimate> {
        Some(Estimate::About(value))
    }

    #[test]
    fn values_are_spread_evenly_over_their_bucket() {
        let buckets = explicit([10.0, 20.0, 40.0].into_iter(), [0, 10, 10, 0].into_iter());
        let at = |share| percentile(&buckets, share, (None, None));
        assert_eq!([at(0.25), at(0.5), at(0.75), at(1.0)], [15.0, 20.0, 30.0, 40.0].map(about));
        // The known ends narrow their buckets.
        let at = |share| percentile(&buckets, share, (Some(12.0), Some(22.0)));
        assert_eq!([at(0.0), at(0.25), at(0.75), at(1.0)], [12.0, 16.0, 21.0, 22.0].map(about));
    }

    #[test]
    fn nothing_is_made_up_where_a_bucket_has_no_end() {
        let buckets = explicit([10.0].into_iter(), [0, 4].into_iter());
        assert_eq!(percentile(&buckets, 0.5, (None, None)), Some(Estimate::MoreThan(10.0)));
        assert_eq!(percentile(&buckets, 0.5, (Some(10.0), Some(30.0))), about(20.0));
        let below_zero = explicit([-1.0].into_iter(), [4, 0].into_iter());
        assert_eq!(percentile(&below_zero, 0.5, (None, None)), about(-1.0));
        assert_eq!(
            percentile(&explicit([1.0].into_iter(), [0, 0].into_iter()), 0.5, (None, None)),
            None
        );
        assert_eq!(percentile(&[], 0.5, (None, None)), None);
    }

    #[test]
    fn exponential_buckets_double_at_scale_zero() {
        let buckets: Vec<_> = exponential(0, -1, [3, 5].into_iter()).collect();
        let bucket = |low, high, count| Bucket { low, high, count };
        assert_eq!(buckets, [bucket(0.5, 1.0, 3), bucket(1.0, 2.0, 5)]);
        let finer: Vec<_> = exponential(1, 2, [1].into_iter()).collect();
        assert!((finer[0].low - 2.0).abs() < 1e-12);
        assert!((finer[0].high - 8_f64.sqrt()).abs() < 1e-12);
    }
}
