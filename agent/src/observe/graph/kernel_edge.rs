//! What is remembered of one edge of the kernel's maps between snapshots.

use std::collections::HashMap;

use weir_common::{
    counter::OpKey,
    flow::{EdgeKey, EdgeValue, role},
};

use super::{
    edge::GraphKey,
    previous::{OpBefore, StatsBefore},
};
use crate::observe::{
    operations::{Operation, OperationKey, OperationNames},
    parties::{Ends, Names, facts_of_edge, is_local},
};

/// How long counts wait for a better name of their party or operation, ns. Names come through
/// other doors (the ring buffer, procfs) than counts, a moment later; what is counted under a
/// makeshift name stays there for good.
pub(super) const PATIENCE_NS: u64 = 3_000_000_000;

/// One edge of the kernel.
#[derive(Debug)]
pub(super) struct KernelEdge {
    pub(super) key: EdgeKey,
    pub(super) value: EdgeValue,
    pub(super) ends: Ends,
    pub(super) graph_key: GraphKey,
    /// Generation of the names that `ends` were taken from.
    generation: u64,
    /// Monotonic time at which this agent first saw it, ns.
    met_ns: u64,
    /// Monotonic time of the latest snapshot that had it, ns.
    pub(super) present_ns: u64,
    /// Monotonic time of its latest traffic, ns.
    pub(super) active_ns: u64,
    /// `active_ns` when its graph edge was folded into `_OTHER`; 0 if it never was.
    pub(super) folded_ns: u64,
    pub(super) stats: StatsBefore,
    pub(super) operations: HashMap<OpKey, OpMemory>,
}

/// What is remembered of one operation of a kernel edge.
#[derive(Debug, Default)]
pub(super) struct OpMemory {
    pub(super) before: OpBefore,
    /// As it was shown last, and the generation of names that it was shown by.
    shown: Option<(Operation, u64)>,
    waiting_since_ns: Option<u64>,
}

impl KernelEdge {
    pub(super) fn new(key: EdgeKey, value: EdgeValue, names: &dyn Names, now_ns: u64) -> Self {
        let ends = name_ends(&key, &value, names);
        Self {
            graph_key: GraphKey::of(&ends, key.port),
            key,
            value,
            ends,
            generation: names.generation(),
            met_ns: now_ns,
            present_ns: now_ns,
            active_ns: value.first_seen_ns,
            folded_ns: 0,
            stats: StatsBefore::default(),
            operations: HashMap::new(),
        }
    }

    /// The edge that the kernel folds everything into once its table is full.
    pub(super) fn other(now_ns: u64) -> Self {
        Self {
            graph_key: GraphKey::other(),
            key: EdgeKey::default(),
            value: EdgeValue::default(),
            ends: super::edge::other_ends(),
            generation: 0,
            met_ns: now_ns,
            present_ns: now_ns,
            active_ns: now_ns,
            folded_ns: 0,
            stats: StatsBefore::default(),
            operations: HashMap::new(),
        }
    }

    /// True if a snapshot's entry is this edge, not another one that got its id.
    pub(super) fn is(&self, key: &EdgeKey, value: &EdgeValue) -> bool {
        self.key == *key && self.value.first_seen_ns == value.first_seen_ns
    }

    /// Takes the newest value, and asks for names again where a better one may have come.
    pub(super) fn refresh(&mut self, value: EdgeValue, names: &dyn Names, now_ns: u64) {
        self.value = value;
        self.present_ns = now_ns;
        let generation = names.generation();
        if self.ends.settled() && self.generation == generation {
            return;
        }
        self.generation = generation;
        let ends = name_ends(&self.key, &self.value, names);
        if ends != self.ends {
            self.graph_key = GraphKey::of(&ends, self.key.port);
            self.ends = ends;
            // Another service may have other routes.
            for memory in self.operations.values_mut() {
                memory.shown = None;
            }
        }
    }

    /// True once its counts may be taken: named, or waited for long enough.
    pub(super) fn is_ready(&self, now_ns: u64) -> bool {
        self.ends.settled() || now_ns.saturating_sub(self.met_ns) >= PATIENCE_NS
    }

    /// True if the counting socket is the server's.
    pub(super) fn is_server_side(&self) -> bool {
        self.key.role == role::SERVER
    }

    /// True if both ends are on this host.
    pub(super) fn is_local_pair(&self) -> bool {
        is_local(&self.key.client) && is_local(&self.key.server)
    }

    /// Service that is called.
    pub(super) fn service(&self) -> &str {
        &self.ends.server.endpoint.service
    }

    /// Connections open now.
    pub(super) fn open(&self) -> u64 {
        self.value.opened.saturating_sub(self.value.closed)
    }

    /// True if either end is known to the kernel only as a process, so that nothing will come
    /// under this key once the process has a name or is gone.
    pub(super) fn is_makeshift(&self) -> bool {
        self.key.client.tgid != 0 || self.key.server.tgid != 0
    }
}

impl OpMemory {
    /// True if its counts have been shown under a name of its own.
    pub(super) fn is_named(&self) -> bool {
        self.shown.is_some()
    }

    /// The operation of `service` under which counts are taken now; `None` while it is worth
    /// waiting for its name.
    pub(super) fn operation(
        &mut self,
        key: &OpKey,
        service: &str,
        names: &mut OperationNames,
        now_ns: u64,
    ) -> Option<Operation> {
        let key = OperationKey::from(key);
        let is_latest = |shown: &&(Operation, u64)| shown.1 == names.generation();
        // A name that was forgotten since still holds.
        if let Some((operation, _)) = self
            .shown
            .as_ref()
            .filter(|shown| is_latest(shown) || !names.is_named(&key))
        {
            return Some(operation.clone());
        }
        if names.is_named(&key) {
            let operation = names.operation(&key, service);
            self.shown = Some((operation.clone(), names.generation()));
            return Some(operation);
        }
        let since = *self.waiting_since_ns.get_or_insert(now_ns);
        (now_ns.saturating_sub(since) >= PATIENCE_NS).then(|| names.operation(&key, service))
    }
}

fn name_ends(key: &EdgeKey, value: &EdgeValue, names: &dyn Names) -> Ends {
    let (client, server) = facts_of_edge(key, value);
    Ends {
        client: names.party(&client),
        server: names.party(&server),
    }
}
