//! PostgreSQL with a data folder of its own, and its clients.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Place, python_client};
use crate::{
    process::{Process, must},
    scratch::Scratch,
};

/// A running PostgreSQL; `postgres` may come in from loopback without a password.
pub struct Postgres {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
    // Goes after its process.
    _folder: Scratch,
}

impl Postgres {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "postgres";

    /// Makes its data folder and starts it; it can speak TLS with a certificate of its own, and
    /// logs every statement and connection.
    pub fn start(place: Place, address: SocketAddr) -> Self {
        let folder = Scratch::new();
        let data = folder.path().join("data");
        must(Command::new("chown").arg("postgres").arg(folder.path()));
        let mut initdb = Command::new("setpriv");
        must(
            as_postgres(&mut initdb)
                .arg(program("initdb"))
                .args(["--auth=trust", "--no-sync", "--username=postgres"])
                .arg("--pgdata")
                .arg(&data),
        );
        certify(&data);
        let mut command = place.command("setpriv", Self::SERVICE);
        as_postgres(&mut command)
            .arg(program("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-h")
            .arg(address.ip().to_string())
            .arg("-p")
            .arg(address.port().to_string())
            .arg("-k")
            .arg(folder.path());
        for setting in [
            "log_statement=all",
            "log_connections=on",
            "ssl=on",
            "fsync=off",
            "shared_buffers=16MB",
            "autovacuum=off",
        ] {
            command.args(["-c", setting]);
        }
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            address,
            process,
            _folder: folder,
        }
    }

    /// Statements, executions and connections, as the server's log counts them.
    pub fn logged(&self) -> u64 {
        let log = self.process.log();
        let counts = |line: &&str| {
            [
                "LOG:  statement: ",
                "LOG:  execute ",
                "LOG:  connection authorized: ",
            ]
            .iter()
            .any(|what| line.contains(what))
        };
        log.lines().filter(counts).count() as u64
    }

    /// A command that runs a scenario of `tests/servers/postgres_client.py` against this server.
    pub fn client(&self, place: Place, scenario: &str) -> Command {
        python_client(place, "postgres_client.py", self.address, scenario)
    }

    /// A command of PostgreSQL's own clients, `psql` or `pgbench`, in the clear.
    pub fn tool(&self, place: Place, program: &str, arguments: &[&str]) -> Command {
        let mut command = place.command(program, "shop");
        command
            .env("PGHOST", self.address.ip().to_string())
            .env("PGPORT", self.address.port().to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
            .env("PGSSLMODE", "disable")
            .args(arguments);
        command
    }
}

/// PostgreSQL refuses to run as root.
fn as_postgres(setpriv: &mut Command) -> &mut Command {
    setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
}

/// A program of the server, which is not on the search path.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter();
    versions
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is missing; run `cargo xtask setup`"))
}

/// Makes a key and a certificate.
fn certify(data: &Path) {
    let mut openssl = Command::new("setpriv");
    must(
        as_postgres(&mut openssl)
            .args(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=postgres.test"])
            .arg("-keyout")
            .arg(data.join("server.key"))
            .arg("-out")
            .arg(data.join("server.crt")),
    );
}
