//! ZooKeeper alone, without its administration server.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use serde::Deserialize;

use super::Place;
use crate::{
    gate::workspace,
    process::{Process, must},
    scratch::Scratch,
};

/// A running ZooKeeper.
pub struct ZooKeeper {
    /// The server itself.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: Scratch,
}

impl ZooKeeper {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "zookeeper";

    /// Starts it, empty.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let folder = Scratch::new();
        let config = format!(
            "tickTime=1000\ndataDir={}\nclientPort={}\nclientPortAddress={}\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n",
            folder.path().display(),
            address.port(),
            address.ip(),
        );
        let config = folder.write("zoo.cfg", &config);
        let mut command = place.command("java", Self::SERVICE);
        command
            .args([
                "-Xmx64m",
                "-cp",
                "/usr/share/java/zookeeper.jar:/usr/share/java/*",
            ])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(config);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            process,
            address,
            _folder: folder,
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// What `tests/servers/zookeeper_client.py` says of its calls.
#[derive(Debug, Deserialize)]
pub struct Called {
    /// Requests that kazoo sent, by operation.
    pub sent: BTreeMap<String, u64>,
    /// Calls that failed, by kind.
    pub failed: BTreeMap<String, u64>,
    /// How long plain reads took, ns.
    pub reads_ns: Vec<u64>,
}

/// Name under which the client runs.
pub const CLIENT: &str = "shop";

fn client(place: Place, server: SocketAddr) -> std::process::Command {
    let python = workspace().join("target/venv/bin/python");
    assert!(python.exists(), "kazoo is missing; run `cargo xtask setup`");
    let mut command = place.command(&python.to_string_lossy(), CLIENT);
    command.arg(workspace().join("tests/servers/zookeeper_client.py"));
    command.arg(server.to_string());
    command
}

/// Makes every kind of call through kazoo.
///
/// # Panics
/// If one of them does not end as it should.
pub fn call(place: Place, server: SocketAddr) -> Called {
    called(&must(&mut client(place, server)))
}

/// A command that reads all the time for some seconds, and tells how long each took, ns.
pub fn steady(place: Place, server: SocketAddr) -> std::process::Command {
    let mut command = client(place, server);
    command.arg("steady");
    command
}

/// The same as [`call`] by a client that is connected already and waits for [`Waiting::go`].
pub struct Waiting {
    process: Process,
    folder: Scratch,
}

impl Waiting {
    /// Connects.
    pub fn connect(place: Place, server: SocketAddr) -> Self {
        let folder = Scratch::new();
        let go = folder.path().join("go");
        let process = Process::start(client(place, server).arg(&go));
        let ready = folder.path().join("go.ready");
        crate::wait_for(
            "kazoo's session",
            std::time::Duration::from_secs(30),
            || Path::new(&ready).exists().then_some(()),
        );
        Self { process, folder }
    }

    /// Lets it call.
    ///
    /// # Panics
    /// If one of its calls does not end as it should.
    pub fn go(mut self) -> Called {
        self.folder.write("go", "");
        let status = self.process.wait(std::time::Duration::from_secs(60));
        let log = self.process.log();
        assert!(status.success(), "{status}\n{log}");
        called(&log)
    }
}

fn called(text: &str) -> Called {
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
}
