//! What repeated figures tell: their median, and how certain it is.

use serde::Serialize;

/// The median of some figures, and an interval that holds the true median with 95 % confidence,
/// whatever the distribution of the figures is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// How many figures it rests on.
    pub count: usize,
}

const CONFIDENCE: f64 = 0.95;

/// Of fewer figures, even the interval from the least to the greatest is less certain than
/// [`CONFIDENCE`].
const FEWEST: usize = 6;

impl Estimate {
    /// None if there are no figures.
    pub fn of(figures: impl Iterator<Item = f64>) -> Option<Estimate> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let outside = outside(figures.len());
        let median = (figures[last / 2] + figures[last.div_ceil(2)]) / 2.0;
        Some(Estimate { median, low: figures[outside], high: figures[last - outside], count: figures.len() })
    }

    /// Whether the interval is as certain as it should be.
    pub fn is_certain(&self) -> bool {
        self.count >= FEWEST
    }

    /// Each figure times the same factor.
    pub fn times(self, factor: f64) -> Estimate {
        Estimate { median: self.median * factor, low: self.low * factor, high: self.high * factor, ..self }
    }

    /// How far the interval reaches from `value`.
    pub fn reach_from(&self, value: f64) -> f64 {
        (self.high - value).max(value - self.low)
    }
}

/// How many of `count` sorted figures lie outside the interval at each end.
///
/// This is the sign test: each figure is below the true median with a chance of one half. So the
/// true median lies below the figure with the index `outside` as often as `count` throws of a coin
/// show at most `outside` heads.
fn outside(count: usize) -> usize {
    let mut exactly = 0.5_f64.powi(count as i32);
    let mut at_most = exactly;
    let mut outside = 0;
    while 2.0 * at_most <= 1.0 - CONFIDENCE {
        outside += 1;
        exactly *= (count + 1 - outside) as f64 / outside as f64;
        at_most += exactly;
    }
    outside.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(figures: &[f64]) -> Option<Estimate> {
        Estimate::of(figures.iter().copied())
    }

    #[test]
    fn median_is_the_one_in_the_middle_or_between_two() {
        let median = |figures: &[f64]| of(figures).map(|estimate| estimate.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[10.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn interval_of_few_figures_holds_them_all_and_is_not_certain() {
        let estimate = of(&[5.0, -1.0, 7.0]).unwrap();
        assert_eq!((estimate.low, estimate.high, estimate.is_certain()), (-1.0, 7.0, false));
        assert!(of(&[1.0; FEWEST]).unwrap().is_certain());
        // The chance that all figures lie on the same side of the median.
        assert!(0.5_f64.powi(FEWEST as i32 - 1) <= 1.0 - CONFIDENCE);
        assert!(0.5_f64.powi(FEWEST as i32 - 2) > 1.0 - CONFIDENCE);
    }

    /// From a table of the sign test, two-sided at 5 %.
    #[test]
    fn interval_leaves_out_as_many_as_the_sign_test_allows() {
        let counts = [1, 5, 8, 9, 11, 12, 14, 15, 17, 20, 30, 50, 100];
        assert_eq!(counts.map(outside), [0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 9, 17, 39]);
    }

    #[test]
    fn interval_holds_the_true_median_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(1);
        let tries = 2_000;
        let holds = (0..tries).filter(|_| {
            // Skewed, with the median ln 2.
            let figures: Vec<f64> = (0..15).map(|_| -random.f64().ln()).collect();
            let estimate = of(&figures).unwrap();
            (estimate.low..=estimate.high).contains(&std::f64::consts::LN_2)
        });
        let share = holds.count() as f64 / f64::from(tries);
        assert!((0.95..0.98).contains(&share), "{share}");
    }

    #[test]
    fn reach_is_that_of_the_farther_end() {
        let estimate = of(&[0.9, 1.0, 1.2]).unwrap();
        assert!((estimate.reach_from(1.0) - 0.2).abs() < 1e-12);
        assert!((estimate.times(2.0).reach_from(2.0) - 0.4).abs() < 1e-12);
    }
}
