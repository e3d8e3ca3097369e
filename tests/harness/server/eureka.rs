//! A stand-in for Eureka's server, and the real client of it.

use std::{net::SocketAddr, process::Command};

use super::{Place, python_script};
use crate::process::Process;

/// A running stand-in, `tests/servers/eureka_stub.py`.
pub struct Eureka {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
}

impl Eureka {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "eureka";

    /// Starts it.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let mut command = python_script(place, "eureka_stub.py", Self::SERVICE);
        command.arg(address.port().to_string());
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self { address, process }
    }

    /// A command that registers, beats, fetches and cancels with `py-eureka-client`.
    pub fn client(&self, place: Place) -> Command {
        let mut command = python_script(place, "eureka_client.py", "shop");
        command.arg(self.address.port().to_string());
        command
    }

    /// Every request that it has answered: method, path without query, status.
    pub fn answered(&self) -> Vec<(String, String, u16)> {
        let log = self.process.log();
        let request = |line: &str| {
            let mut words = line.strip_prefix("answered ")?.split(' ');
            let method = words.next()?.to_owned();
            let path = words.next()?.to_owned();
            Some((method, path, words.next()?.parse().ok()?))
        };
        log.lines().filter_map(request).collect()
    }
}
