//! Consul: an agent that serves itself, in memory.

use std::net::SocketAddr;

use super::{Place, python_script, tool};
use crate::process::Process;

/// A running Consul.
pub struct Consul {
    /// Where its HTTP API listens.
    pub address: SocketAddr,
    _process: Process,
}

impl Consul {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "consul";

    /// Starts it; its other ports are the ones behind `address`'s, or closed.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let program = tool("consul").display().to_string();
        let mut command = place.command(&program, Self::SERVICE);
        let (ip, port) = (address.ip(), address.port());
        command
            .args(["agent", "-dev", "-log-level=warn"])
            .args([format!("-bind={ip}"), format!("-client={ip}")])
            .arg(format!("-http-port={port}"))
            .args(["-dns-port=-1", "-grpc-port=-1"])
            .arg(format!("-server-port={}", port + 1))
            .arg(format!("-serf-lan-port={}", port + 2))
            .arg("-serf-wan-port=-1");
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            _process: process,
        }
    }

    /// A command that runs a scenario of `tests/servers/consul_client.py` against it.
    pub fn client(&self, place: Place, scenario: &str) -> std::process::Command {
        let mut command = python_script(place, "consul_client.py", "shop");
        command.arg(scenario).arg(self.address.port().to_string());
        command
    }
}
