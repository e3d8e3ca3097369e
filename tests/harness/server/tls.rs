//! TLS: a certificate of our own, and a server that shows it (`tests/servers/tls_peer.py`).

use std::{net::SocketAddr, path::PathBuf, process::Command};

use super::Place;
use crate::{
    gate::workspace,
    process::{Process, must},
    scratch::Scratch,
};

/// A self-signed certificate for `shop.lan` and `slow.lan`.
pub struct Certificate {
    folder: Scratch,
}

impl Certificate {
    /// Makes one.
    pub fn new() -> Self {
        let certificate = Self {
            folder: Scratch::new(),
        };
        let mut openssl = Command::new("openssl");
        openssl
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=shop.lan"])
            .args(["-addext", "subjectAltName=DNS:shop.lan,DNS:slow.lan"])
            .arg("-keyout")
            .arg(certificate.key())
            .arg("-out")
            .arg(certificate.file());
        must(&mut openssl);
        certificate
    }

    /// The certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}

/// A running server; it answers five bytes with the same.
pub struct TlsPeer {
    /// Where it listens: a port of loopback.
    pub address: SocketAddr,
    certificate: Certificate,
    _process: Process,
}

impl TlsPeer {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "vault";

    /// Starts it.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let certificate = Certificate::new();
        let mut command = peer(place, Self::SERVICE, "serve", address);
        command.arg(certificate.file()).arg(certificate.key());
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            certificate,
            _process: process,
        }
    }

    /// A command that makes all kinds of handshakes with it, and tells of each.
    pub fn clients(&self, place: Place) -> Command {
        let mut command = peer(place, "shop", "shake", self.address);
        command.arg(self.certificate.file());
        command
    }
}

fn peer(place: Place, service: &str, scenario: &str, address: SocketAddr) -> Command {
    let mut command = place.command("/usr/bin/python3", service);
    command
        .arg(workspace().join("tests/servers/tls_peer.py"))
        .arg(scenario)
        .arg(address.port().to_string());
    command
}
