//! Puts the rooms together: kernel records and snapshots in, answers and exports out.
//!
//! # Layout
//! - [`port`], [`policy`]: what the daemon needs of the kernel room and of the policies
//! - [`lane`], [`budget`]: the detail lane's state, and how much of it is drawn (pure)
//! - `ingest`: records of the ring buffer; `snapshots`: the exact lane, each second
//! - `identities`, `listening`: names for processes, cgroups and addresses
//! - `adopt`, [`adoption`]: sockets that are older than weir
//! - `keep`: history; `answers`: the questions of the control socket
//! - `running`: the threads

mod adopt;
pub mod adoption;
mod answers;
pub mod budget;
pub mod engine;
mod identities;
mod ingest;
mod keep;
pub mod lane;
mod listening;
pub mod policy;
pub mod port;
mod rules;
mod running;
mod snapshots;
#[cfg(test)]
mod tests;
mod time;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::broadcast;
use weir_common::policy::RuleCounter;

pub use self::running::Running;
use self::{
    identities::Identities,
    keep::Keeper,
    lane::{Lane, LaneLimits},
    policy::PolicyEngine,
    port::KernelPort,
};
use crate::{
    identity::{registry::Registry, rules::Rules},
    observe::{
        clock::Clock,
        graph::{Graph, GraphLimits},
        model::{Exchange, FlowItem, VerdictItem},
        routes::{RouteRule, Routes},
    },
    store::{History, Limits},
};

/// Exchanges that a slow subscriber may lag behind before it loses some.
const CHANNEL: usize = 16_384;

/// How the daemon is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Exchanges per second that the detail lane aims at while nobody taps.
    pub detail_per_second: u64,
    /// File of the history; `None` for a daemon without one.
    pub history: Option<PathBuf>,
    /// Bounds of the history.
    pub history_limits: Limits,
    /// Bounds of the graph.
    pub graph: GraphLimits,
    /// Bounds of the detail lane.
    pub lane: LaneLimits,
    /// Naming rules.
    pub rules: Rules,
    /// Routes of HTTP services.
    pub routes: Vec<RouteRule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            detail_per_second: 2_000,
            history: None,
            history_limits: Limits::default(),
            graph: GraphLimits::default(),
            lane: LaneLimits::default(),
            rules: Rules::default(),
            routes: Vec::new(),
        }
    }
}

/// What the latest snapshot said beside the edges.
#[derive(Debug, Default)]
struct Facts {
    rules: Vec<(u32, RuleCounter)>,
    map_fill: Vec<(String, u64, u64)>,
    program_stats: Vec<(String, u64, u64)>,
}

/// Subscribers of the detail lane.
#[derive(Debug)]
struct Channels {
    /// Everything; a subscriber opens the lane.
    taps: broadcast::Sender<Arc<Exchange>>,
    /// What the budget draws.
    details: broadcast::Sender<Arc<Exchange>>,
    flows: broadcast::Sender<Arc<FlowItem>>,
    verdicts: broadcast::Sender<Arc<VerdictItem>>,
}

/// Says how each exporter is, by name.
type ExporterStates = Box<dyn Fn() -> BTreeMap<String, String> + Send + Sync>;

/// The daemon. Locks are taken in the order of the fields and held briefly.
pub struct Daemon {
    kernel: Arc<dyn KernelPort>,
    policies: Arc<dyn PolicyEngine>,
    registry: Registry,
    identities: Mutex<Identities>,
    /// Held while the disk is waited for.
    history: Mutex<Option<History>>,
    keeper: Mutex<Keeper>,
    lane: Mutex<Lane>,
    /// Held while the programs are steered, so that who looked last writes last.
    steering: Mutex<()>,
    graph: RwLock<Graph>,
    facts: Mutex<Facts>,
    exporters: Mutex<Option<ExporterStates>>,
    pending: Mutex<identities::Pending>,
    /// Rings when a process waits for its name.
    bell: Condvar,
    channels: Channels,
    detail_per_second: u64,
    /// Probability of the draw, in 1/2^32.
    drawn: AtomicU64,
    troubles: Troubles,
    started_ns: u64,
}

/// Failures of calls into the kernel and the like: counted, shown by `weir status`.
#[derive(Debug, Default)]
struct Troubles {
    snapshots: AtomicU64,
    writes: AtomicU64,
    adoptions: AtomicU64,
    namespaces: AtomicU64,
}

impl Daemon {
    /// A daemon over a loaded kernel room. Takes up what an earlier run has left: names of
    /// workloads and operations, recent exchanges.
    pub fn new(
        kernel: Arc<dyn KernelPort>,
        policies: Arc<dyn PolicyEngine>,
        settings: Settings,
    ) -> Arc<Self> {
        let clock = Clock::new(time::unix_ns(), time::monotonic_ns());
        let mut lane = Lane::new(&settings.lane, Routes::new(&settings.routes), clock);
        let registry = Registry::new(settings.rules);
        let history = settings.history.map(|path| {
            History::open(
                &path,
                settings.history_limits,
                time::unix_ns() / 1_000_000_000,
            )
        });
        let keeper = history
            .as_ref()
            .map(|history| Keeper::restore(history, &mut lane, &registry));
        for (_, json) in kernel.workloads() {
            if let Ok(workload) = serde_json::from_str(&json) {
                registry.restore(workload);
            }
        }
        Arc::new(Self {
            kernel,
            policies,
            registry,
            identities: Mutex::default(),
            history: Mutex::new(history),
            keeper: Mutex::new(keeper.unwrap_or_default()),
            lane: Mutex::new(lane),
            steering: Mutex::default(),
            graph: RwLock::new(Graph::new(settings.graph)),
            facts: Mutex::default(),
            exporters: Mutex::default(),
            pending: Mutex::default(),
            bell: Condvar::new(),
            channels: Channels {
                taps: broadcast::channel(CHANNEL).0,
                details: broadcast::channel(CHANNEL).0,
                flows: broadcast::channel(CHANNEL).0,
                verdicts: broadcast::channel(CHANNEL).0,
            },
            detail_per_second: settings.detail_per_second,
            drawn: AtomicU64::new(1 << 32),
            troubles: Troubles::default(),
            started_ns: time::monotonic_ns(),
        })
    }

    /// Lets `weir status` show how the exporters are.
    pub fn set_exporters(
        &self,
        states: impl Fn() -> BTreeMap<String, String> + Send + Sync + 'static,
    ) {
        *locked(&self.exporters) = Some(Box::new(states));
    }

    /// Names of everybody, for rooms that want to name parties themselves.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Per program: name, runs, ns (only while the kernel's statistics are on).
    pub fn program_stats(&self) -> Vec<(String, u64, u64)> {
        locked(&self.facts).program_stats.clone()
    }

    fn graph(&self) -> RwLockReadGuard<'_, Graph> {
        self.graph.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn graph_mut(&self) -> RwLockWriteGuard<'_, Graph> {
        self.graph.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that failed and tells it once in a while: the same failure comes again
    /// every second.
    fn trouble(&self, counter: &AtomicU64, what: &str, error: &anyhow::Error) {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        if before.is_power_of_two() || before == 0 {
            tracing::warn!("{what}: {error:#} ({} times so far)", before + 1);
        }
    }
}

/// Locks. What a panicking thread left is whole: every holder leaves its data consistent
/// between any two statements that can panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
