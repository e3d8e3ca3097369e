//! Python programs that are both a server and clients of it: `tests/servers/*_peer.py`.

use std::{net::SocketAddr, process::Command};

use super::Place;
use crate::{gate::workspace, process::Process};

/// A running server.
pub struct Peer {
    /// Where it listens: a port of loopback.
    pub address: SocketAddr,
    program: &'static str,
    _process: Process,
}

impl Peer {
    /// Starts `tests/servers/PROGRAM serve PORT` as `service`.
    pub fn start(place: Place, program: &'static str, service: &str, address: SocketAddr) -> Self {
        let mut command = python(place, program, service);
        command.arg("serve").arg(address.port().to_string());
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            program,
            _process: process,
        }
    }

    /// A command that runs a scenario of a client in it.
    pub fn client(&self, place: Place, client: &str, scenario: &str) -> Command {
        let mut command = python(place, self.program, "shop");
        let port = self.address.port().to_string();
        command.args([client, scenario, &port]);
        command
    }
}

fn python(place: Place, program: &str, service: &str) -> Command {
    let python = workspace().join("target/venv/bin/python");
    let mut command = place.command(&python.display().to_string(), service);
    command.arg(workspace().join("tests/servers").join(program));
    command
}
