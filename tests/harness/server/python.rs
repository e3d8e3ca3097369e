//! HTTP services in Python that call others over kept connections (`tests/servers/service.py`).

use std::net::SocketAddr;

use super::Place;
use crate::{gate::workspace, process::Process};

/// A running service.
pub struct PythonService {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl PythonService {
    /// Starts `service` on `address`; back ends are `http=ADDRESS/PATH` or `redis=ADDRESS`.
    pub fn start(place: Place, service: &str, address: SocketAddr, backends: &[String]) -> Self {
        let mut command = place.command("/usr/bin/python3", service);
        command
            .arg(workspace().join("tests/servers/service.py"))
            .arg(address.to_string())
            .args(backends);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self { process, address }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
