//! Redis without persistence.

use std::{net::SocketAddr, process::Command};

use super::{Place, python_client};
use crate::process::{Process, must};

/// A running Redis.
pub struct Redis {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Redis {
    /// Name under which weir shows it: Redis overwrites the environment that would tell another.
    pub const SERVICE: &str = "redis-server";

    /// Starts it.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let mut command = place.command("redis-server", Self::SERVICE);
        command
            .args(["--bind", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .args(["--save", "", "--protected-mode", "no", "--dir", "/tmp"]);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self { process, address }
    }

    /// A command that runs a scenario of `tests/servers/redis_client.py` against this server.
    pub fn client(&self, place: Place, scenario: &str) -> Command {
        python_client(place, "redis_client.py", self.address, scenario)
    }

    /// Runs `redis-benchmark`: so many SETs and as many GETs, of 50 connections with `pipeline`
    /// requests at a time each. Answers how many a second were served on average.
    pub fn benchmark(&self, place: Place, requests: u64, pipeline: u32) -> f64 {
        let mut command = place.command("redis-benchmark", "load");
        command
            .args(["-h", &self.address.ip().to_string()])
            .args(["-p", &self.address.port().to_string()])
            .args(["-c", "50", "-t", "set,get", "--csv"])
            .args(["-n", &requests.to_string(), "-P", &pipeline.to_string()]);
        let text = must(&mut command);
        let rates: Vec<f64> = text
            .lines()
            .filter_map(|line| line.split('"').nth(3)?.parse().ok())
            .collect();
        assert_eq!(rates.len(), 2, "{text}");
        // As many of each: the mean time of one is the mean of both.
        2.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
    }

    /// How many commands the server has executed, this question not among them.
    pub fn executed(&self, place: Place) -> u64 {
        let mut command = place.command("redis-cli", "operator");
        command
            .args(["-h", &self.address.ip().to_string()])
            .args(["-p", &self.address.port().to_string()])
            .args(["info", "stats"]);
        let text = must(&mut command);
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("total_commands_processed:"));
        count
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or_else(|| panic!("no count in {text}"))
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
