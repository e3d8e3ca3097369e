//! Fills the outboxes: exchanges gathered into span requests, metrics collected at intervals.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio::{
    sync::{
        broadcast::{
            Receiver,
            error::{RecvError, TryRecvError},
        },
        watch,
    },
    time::{MissedTickBehavior, interval},
};

use super::{
    collect::Collector,
    encode::metric_batches,
    metrics::Host,
    names::Owner,
    otlp::{Batch, Outbox},
    own::Own,
    spans::span_batch,
    stats::{ExporterStats, reason},
};
use crate::observe::model::Exchange;

/// Exchanges per span request, and how long they may wait for each other.
const SPAN_BATCH: usize = 512;
const SPAN_WAIT: Duration = Duration::from_secs(1);

/// Collects metrics at intervals, and once more at the end.
pub(super) struct MetricIntake {
    pub collector: Arc<Collector>,
    pub own: Arc<Own>,
    pub outbox: Outbox,
    pub every: Duration,
}

impl MetricIntake {
    /// Works until `closing` turns true.
    pub async fn run(self, mut closing: watch::Receiver<bool>) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = ticks.tick() => false,
                _ = closing.wait_for(|closing| *closing) => true,
            };
            let (collector, own) = (Arc::clone(&self.collector), Arc::clone(&self.own));
            let batches = tokio::task::spawn_blocking(move || encoded_metrics(&collector, &own));
            // An error means that the runtime is ending.
            let Ok(batches) = batches.await else {
                return;
            };
            self.outbox.supersede(batches);
            if last {
                return;
            }
        }
    }
}

fn encoded_metrics(collector: &Collector, own: &Own) -> Vec<Batch> {
    let mut batches = metric_batches(&collector.collect(), Some(Owner::Agent));
    match own.batch() {
        Ok(batch) => batches.extend(batch),
        Err(error) => tracing::warn!("{error:#}"),
    }
    let encoded = batches.into_iter().map(|batch| Batch {
        items: batch.points,
        body: Bytes::from(batch.request.encode_to_vec()),
    });
    encoded.collect()
}

/// Gathers exchanges into span requests.
pub(super) struct SpanIntake {
    pub details: Receiver<Arc<Exchange>>,
    pub waiting: Vec<Arc<Exchange>>,
    pub host: Host,
    pub outbox: Outbox,
    pub stats: ExporterStats,
}

impl SpanIntake {
    /// Works until `closing` turns true.
    pub async fn run(mut self, mut closing: watch::Receiver<bool>) {
        let mut ticks = interval(SPAN_WAIT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.details.recv() => match received {
                    Ok(exchange) => self.take(exchange),
                    Err(RecvError::Lagged(missed)) => self.stats.lost(reason::LAGGED, missed),
                    Err(RecvError::Closed) => break,
                },
                _ = ticks.tick() => self.flush(),
                _ = closing.wait_for(|closing| *closing) => break,
            }
        }
        self.take_the_rest();
        self.flush();
    }

    fn take(&mut self, exchange: Arc<Exchange>) {
        self.waiting.push(exchange);
        if self.waiting.len() >= SPAN_BATCH {
            self.flush();
        }
    }

    fn take_the_rest(&mut self) {
        // What was published before the stop; bounded, because publishers may go on.
        for _ in 0..self.details.len() {
            match self.details.try_recv() {
                Ok(exchange) => self.take(exchange),
                Err(TryRecvError::Lagged(missed)) => self.stats.lost(reason::LAGGED, missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let batch = span_batch(&self.waiting, &self.host);
        self.waiting.clear();
        self.stats.lost(reason::NO_IDS, batch.without_ids);
        if batch.spans > 0 {
            self.outbox.push(Batch {
                body: Bytes::from(batch.request.encode_to_vec()),
                items: batch.spans,
            });
        }
    }
}
