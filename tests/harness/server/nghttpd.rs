//! nghttpd: HTTP/2 in the clear.

use std::net::SocketAddr;

use super::Place;
use crate::{process::Process, scratch::Scratch};

/// A running nghttpd that serves `/index.html` and `/orders/7/items`.
pub struct Nghttpd {
    /// Where it listens.
    pub address: SocketAddr,
    // Ended before its folder goes.
    _process: Process,
    _folder: Scratch,
}

impl Nghttpd {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "files";

    /// Starts it; it sends `trailer` behind every body, if there is one.
    pub fn start(place: Place, address: SocketAddr, trailer: Option<&str>) -> Self {
        let folder = Scratch::new();
        for at in ["orders", "orders/7"] {
            std::fs::create_dir(folder.path().join(at)).expect("make a folder to serve");
        }
        folder.write("index.html", "hello\n");
        folder.write("orders/7/items", &"item\n".repeat(30_000));
        let mut command = place.command("nghttpd", Self::SERVICE);
        command
            .args(["--no-tls", "-n1"])
            .arg(format!("--address={}", address.ip()))
            .arg(format!("--htdocs={}", folder.path().display()));
        if let Some(trailer) = trailer {
            command.arg(format!("--trailer={trailer}"));
        }
        command.arg(address.port().to_string());
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }
}
