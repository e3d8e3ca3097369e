//! Records of the ring buffer, as they come.

use std::sync::{Arc, atomic::Ordering};

use weir_common::{
    event::{
        AnswerRecord, ConnectionRecord, ExchangeRecord, ProcessRecord, VerdictRecord, process_event,
    },
    flow::Owner,
};

use super::{Daemon, lane::is_only_sampled, locked};
use crate::{
    identity::registry::Hint,
    observe::{
        decode::{Event, decode},
        model::Exchange,
        protocol::dns::addresses_of,
    },
};

impl Daemon {
    /// Takes one record of the ring buffer. Quick: called for every record, from one thread.
    pub fn ingest(&self, bytes: &[u8]) {
        match decode(bytes) {
            Ok(Event::Exchange(record)) => self.ingest_exchange(&record),
            Ok(Event::Connection(record)) => self.ingest_connection(&record),
            Ok(Event::Verdict(record)) => self.ingest_verdict(&record),
            Ok(Event::Process(record)) => self.ingest_process(&record),
            Ok(Event::Path(record)) => locked(&self.lane).take_path(&record),
            Ok(Event::Answer(record)) => self.ingest_answer(&record),
            Err(_) => locked(&self.lane).unreadable += 1,
        }
    }

    fn ingest_exchange(&self, record: &ExchangeRecord) {
        if !locked(&self.lane).knows_edge(record.edge_id) {
            self.name_ends(record);
        }
        let exchange = locked(&self.lane).take_exchange(record, &self.registry);
        if self.channels.details.receiver_count() > 0
            && let Some(exchange) = self.thinned(record, &exchange)
        {
            // An error says that the last subscriber has just left.
            let _ = self.channels.details.send(exchange);
        }
        if self.channels.taps.receiver_count() > 0 {
            let _ = self.channels.taps.send(exchange);
        }
    }

    /// Before the first snapshot that has its edge, an exchange is named by its processes. Those
    /// that nobody has told of (forked, not executed) are read now.
    fn name_ends(&self, record: &ExchangeRecord) {
        for tgid in [record.client_tgid, record.server_tgid] {
            if tgid != 0 && !self.registry.knows(tgid) {
                self.resolve(tgid, &Hint::default(), record.ended_ns);
            }
        }
    }

    /// What the budget would have drawn: while somebody taps everything comes, and those who
    /// only follow get a fair sample of it.
    fn thinned(&self, record: &ExchangeRecord, exchange: &Arc<Exchange>) -> Option<Arc<Exchange>> {
        let drawn = self.drawn.load(Ordering::Relaxed);
        let came_by_tap = record.probability == u32::MAX && drawn < 1 << 32;
        if !came_by_tap || !is_only_sampled(record) {
            return Some(Arc::clone(exchange));
        }
        // A hash of what identifies the exchange is as fair as a draw, and needs no state.
        let dice = weir_common::fnv1a_step(
            record.request_offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ record.cookie,
            record.ended_ns as u8,
        ) >> 32;
        (dice < drawn).then(|| {
            Arc::new(Exchange {
                sample_probability: drawn as f64 / 4_294_967_296.0,
                ..Exchange::clone(exchange)
            })
        })
    }

    fn ingest_connection(&self, record: &ConnectionRecord) {
        for owner in [&record.owner, &record.peer] {
            self.ask_for_name(owner);
        }
        let item = locked(&self.lane).take_connection(record, &self.registry);
        if self.channels.flows.receiver_count() > 0
            && let Some(item) = item
        {
            let _ = self.channels.flows.send(Arc::new(item));
        }
    }

    fn ingest_verdict(&self, record: &VerdictRecord) {
        self.ask_for_name(&record.from);
        let policy = |slot| self.policies.policy_of(slot);
        let item = locked(&self.lane).take_verdict(record, &self.registry, policy);
        if self.channels.verdicts.receiver_count() > 0 {
            let _ = self.channels.verdicts.send(item);
        }
    }

    fn ingest_process(&self, record: &ProcessRecord) {
        if record.event == process_event::EXIT {
            self.registry.ended(record.tgid, record.header.time_ns);
            return;
        }
        let hint = Hint {
            comm: record.comm,
            cgroup_id: record.cgroup_id,
        };
        self.queue_process(record.tgid, hint, true);
    }

    fn ingest_answer(&self, record: &AnswerRecord) {
        if let Some(answer) = addresses_of(record.message()) {
            self.registry
                .learn_addresses(&answer, record.header.time_ns);
        }
    }

    fn ask_for_name(&self, owner: &Owner) {
        if owner.tgid != 0 && owner.workload == 0 && !self.registry.knows(owner.tgid) {
            let hint = Hint {
                comm: owner.comm,
                cgroup_id: owner.cgroup_id,
            };
            self.queue_process(owner.tgid, hint, false);
        }
    }
}
