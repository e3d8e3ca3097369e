//! Ends a stream politely: on Ctrl-C, SIGTERM, or after `--for`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::control::client::Stopper;

/// How long the daemon has to send what still waits.
const GRACE: Duration = Duration::from_secs(3);

/// Tells whether the end of the stream was asked for.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// True once the end was asked for.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Watches in a thread for an interrupt or the end of `duration` (seconds), then asks the
/// daemon to end the stream. A second interrupt, or a daemon that does not end it, cuts it off.
pub fn watch(stopper: Stopper, duration: Option<f64>) -> Result<Stop, Failure> {
    let failed = |error| Failure::failed(format!("cannot watch for interrupts: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    // Registered before this returns: an interrupt that comes at once must not kill the process.
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        (interrupt, signal(SignalKind::terminate()).map_err(failed)?)
    };
    let stop = Stop::default();
    let asked = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = sleep(duration) => {}
            }
            asked.0.store(true, Ordering::Relaxed);
            stopper.stop();
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = tokio::time::sleep(GRACE) => {}
            }
            stopper.cut();
        });
    });
    Ok(stop)
}

async fn sleep(duration: Option<f64>) {
    match duration.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
