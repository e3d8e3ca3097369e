//! The threads that keep the daemon going.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::info;

use super::{Daemon, locked, time};

const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
const IDENTITY_EVERY: Duration = Duration::from_secs(1);
const HISTORY_EVERY: Duration = Duration::from_secs(60);

/// A daemon at work. Dropping it stops the threads.
pub struct Running {
    daemon: Arc<Daemon>,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Stop {
    wanted: AtomicBool,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Stop {
    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Waits; true if the end came meanwhile.
    fn wait(&self, time: Duration) -> bool {
        let guard = locked(&self.lock);
        if !self.is_wanted() {
            drop(self.bell.wait_timeout(guard, time));
        }
        self.is_wanted()
    }

    fn want(&self) {
        let _guard = locked(&self.lock);
        self.wanted.store(true, Ordering::Release);
        self.bell.notify_all();
    }
}

impl Daemon {
    /// Names everybody, takes up what is older than weir, brings the rules up to date, and
    /// starts the threads. The ring buffer's reader is the caller's: it gives each record to
    /// [`Daemon::ingest`].
    pub fn start(self: &Arc<Self>) -> std::io::Result<Running> {
        // Names go before rules: rules that do not know their workloads yet would let through
        // what the rules of the run before refuse.
        self.tick_identity();
        self.recompile();
        let adopted = self.adopt();
        info!(
            "took up {} listeners and {} connections that are older than weir ({} could not be)",
            adopted.listeners, adopted.connections, adopted.failed
        );
        self.tick_snapshot();
        let mut running = Running {
            daemon: Arc::clone(self),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        running.spawn("weir-snapshot", snapshots)?;
        running.spawn("weir-identity", identities)?;
        running.spawn("weir-history", history)?;
        Ok(running)
    }
}

impl Running {
    fn spawn(&mut self, name: &str, work: fn(&Daemon, &Stop)) -> std::io::Result<()> {
        let (daemon, stop) = (Arc::clone(&self.daemon), Arc::clone(&self.stop));
        let builder = thread::Builder::new().name(name.into());
        self.threads
            .push(builder.spawn(move || work(&daemon, &stop))?);
        Ok(())
    }

    /// Ends the threads and writes the last of the history. The kernel programs go on.
    pub fn stop(mut self) {
        self.end();
        self.daemon.tick_snapshot();
        self.daemon.inherit_history();
        self.daemon.tick_history();
    }

    fn end(&mut self) {
        self.stop.want();
        self.daemon.wake();
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn snapshots(daemon: &Daemon, stop: &Stop) {
    while !stop.wait(SNAPSHOT_EVERY) {
        daemon.tick_snapshot();
        // Counters of an earlier run are known to history. They come with the first snapshots.
        if !daemon.is_settling() {
            daemon.inherit_history();
        }
    }
}

fn identities(daemon: &Daemon, stop: &Stop) {
    while !stop.is_wanted() {
        daemon.wait_for_processes(IDENTITY_EVERY);
        daemon.tick_identity();
        // A storm of short-lived processes is answered in rounds, not one by one.
        if stop.wait(Duration::from_millis(5)) {
            return;
        }
    }
}

fn history(daemon: &Daemon, stop: &Stop) {
    while !stop.wait(HISTORY_EVERY) {
        daemon.tick_history();
        daemon.expire_flows();
    }
}

impl Daemon {
    /// Drops connections whose end was never told.
    fn expire_flows(&self) {
        if let Some(open) = self.open_cookies() {
            let now_ns = time::monotonic_ns();
            locked(&self.lane).flows.expire(now_ns, &open);
        }
    }

    /// Wakes the thread that names processes.
    fn wake(&self) {
        self.bell.notify_all();
    }
}
