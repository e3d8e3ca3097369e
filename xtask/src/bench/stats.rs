//! Medians and quartiles.

use serde::Serialize;

/// Five numbers that say how a sample lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Least.
    pub min: f64,
    /// A quarter lies below.
    pub lower: f64,
    /// Half lies below.
    pub median: f64,
    /// Three quarters lie below.
    pub upper: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Of a sample with at least one value.
    ///
    /// # Panics
    /// If `sample` is empty.
    pub fn of(sample: &[f64]) -> Self {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&sorted, share);
        Self {
            min: at(0.0),
            lower: at(0.25),
            median: at(0.5),
            upper: at(0.75),
            max: at(1.0),
        }
    }

    /// `median (lower–upper)` with `digits` decimals.
    pub fn show(&self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}–{:.digits$})",
            self.median, self.lower, self.upper
        )
    }
}

/// Linear interpolation between the neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn quartiles() {
        for (sample, expected) in [
            (&[3.0][..], [3.0, 3.0, 3.0, 3.0, 3.0]),
            (&[2.0, 1.0], [1.0, 1.25, 1.5, 1.75, 2.0]),
            (&[5.0, 1.0, 3.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0, 5.0]),
        ] {
            let found = Spread::of(sample);
            let [min, lower, median, upper, max] = expected;
            let expected = Spread {
                min,
                lower,
                median,
                upper,
                max,
            };
            assert_eq!(found, expected, "{sample:?}");
        }
    }
}
