//! A server that speaks MongoDB's wire protocol (SecantusDB), and PyMongo.

use std::{net::SocketAddr, process::Command};

use super::{Place, python_client};
use crate::{gate::workspace, process::Process, scratch::Scratch};

/// A running server.
pub struct MongoDb {
    /// Where it listens.
    pub address: SocketAddr,
    /// The server itself; ended before its folder goes.
    pub process: Process,
    _folder: Scratch,
}

impl MongoDb {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "mongodb";

    /// Starts it with an empty folder.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let folder = Scratch::new();
        let program = workspace().join("target/venv/bin/secantusd-py");
        let mut command = place.command(&program.display().to_string(), Self::SERVICE);
        command
            .args(["--host", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .arg("--storage-path")
            .arg(folder.path());
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            process,
            _folder: folder,
        }
    }

    /// A command that runs a scenario of `tests/servers/mongodb_client.py` against this server.
    pub fn client(&self, place: Place, scenario: &str) -> Command {
        python_client(place, "mongodb_client.py", self.address, scenario)
    }
}
