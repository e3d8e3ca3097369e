//! The task that empties a queue into a transport, and the handle that fills it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    queue::{Batch, Queue},
    retry::Backoff,
    transport::{Accepted, SendError, Transport},
};
use crate::export::stats::{ExporterStats, reason};

/// While the daemon stops, attempts follow each other this quickly until the deadline.
const LAST_ATTEMPTS: Duration = Duration::from_millis(200);

/// Where batches are put to be sent; clones share one queue and one sending task.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Notify,
    stats: ExporterStats,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_level(&self) {
        let queue = self.queue();
        self.stats.buffered(queue.items(), queue.bytes() as u64);
    }
}

impl Outbox {
    /// Starts the task that sends what is put into `queue` through `transport`.
    ///
    /// When `draining` turns true the task empties the queue and ends; when its sender is
    /// dropped the task ends at once.
    pub fn start(
        transport: Transport,
        queue: Queue,
        stats: ExporterStats,
        draining: watch::Receiver<bool>,
    ) -> (Self, JoinHandle<()>) {
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            filled: Notify::new(),
            stats,
        });
        let sender = Sender {
            transport,
            shared: Arc::clone(&shared),
            draining,
            backoff: Backoff::default(),
        };
        (Self { shared }, tokio::spawn(sender.run()))
    }

    /// Appends a batch; counted as lost when the buffer is full.
    pub fn push(&self, batch: Batch) {
        let items = batch.items;
        if !self.shared.queue().push(batch) {
            self.shared.stats.lost(reason::BUFFER_FULL, items);
        }
        self.shared.note_level();
        self.shared.filled.notify_one();
    }

    /// Puts newer cumulative points in the place of older ones.
    pub fn supersede(&self, batches: Vec<Batch>) {
        let (superseded, unfit) = self.shared.queue().supersede(batches);
        self.shared.stats.superseded(superseded);
        self.shared.stats.lost(reason::BUFFER_FULL, unfit);
        self.shared.note_level();
        self.shared.filled.notify_one();
    }

    /// Waits until `deadline` for `sending` to empty the queue; counts the rest as lost.
    pub async fn drain(&self, mut sending: JoinHandle<()>, deadline: Instant) {
        if tokio::time::timeout_at(deadline, &mut sending)
            .await
            .is_err()
        {
            sending.abort();
        }
        let left = self.shared.queue().clear();
        self.shared.stats.lost(reason::SHUTDOWN, left);
        self.shared.note_level();
    }
}

struct Sender {
    transport: Transport,
    shared: Arc<Shared>,
    draining: watch::Receiver<bool>,
    backoff: Backoff,
}

impl Sender {
    async fn run(mut self) {
        while let Some(batch) = self.next().await {
            match self.transport.send(batch.body).await {
                Ok(accepted) => self.delivered(batch.items, &accepted),
                Err(error) if error.retryable => self.wait(&error).await,
                Err(error) => self.refused(batch.items, &error),
            }
            self.shared.note_level();
        }
    }

    /// The next batch; `None` when draining and nothing is left.
    async fn next(&mut self) -> Option<Batch> {
        loop {
            self.draining.has_changed().ok()?;
            if let Some(batch) = self.shared.queue().start() {
                return Some(batch);
            }
            if *self.draining.borrow_and_update() {
                return None;
            }
            tokio::select! {
                () = self.shared.filled.notified() => {}
                changed = self.draining.changed() => changed.ok()?,
            }
        }
    }

    fn delivered(&mut self, items: u64, accepted: &Accepted) {
        let rejected = accepted.rejected.min(items);
        self.shared.queue().finish();
        self.shared.stats.sent(items - rejected);
        if rejected > 0 {
            self.shared.stats.lost(reason::PARTIAL, rejected);
            let said = &accepted.message;
            tracing::warn!("the OTLP receiver rejected {rejected} of {items} items: {said}");
        }
        self.backoff.reset();
    }

    fn refused(&mut self, items: u64, error: &SendError) {
        self.shared.queue().finish();
        self.shared.stats.lost(reason::REFUSED, items);
        self.shared.stats.error(error.message.clone());
        tracing::warn!("the OTLP receiver refused {items} items: {error}");
        self.backoff.reset();
    }

    async fn wait(&mut self, error: &SendError) {
        let superseded = self.shared.queue().again();
        self.shared.stats.superseded(superseded);
        self.shared.stats.retry(&error.message);
        let pause = self.backoff.next(error.retry_after);
        tracing::debug!("OTLP: {error}; again in {pause:?}");
        if *self.draining.borrow() {
            return tokio::time::sleep(pause.min(LAST_ATTEMPTS)).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.draining.changed() => {}
        }
    }
}
