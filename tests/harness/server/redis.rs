//! Redis without persistence.

use std::net::SocketAddr;

use super::Place;
use crate::process::Process;

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

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
