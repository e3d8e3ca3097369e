//! The detail lane's state in user space: what records add to and answers read. Pure.
#![forbid(unsafe_code)]

use std::{collections::HashMap, sync::Arc};

use weir_common::event::{ConnectionRecord, ExchangeRecord, PathRecord, VerdictRecord, why};

use crate::observe::{
    clock::Clock,
    exchange::exchange_of,
    flows::FlowTable,
    graph::Graph,
    model::{Exchange, FlowItem, VerdictItem},
    operations::OperationNames,
    parties::{Ends, Names, PartyFacts, facts_of_connection, facts_of_exchange},
    recent::Recent,
    routes::Routes,
    verdicts::verdict_of,
};

/// How much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Names of operations.
    pub operations: usize,
    /// Live connections.
    pub flows: usize,
    /// Recent exchanges.
    pub exchanges: usize,
    /// Recent verdicts.
    pub verdicts: usize,
    /// Connections that ended lately.
    pub ended: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            operations: 32_768,
            flows: 65_536,
            exchanges: 10_000,
            verdicts: 10_000,
            ended: 4_096,
        }
    }
}

/// What records add to.
#[derive(Debug)]
pub struct Lane {
    /// Names of operations.
    pub operations: OperationNames,
    /// Live connections.
    pub flows: FlowTable,
    /// Connections that ended lately.
    pub ended: Recent<FlowItem>,
    /// Recent exchanges.
    pub exchanges: Recent<Arc<Exchange>>,
    /// Recent verdicts.
    pub verdicts: Recent<Arc<VerdictItem>>,
    /// Monotonic → unix time.
    pub clock: Clock,
    /// Both ends by kernel edge id, as the latest snapshot named them.
    ends: HashMap<u32, Ends>,
    generation: u64,
    /// Records that could not be read.
    pub unreadable: u64,
}

impl Lane {
    /// An empty lane.
    pub fn new(limits: &LaneLimits, routes: Routes, clock: Clock) -> Self {
        Self {
            operations: OperationNames::with_routes(limits.operations, routes),
            flows: FlowTable::new(limits.flows),
            ended: Recent::new(limits.ended),
            exchanges: Recent::new(limits.exchanges),
            verdicts: Recent::new(limits.verdicts),
            clock,
            ends: HashMap::new(),
            generation: 0,
            unreadable: 0,
        }
    }

    /// Takes an exchange up.
    pub fn take_exchange(&mut self, record: &ExchangeRecord, names: &dyn Names) -> Arc<Exchange> {
        let exchange = match self.ends.get(&record.edge_id) {
            Some(ends) => exchange_of(record, ends, &mut self.operations, &self.clock),
            None => {
                let ends = name(facts_of_exchange(record), names);
                exchange_of(record, &ends, &mut self.operations, &self.clock)
            }
        };
        let exchange = Arc::new(exchange);
        self.exchanges.push(Arc::clone(&exchange));
        exchange
    }

    /// Takes up the path of an operation of HTTP/2, or the name of one of GraphQL.
    pub fn take_path(&mut self, record: &PathRecord) {
        self.operations.learn_path(record.op, record.path());
    }

    /// Takes a connection's record up; `None` for the end of a local pair that is not shown.
    pub fn take_connection(
        &mut self,
        record: &ConnectionRecord,
        names: &dyn Names,
    ) -> Option<FlowItem> {
        let ends = name(facts_of_connection(record), names);
        let item = self.flows.take(record, &ends, &self.clock)?;
        if matches!(item.event.as_str(), "close" | "failed") {
            self.ended.push(item.clone());
        }
        Some(item)
    }

    /// Takes a verdict up.
    pub fn take_verdict(
        &mut self,
        record: &VerdictRecord,
        names: &dyn Names,
        policy: impl Fn(u32) -> Option<String>,
    ) -> Arc<VerdictItem> {
        let item = Arc::new(verdict_of(record, names, policy, &self.clock));
        self.verdicts.push(Arc::clone(&item));
        item
    }

    /// True if the ends of a kernel edge have names.
    pub fn knows_edge(&self, edge_id: u32) -> bool {
        self.ends.contains_key(&edge_id)
    }

    /// Takes the names of the ends of edges from the graph.
    pub fn learn_ends(&mut self, graph: &Graph, generation: u64) {
        if self.generation != generation || self.ends.len() > graph.kernel_edges() {
            self.ends.clear();
            self.generation = generation;
        }
        for (id, ends) in graph.ends() {
            match self.ends.get(&id) {
                Some(known) if known == ends => {}
                _ => {
                    self.ends.insert(id, ends.clone());
                }
            }
        }
    }
}

fn name((client, server): (PartyFacts, PartyFacts), names: &dyn Names) -> Ends {
    Ends {
        client: names.party(&client),
        server: names.party(&server),
    }
}

/// True if an exchange came to the lane only by the draw, so that a smaller draw might have left
/// it out.
pub fn is_only_sampled(record: &ExchangeRecord) -> bool {
    record.why == why::SAMPLED
}
