//! Servers of gRPC: our own methods in grpcio, and etcd.

use std::{net::SocketAddr, process::Command};

use super::{Place, python_script};
use crate::{process::Process, scratch::Scratch};

/// A running server of `tests/servers/grpc_peer.py`.
pub struct GrpcPeer {
    /// Where it listens: a port of loopback.
    pub address: SocketAddr,
    _process: Process,
}

impl GrpcPeer {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "orders";

    /// Starts it.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let mut command = peer(place, Self::SERVICE, "serve", address);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            _process: process,
        }
    }

    /// A command that runs a scenario of `tests/servers/grpc_peer.py` against this server.
    pub fn client(&self, place: Place, scenario: &str) -> Command {
        peer(place, "shop", scenario, self.address)
    }
}

fn peer(place: Place, service: &str, scenario: &str, address: SocketAddr) -> Command {
    let mut command = python_script(place, "grpc_peer.py", service);
    command.arg(scenario).arg(address.port().to_string());
    command
}

/// A running etcd of one member.
pub struct Etcd {
    /// Where it listens for clients.
    pub address: SocketAddr,
    // Ended before its folder goes.
    _process: Process,
    _folder: Scratch,
}

impl Etcd {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "etcd";

    /// Starts it; its peers' port is the next one.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let folder = Scratch::new();
        let clients = format!("http://{address}");
        let peers = format!("http://{}:{}", address.ip(), address.port() + 1);
        let mut command = place.command("etcd", Self::SERVICE);
        command
            .args(["--log-level=error", "--data-dir"])
            .arg(folder.path().join("data"))
            .args(["--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")]);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// A command of etcd's own command line client.
    pub fn client(&self, place: Place, arguments: &[&str]) -> Command {
        let mut command = place.command("etcdctl", "shop");
        command
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={}", self.address))
            .args(arguments);
        command
    }
}
