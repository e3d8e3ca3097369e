//! Policies → verdict counts.

use super::{Attributes, Measures, Point, Resource, Sample};
use crate::{
    control::api::PolicyItem,
    export::names::{POLICY_VERDICTS, attr},
};

/// Adds how often `policy` let through, refused, and would have refused.
pub fn add_policy(
    measures: &mut Measures,
    policy: &PolicyItem,
    agent: &Resource,
    start_unix_ns: u64,
) {
    let verdicts = [
        ("allow", policy.allowed),
        ("deny", policy.denied),
        ("audit", policy.audited),
    ];
    for (verdict, flows) in verdicts {
        let attributes: Attributes = vec![
            (attr::POLICY, policy.name.as_str().into()),
            (attr::ACTION, policy.action.as_str().into()),
            (attr::MODE, policy.mode.as_str().into()),
            (attr::VERDICT, verdict.into()),
        ];
        let point = Point {
            start_unix_ns,
            sample: Sample::Count(flows),
        };
        measures.add(&POLICY_VERDICTS, (agent.clone(), attributes), point);
    }
}
