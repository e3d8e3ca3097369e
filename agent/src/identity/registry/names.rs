//! The registry's answers to "who is that?".

use std::sync::{Arc, atomic::Ordering};

use super::Registry;
use crate::observe::{
    model::{Endpoint, Workload, WorkloadKind},
    parties::{Named, Names, PartyFacts, endpoint_of, remote_endpoint},
};

impl Names for Registry {
    fn party(&self, facts: &PartyFacts) -> Named {
        let tables = self.read();
        if facts.local {
            return match tables.local(facts) {
                Some((workload, settled)) => here(workload, facts, settled),
                None => Named {
                    endpoint: unknown_endpoint(facts),
                    workload: None,
                    settled: false,
                },
            };
        }
        if let Some(workload) = tables.listener(facts) {
            return here(workload, facts, true);
        }
        let mut endpoint = remote_endpoint(&facts.addr, facts.port);
        let by_rule = self.rules.network(&facts.addr);
        if let Some(service) = by_rule.or_else(|| tables.resolved.name_of(&facts.addr)) {
            endpoint.service = service.to_owned();
        }
        Named {
            endpoint,
            workload: None,
            settled: true,
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

fn here(workload: Arc<Workload>, facts: &PartyFacts, settled: bool) -> Named {
    Named {
        endpoint: endpoint_of(&workload, &facts.addr, facts.port),
        workload: Some(workload),
        settled,
    }
}

fn unknown_endpoint(facts: &PartyFacts) -> Endpoint {
    Endpoint {
        service: "unknown".into(),
        kind: WorkloadKind::Unknown,
        ..remote_endpoint(&facts.addr, facts.port)
    }
}
