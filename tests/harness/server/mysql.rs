//! MariaDB with a data folder of its own, and its clients.

use std::{net::SocketAddr, path::Path, process::Command};

use super::{Place, python_client};
use crate::{
    process::{Process, must},
    scratch::Scratch,
};

/// A running MariaDB; `root` may come in from loopback without a password.
pub struct MariaDb {
    /// Where it listens.
    pub address: SocketAddr,
    // Ended before its folder goes.
    _process: Process,
    _folder: Scratch,
}

impl MariaDb {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "mariadb";

    /// Makes the system tables and starts it; it can speak TLS with a certificate of its own.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let folder = Scratch::new();
        let at = |name: &str| folder.path().join(name).display().to_string();
        must(Command::new("mariadb-install-db").args([
            "--no-defaults",
            "--user=root",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            &format!("--datadir={}", at("data")),
        ]));
        certify(folder.path());
        let mut command = place.command("mariadbd", Self::SERVICE);
        command
            .args(["--no-defaults", "--user=root", "--skip-log-bin"])
            .args(["--skip-name-resolve", "--local-infile=1"])
            .args(["--max-allowed-packet=64M", "--innodb-buffer-pool-size=32M"])
            .arg(format!("--bind-address={}", address.ip()))
            .arg(format!("--port={}", address.port()))
            .arg(format!("--datadir={}", at("data")))
            .arg(format!("--socket={}", at("socket")))
            .arg(format!("--pid-file={}", at("pid")))
            .arg(format!("--ssl-cert={}", at("cert.pem")))
            .arg(format!("--ssl-key={}", at("key.pem")));
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// A command that runs a scenario of `tests/servers/mysql_client.py` against this server.
    pub fn client(&self, place: Place, scenario: &str) -> Command {
        python_client(place, "mysql_client.py", self.address, scenario)
    }

    /// A command that runs statements in MariaDB's own command line client.
    pub fn command_line(&self, place: Place, statements: &str) -> Command {
        let mut command = place.command("mariadb", "shop");
        command
            .args(["--no-defaults", "--user=root", "--skip-ssl"])
            .arg(format!("--host={}", self.address.ip()))
            .arg(format!("--port={}", self.address.port()))
            .arg(format!("--execute={statements}"));
        command
    }
}

/// Makes a key and a certificate.
fn certify(folder: &Path) {
    must(
        Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=mariadb.test"])
            .arg("-keyout")
            .arg(folder.join("key.pem"))
            .arg("-out")
            .arg(folder.join("cert.pem")),
    );
}
