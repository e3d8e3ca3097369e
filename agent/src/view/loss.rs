//! The sentence that says what an answer may lack.

use std::collections::BTreeMap;

use super::unit;

/// `completeness 99.2 %: 12 lost (ring_full 10, segment_gap 2)`; `None` when nothing is missing.
/// Reasons stand most frequent first.
pub fn sentence(completeness: f64, lost: &BTreeMap<String, u64>) -> Option<String> {
    let total: u64 = lost.values().sum();
    if completeness >= 1.0 && total == 0 {
        return None;
    }
    let mut text = format!("completeness {}", unit::percent(completeness));
    if total > 0 {
        text.push_str(&format!(": {total} lost ({})", reasons(lost)));
    }
    Some(text)
}

/// `ring_full 10, segment_gap 2`, most frequent first; zeros are left out.
pub fn reasons(lost: &BTreeMap<String, u64>) -> String {
    let mut reasons: Vec<(&String, &u64)> = lost.iter().filter(|(_, n)| **n > 0).collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    reasons.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let lost = |pairs: &[(&str, u64)]| {
            pairs
                .iter()
                .map(|(name, n)| ((*name).to_owned(), *n))
                .collect()
        };
        for (completeness, pairs, expected) in [
            (1.0, &[][..], None),
            (1.0, &[("ring_full", 0)], None),
            (
                1.0,
                &[("ring_full", 3)],
                Some("completeness 100 %: 3 lost (ring_full 3)"),
            ),
            (
                0.992,
                &[("a", 2), ("ring_full", 10), ("b", 2)],
                Some("completeness 99.2 %: 14 lost (ring_full 10, a 2, b 2)"),
            ),
            (0.5, &[], Some("completeness 50 %")),
        ] {
            assert_eq!(sentence(completeness, &lost(pairs)).as_deref(), expected);
        }
    }
}
