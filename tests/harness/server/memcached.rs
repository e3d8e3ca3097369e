//! Memcached and its clients.

use std::{net::SocketAddr, process::Command};

use super::{Place, python_client};
use crate::process::Process;

/// A running Memcached.
pub struct Memcached {
    /// Where it listens.
    pub address: SocketAddr,
    /// The server itself.
    pub process: Process,
}

impl Memcached {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "memcached";

    /// Starts it, for values of up to 8 MiB.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let mut command = place.command("memcached", Self::SERVICE);
        command
            .args(["-u", "root", "-m", "128", "-I", "8m", "-U", "0"])
            .args(["-l", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()]);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self { address, process }
    }

    /// A command that runs a scenario of `tests/servers/memcached_client.py` against this server.
    pub fn client(&self, place: Place, scenario: &str) -> Command {
        python_client(place, "memcached_client.py", self.address, scenario)
    }
}
