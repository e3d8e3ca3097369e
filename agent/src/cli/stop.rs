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
/// daemon to end the stream. A second interrupt ends the process at once.
pub fn watch(stopper: Stopper, duration: Option<f64>) -> Result<Stop, Failure> {
    let stop = Stop::default();
    let asked = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot watch for interrupts: {error}")))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if let (Ok(mut interrupt), Ok(mut terminate)) = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
            ) {
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
                }
                std::process::exit(130);
            }
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
