//! The questions of the control socket.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use anyhow::Result;
use tokio::sync::broadcast;

use super::{Daemon, locked, time};
use crate::{
    control::api::{Answers, ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal, Status},
    observe::{
        answer,
        edges::{add_losses, completeness},
        model::{
            Answer, EdgeItem, EdgeState, Exchange, Filter, FlowItem, ServiceItem, TcpItem,
            VerdictItem,
        },
    },
};

impl Answers for Daemon {
    fn status(&self) -> Status {
        let lost = self.losses();
        let graph = self.graph();
        let (exchanges, rate) = (graph.calls(), graph.rate());
        let (edges, connections) = (graph.len() as u64, graph.open());
        drop(graph);
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: time::monotonic_ns().saturating_sub(self.started_ns) as f64 / 1e9,
            kernel: kernel_release(),
            exchanges,
            rate,
            edges,
            connections,
            policies: self.policies.list(&[]).len() as u64,
            completeness: completeness(exchanges, &lost),
            lost,
            map_fill: self.fills(),
            missing: self.missing(),
            hooks: self.kernel.hooks(),
            exporters: locked(&self.exporters)
                .as_ref()
                .map(|states| states())
                .unwrap_or_default(),
        }
    }

    fn edges(&self, filter: &Filter) -> Answer<EdgeItem> {
        let (now, unbound) = (time::unix_seconds(), self.unbound());
        self.with_edges(filter, |edges| answer::edges(edges, filter, now, unbound))
    }

    fn edge_states(&self) -> Vec<EdgeState> {
        self.graph().edges().cloned().collect()
    }

    fn services(&self, filter: &Filter) -> Answer<ServiceItem> {
        let (now, unbound) = (time::unix_seconds(), self.unbound());
        self.with_edges(filter, |edges| {
            answer::services(edges, filter, now, unbound)
        })
    }

    fn tcp(&self, filter: &Filter) -> Answer<TcpItem> {
        let (now, unbound) = (time::unix_seconds(), self.unbound());
        self.with_edges(filter, |edges| answer::tcp(edges, filter, now, unbound))
    }

    fn flows(&self, filter: &Filter) -> Answer<FlowItem> {
        let now = time::unix_seconds();
        let lane = locked(&self.lane);
        // Those that are over are asked for by a stretch of time.
        let ended = lane.ended.iter().filter(|_| filter.since_seconds.is_some());
        let mut items: Vec<FlowItem> = lane
            .flows
            .items(time::monotonic_ns())
            .chain(ended.cloned())
            .filter(|flow| filter.matches_flow(flow, now))
            .collect();
        drop(lane);
        items.sort_by(|a, b| b.age_seconds.total_cmp(&a.age_seconds));
        self.detailed(items)
    }

    fn exchanges(&self, filter: &Filter) -> Answer<Exchange> {
        let now = time::unix_seconds();
        let items = locked(&self.lane)
            .exchanges
            .iter()
            .filter(|exchange| filter.matches_exchange(exchange, now))
            .map(|exchange| exchange.as_ref().clone())
            .collect();
        self.detailed(items)
    }

    fn verdicts(&self, filter: &Filter) -> Answer<VerdictItem> {
        let now = time::unix_seconds();
        let items = locked(&self.lane)
            .verdicts
            .iter()
            .filter(|item| filter.matches_verdict(item, now))
            .map(|item| item.as_ref().clone())
            .collect();
        self.detailed(items)
    }

    fn tap(&self) -> broadcast::Receiver<Arc<Exchange>> {
        let receiver = self.channels.taps.subscribe();
        // Not at the next second: the first exchanges are what a person waits for.
        self.steer();
        receiver
    }

    fn tap_ended(&self) {
        self.steer();
    }

    fn follow_details(&self) -> broadcast::Receiver<Arc<Exchange>> {
        self.channels.details.subscribe()
    }

    fn follow_flows(&self) -> broadcast::Receiver<Arc<FlowItem>> {
        self.channels.flows.subscribe()
    }

    fn follow_verdicts(&self) -> broadcast::Receiver<Arc<VerdictItem>> {
        self.channels.verdicts.subscribe()
    }

    fn policies(&self) -> Vec<PolicyItem> {
        let counters = locked(&self.facts).rules.clone();
        self.policies.list(&counters)
    }

    fn policies_yaml(&self) -> String {
        self.policies.yaml()
    }

    fn policy_apply(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        self.apply_policies(files)
    }

    fn policy_check(&self, files: &[PolicyFile]) -> Result<Vec<String>, Vec<Refusal>> {
        self.check_policies(files)
    }

    fn policy_delete(&self, name: &str) -> Result<bool> {
        self.delete_policy(name)
    }

    fn policy_explain(&self, query: &ExplainQuery) -> Result<Explanation> {
        self.explain_policies(query)
    }
}

