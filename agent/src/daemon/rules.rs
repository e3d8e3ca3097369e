//! Policies: applied, compiled again when workloads come, put into the kernel.

use std::sync::Arc;

use super::Daemon;
use crate::{
    control::api::{ExplainQuery, Explanation, PolicyFile, Refusal},
    enforce::compiled::CompiledRules,
    observe::model::Workload,
};
use anyhow::Result;

impl Daemon {
    fn all_workloads(&self) -> Vec<Workload> {
        let workloads = self.registry.workloads();
        workloads.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Puts rules into the kernel. The programs look them up once the control value says so,
    /// which is written after them ([`Daemon::steer`]).
    fn install(&self, rules: &CompiledRules) -> Result<()> {
        self.kernel.apply_rules(rules)
    }

    /// Adds or replaces policies, all or nothing.
    pub(super) fn apply_policies(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        let workloads = self.all_workloads();
        let names = self
            .policies
            .apply(files, &workloads, &mut |rules| self.install(rules))?;
        self.steer();
        Ok(names)
    }

    /// Checks policies; changes nothing.
    pub(super) fn check_policies(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        self.policies.check(files, &self.all_workloads())
    }

    /// Removes a policy.
    pub(super) fn delete_policy(&self, name: &str) -> Result<bool> {
        let workloads = self.all_workloads();
        let deleted = self
            .policies
            .delete(name, &workloads, &mut |rules| self.install(rules))?;
        self.steer();
        Ok(deleted)
    }

    /// Explains a decision.
    pub(super) fn explain_policies(&self, query: &ExplainQuery) -> Result<Explanation> {
        self.policies.explain(query, &self.all_workloads())
    }

    /// Compiles again, because workloads came.
    pub(super) fn recompile(&self) {
        let workloads = self.all_workloads();
        let done = self
            .policies
            .recompile(&workloads, &mut |rules| self.install(rules));
        if let Err(error) = done {
            let what = "the rules cannot be brought up to date";
            self.trouble(&self.troubles.writes, what, &error);
        }
    }
}
