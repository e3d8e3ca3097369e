//! What the daemon needs of the policies in force. `enforce` has the logic; this is its place.

use anyhow::Result;
use weir_common::policy::RuleCounter;

use crate::{
    control::api::{ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal},
    enforce::compiled::CompiledRules,
    observe::model::Workload,
};

/// Puts compiled rules into the kernel. If it fails the engine keeps its old set.
pub type Install<'a> = &'a mut dyn FnMut(&CompiledRules) -> Result<()>;

/// Which kinds of rules the kernel programs have to look up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// Allow and deny.
    pub access: bool,
    /// Bandwidth limits.
    pub bandwidth: bool,
    /// Limits of connections.
    pub connections: bool,
}

/// The policies in force. Calls come from several threads.
pub trait PolicyEngine: Send + Sync + 'static {
    /// Adds or replaces the policies of `files`, all or nothing; returns their names.
    fn apply(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
        install: Install<'_>,
    ) -> Result<Vec<String>, Vec<Refusal>>;

    /// What [`PolicyEngine::apply`] would answer; changes nothing.
    fn check(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
    ) -> Result<Vec<String>, Vec<Refusal>>;

    /// Removes a policy; false if there is none of that name.
    fn delete(&self, name: &str, workloads: &[Workload], install: Install<'_>) -> Result<bool>;

    /// Compiles again, because workloads came; installs if the rules changed.
    fn recompile(&self, workloads: &[Workload], install: Install<'_>) -> Result<()>;

    /// Which kinds of rules are in force. Asked every second.
    fn active(&self) -> Active;

    /// One item per policy, with the counters of its rule slot.
    fn list(&self, counters: &[(u32, RuleCounter)]) -> Vec<PolicyItem>;

    /// The policies as YAML documents that can be applied again.
    fn yaml(&self) -> String;

    /// Explains what would be decided for a flow, and why.
    fn explain(&self, query: &ExplainQuery, workloads: &[Workload]) -> Result<Explanation>;

    /// Name of the policy that owns a rule slot.
    fn policy_of(&self, slot: u32) -> Option<String>;
}
