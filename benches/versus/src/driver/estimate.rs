//! What repeated figures tell: their median, and how sure it is.

use serde::Serialize;

/// The median of some figures, and an interval that holds the true median with at least
/// [`CONFIDENCE`], whatever the figures' distribution is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// Needs at least six figures; of fewer the interval goes from the least to the greatest, which
/// promises less.
const CONFIDENCE: f64 = 0.95;

impl Estimate {
    /// None if there are no figures.
    pub fn of(figures: impl Iterator<Item = f64>) -> Option<Estimate> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let outside = outside(figures.len());
        let median = (figures[last / 2] + figures[last.div_ceil(2)]) / 2.0;
        Some(Estimate { median, low: figures[outside], high: figures[last - outside] })
    }
}

/// How many of `count` sorted figures lie outside the interval at each end.
///
/// Each figure is below the true median with a chance of one half. So the median is below all but
/// the `outside` smallest figures with the chance of at most `outside` heads in `count` throws.
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
    fn interval_of_few_figures_holds_them_all() {
        assert_eq!(of(&[5.0, -1.0, 7.0]).map(|all| (all.low, all.high)), Some((-1.0, 7.0)));
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
}
