//! Alternating pairs: the machine's mood changes by the second, so that only neighbours compare.

use weir_tests::agent::Agent;

use super::{
    Plan,
    report::{Outcome, Ratio},
    stats::Spread,
};

/// What is measured in each window, and what it is held against.
pub struct Comparison<'a> {
    /// Name.
    pub name: &'a str,
    /// What the median is to reach.
    pub goal: f64,
    /// Unit of the figure.
    pub unit: &'a str,
    /// Figure of one window; more is better.
    pub measure: &'a mut dyn FnMut() -> f64,
    /// Exchanges served but not counted in the window that just passed under weir.
    pub uncounted: Option<&'a mut dyn FnMut(&Agent) -> i64>,
}

/// Runs as many null pairs (bare, bare) as pairs (bare, weir), in changing order.
pub fn compare(plan: &Plan, mut what: Comparison) -> Outcome {
    let mut agent = Agent::prepare(Default::default());
    let (mut weir, mut null, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let mut uncounted = what.uncounted.is_some().then_some(0);
    (what.measure)();
    for pair in 0..plan.pairs {
        let first_bare = (what.measure)();
        // Every other pair begins with weir, so that a drift within pairs cancels out.
        let (with, without) = if pair % 2 == 0 {
            let with = under_weir(&mut agent, &mut what, &mut uncounted);
            (with, (what.measure)())
        } else {
            let without = (what.measure)();
            (under_weir(&mut agent, &mut what, &mut uncounted), without)
        };
        let second_bare = (what.measure)();
        // The window next to weir's is its partner; the outer two make the null pair.
        weir.push(with / without);
        null.push(if pair % 2 == 0 {
            second_bare / without
        } else {
            first_bare / without
        });
        bare.extend([first_bare, without, second_bare]);
        let (seen, noise) = (weir[pair], null[pair]);
        eprintln!(
            "  {} {}/{}: weir {seen:.3}, null {noise:.3}",
            what.name,
            pair + 1,
            plan.pairs
        );
    }
    Outcome::Ratio(Ratio {
        name: what.name.to_owned(),
        goal: what.goal,
        weir: Spread::of(&weir),
        null: Spread::of(&null),
        bare: Spread::of(&bare),
        unit: what.unit.to_owned(),
        pairs: plan.pairs,
        uncounted,
    })
}

fn under_weir(agent: &mut Agent, what: &mut Comparison, uncounted: &mut Option<i64>) -> f64 {
    agent.restart();
    let figure = (what.measure)();
    if let (Some(sum), Some(count)) = (uncounted, what.uncounted.as_deref_mut()) {
        *sum += count(agent);
    }
    agent.stop();
    agent.off();
    figure
}
