//! The questions that the control socket asks of the daemon.
//!
//! `daemon/` implements [`Answers`]; `control/` serves it; tests implement it with fixed values.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::observe::model::{
    Answer, EdgeItem, EdgeState, Exchange, Filter, FlowItem, ServiceItem, TcpItem, VerdictItem,
};

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of weir.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_seconds: f64,
    /// Kernel release.
    pub kernel: String,
    /// Exchanges counted since the maps exist.
    pub exchanges: u64,
    /// Exchanges per second over the latest window.
    pub rate: f64,
    /// Edges known.
    pub edges: u64,
    /// Connections open now.
    pub connections: u64,
    /// Policies loaded.
    pub policies: u64,
    /// seen / (seen + lost).
    pub completeness: f64,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    /// Map name → (entries, capacity).
    pub map_fill: BTreeMap<String, (u64, u64)>,
    /// Capabilities that this kernel lacks, with what is lost without them.
    pub missing: Vec<String>,
    /// Hooks in force, by name.
    pub hooks: Vec<String>,
    /// Exporter states, by name: `ok`, or the error with counts.
    pub exporters: BTreeMap<String, String>,
}

/// A loaded policy, as `weir policy list` prints it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyItem {
    /// `metadata.name`.
    pub name: String,
    /// `TrafficPolicy`, `DefaultPolicy`, …
    pub kind: String,
    /// `allow`, `deny`, or the limit in words.
    pub action: String,
    /// Selector in words.
    pub from: String,
    /// Selector in words.
    pub to: String,
    /// `enforce` or `audit`.
    pub mode: String,
    /// Hooks that hold it.
    pub hooks: Vec<String>,
    /// Flows let through.
    pub allowed: u64,
    /// Flows refused.
    pub denied: u64,
    /// Flows that would have been refused.
    pub audited: u64,
    /// File it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A question to `weir policy explain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExplainQuery {
    /// Caller: a service name or an address.
    pub from: String,
    /// Callee: a service name, or an address.
    pub to: String,
    /// Destination port; 0 if not given.
    pub port: u16,
    /// True for UDP.
    pub udp: bool,
}

/// The answer of `weir policy explain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// `allow`, `deny`, `audit`.
    pub verdict: String,
    /// Policy that decides, or `default`.
    pub policy: String,
    /// Hook where it is decided.
    pub hook: String,
    /// Sentences: why, what else matched, what the caller would see.
    pub because: Vec<String>,
}

/// A policy document that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// File name as given.
    pub file: String,
    /// Line, from 1; 0 if it concerns the file as a whole.
    pub line: u32,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// Policy text with the name it is to be known by in errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFile {
    /// File name.
    pub name: String,
    /// YAML, one or more documents.
    pub text: String,
}

/// One capability of this host, as `weir doctor` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorItem {
    /// Hook or requirement.
    pub name: String,
    /// True if it works here.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What weir cannot do without it.
    pub lost_without: String,
    /// Kernel that has it, e.g. `6.3`; empty if that does not depend on the kernel.
    pub min_kernel: String,
}

/// What `weir off` took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffReport {
    /// Programs detached.
    pub programs: u64,
    /// Pinned maps removed.
    pub maps: u64,
    /// Pinned links removed.
    pub links: u64,
}

/// What the daemon answers. All calls are quick and never block on the kernel or the network.
pub trait Answers: Send + Sync + 'static {
    /// How the daemon is.
    fn status(&self) -> Status;
    /// Edges that match.
    fn edges(&self, filter: &Filter) -> Answer<EdgeItem>;
    /// Everything known of every edge (exporters, graph).
    fn edge_states(&self) -> Vec<EdgeState>;
    /// Workloads that match.
    fn services(&self, filter: &Filter) -> Answer<ServiceItem>;
    /// TCP facts of the edges that match.
    fn tcp(&self, filter: &Filter) -> Answer<TcpItem>;
    /// Live connections that match.
    fn flows(&self, filter: &Filter) -> Answer<FlowItem>;
    /// Recent exchanges that match, oldest first.
    fn exchanges(&self, filter: &Filter) -> Answer<Exchange>;
    /// Recent verdicts that match, oldest first.
    fn verdicts(&self, filter: &Filter) -> Answer<VerdictItem>;
    /// Exchanges from now on. While a subscriber lives the detail lane runs at full rate.
    fn tap(&self) -> broadcast::Receiver<Arc<Exchange>>;
    /// Says that a subscriber of [`Answers::tap`] has gone, its receiver with it: the lane goes back
    /// to its budget now, and not only with the next look at it.
    fn tap_ended(&self);
    /// Exchanges from now on as the detail lane's own budget draws them, each with its
    /// `sample_probability`. Unlike [`Answers::tap`] it never raises the rate, and what is drawn
    /// only because somebody taps may be left out (exporters).
    fn follow_details(&self) -> broadcast::Receiver<Arc<Exchange>>;
    /// Connection events from now on.
    fn follow_flows(&self) -> broadcast::Receiver<Arc<FlowItem>>;
    /// Verdicts from now on.
    fn follow_verdicts(&self) -> broadcast::Receiver<Arc<VerdictItem>>;
    /// Policies loaded.
    fn policies(&self) -> Vec<PolicyItem>;
    /// The policies loaded as YAML documents that `weir policy apply` takes again.
    fn policies_yaml(&self) -> String;
    /// Adds or replaces the policies of `files`, all or nothing; returns the names applied.
    fn policy_apply(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>>;
    /// Checks without applying.
    fn policy_check(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>>;
    /// Removes a policy; false if there is none of that name.
    fn policy_delete(&self, name: &str) -> anyhow::Result<bool>;
    /// Explains what would be decided for a flow, and why.
    fn policy_explain(&self, query: &ExplainQuery) -> anyhow::Result<Explanation>;
}
