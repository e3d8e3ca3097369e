//! A server of one thread that may be late to read (`tests/servers/late_server.py`).

use std::{net::SocketAddr, time::Duration};

use super::Place;
use crate::{gate::workspace, process::Process, wait_for};

/// A running server.
pub struct LateServer {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
}

impl LateServer {
    /// Starts it: `how` it reads, how long it waits before it reads and works after that.
    pub fn start(
        place: Place,
        address: SocketAddr,
        how: &str,
        before: Duration,
        after: Duration,
    ) -> Self {
        let mut command = place.command("/usr/bin/python3", "late");
        command
            .arg(workspace().join("tests/servers/late_server.py"))
            .arg(address.to_string())
            .arg(how)
            .args([before, after].map(|pause| pause.as_millis().to_string()));
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self { address, process }
    }

    /// When it had read each of so many requests, in the order in which it answered them: Unix
    /// time, ns.
    ///
    /// # Panics
    /// If it does not serve them within 10 s.
    pub fn read_at(&self, requests: usize) -> Vec<u64> {
        let what = format!("{requests} requests served");
        wait_for(&what, Duration::from_secs(10), || {
            let lines = self.process.log();
            let times: Option<Vec<u64>> = lines.lines().map(|line| line.parse().ok()).collect();
            times.filter(|times| times.len() >= requests)
        })
    }
}