impl Daemon {
    /// Losses that belong to no edge.
    fn unbound(&self) -> BTreeMap<String, u64> {
        self.graph().unbound_losses()
    }

    /// An answer that stands on records of the ring buffer: whatever was lost on the way to it
    /// may hide items.
    fn detailed<T>(&self, items: Vec<T>) -> Answer<T> {
        let graph = self.graph();
        answer::answer(items, graph.calls(), graph.lost())
    }

    /// Everything that was lost or had to go, by reason.
    fn losses(&self) -> BTreeMap<String, u64> {
        let lane = locked(&self.lane);
        let graph = self.graph();
        let mut lost = graph.lost();
        let own = [
            ("evicted_edges", graph.folded().edges),
            ("folded_calls", graph.folded().calls),
            ("evicted_operation_names", lane.operations.evicted()),
            ("evicted_flows", lane.flows.evicted()),
            ("unreadable_records", lane.unreadable),
        ];
        drop(graph);
        drop(lane);
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let others = [
            ("evicted_names", self.registry.evicted()),
            ("delayed_names", locked(&self.pending).overflow()),
            ("snapshot_failures", load(&self.troubles.snapshots)),
            ("kernel_write_failures", load(&self.troubles.writes)),
            ("adoption_failures", load(&self.troubles.adoptions)),
            ("unentered_namespaces", load(&self.troubles.namespaces)),
        ];
        let mut own: BTreeMap<String, u64> = own
            .into_iter()
            .chain(others)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.to_owned(), count))
            .collect();
        let failures = locked(&self.keeper).failures;
        if failures > 0 {
            own.insert("history_failures".into(), failures);
        }
        add_losses(&mut lost, &own);
        lost
    }

    /// Fill of the kernel's maps and of the daemon's own tables.
    fn fills(&self) -> BTreeMap<String, (u64, u64)> {
        let own = self.registry.fill();
        let mut fills: BTreeMap<String, (u64, u64)> = own
            .into_iter()
            .map(|(name, entries, capacity)| (name.to_owned(), (entries, capacity)))
            .collect();
        let lane = locked(&self.lane);
        let graph = self.graph();
        for (name, entries, capacity) in [
            ("agent_edges", graph.len(), graph.limits().edges),
            ("agent_flows", lane.flows.len(), lane.flows.capacity()),
            (
                "agent_operations",
                lane.operations.len(),
                lane.operations.capacity(),
            ),
        ] {
            fills.insert(name.into(), (entries as u64, capacity as u64));
        }
        drop(graph);
        drop(lane);
        for (name, entries, capacity) in &locked(&self.facts).map_fill {
            fills.insert(name.clone(), (*entries, *capacity));
        }
        fills
    }

    fn missing(&self) -> Vec<String> {
        let mut missing = self.kernel.missing();
        if let Some(trouble) = &locked(&self.keeper).trouble {
            missing.push(format!("history: {trouble}"));
        }
        missing
    }
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|release| release.trim().to_owned())
        .unwrap_or_default()
}
