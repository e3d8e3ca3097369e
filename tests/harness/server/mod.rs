//! Real servers and load generators, each in a place: the host, or a namespace.

pub mod collector;
pub mod consul;
pub mod dnsmasq;
pub mod eureka;
pub mod grpc;
pub mod h2load;
pub mod late;
pub mod memcached;
pub mod mongodb;
pub mod mysql;
pub mod nghttpd;
pub mod nginx;
pub mod peer;
pub mod postgres;
pub mod python;
pub mod redis;
pub mod tls;
pub mod wrk;
pub mod zookeeper;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use crate::{gate::workspace, netns::Namespace, process::Process, wait_for};

/// Where a program runs: on the host, or in a namespace.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// The namespace of the test itself.
    Host,
    /// A namespace of its own.
    In(&'a Namespace),
}

impl Place<'_> {
    /// A command that runs there as `service` (`OTEL_SERVICE_NAME`).
    pub fn command(self, program: &str, service: &str) -> Command {
        let mut command = match self {
            Self::Host => Command::new(program),
            Self::In(namespace) => namespace.command(program),
        };
        command.env("OTEL_SERVICE_NAME", service);
        command
    }

    /// Does `work` there.
    pub fn run<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Host => work(),
            Self::In(namespace) => namespace.run(work),
        }
    }

    /// Waits until something accepts connections on `address` there.
    ///
    /// # Panics
    /// If the process ends first, or after 20 s; shows its log.
    pub fn wait_until_open(self, address: SocketAddr, process: &mut Process) {
        wait_for(
            &format!("a server on {address}"),
            Duration::from_secs(20),
            || {
                if let Some(status) = process.ended() {
                    panic!("the server for {address}: {status}\n{}", process.log());
                }
                // A listener is looked for rather than connected to: a connection would be counted.
                self.run(|| is_listening(address)).then_some(())
            },
        );
    }
}

/// True if a TCP socket of this thread's namespace listens on the port of `address`.
fn is_listening(address: SocketAddr) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", address.port());
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .any(|table| {
            table.lines().skip(1).any(|line| {
                let mut words = line.split_whitespace().skip(1);
                words.next().is_some_and(|local| local.ends_with(&port))
                    && words.nth(1) == Some(LISTEN)
            })
        })
}

/// A loopback port of the host that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    listener.local_addr().expect("its address").port()
}

/// A file of a Python package that `cargo xtask setup` installed, e.g. `rotel/rotel-agent`.
///
/// # Panics
/// If it is not installed.
pub fn python_package(file: &str) -> PathBuf {
    let lib = workspace().join("target/venv/lib");
    std::fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("site-packages").join(file))
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!(
                "{file} is missing in {}; run `cargo xtask setup`",
                lib.display()
            )
        })
}

/// A command that runs `tests/servers/SCRIPT HOST PORT SCENARIO` as the service `shop`.
pub fn python_client(place: Place, script: &str, server: SocketAddr, scenario: &str) -> Command {
    let mut command = python_script(place, script, "shop");
    command
        .arg(server.ip().to_string())
        .arg(server.port().to_string())
        .arg(scenario);
    command
}

/// A program that `cargo xtask setup` took from another Debian suite.
///
/// # Panics
/// If it is not there.
pub fn tool(program: &str) -> PathBuf {
    let path = workspace().join("target/tools").join(program);
    assert!(
        path.exists(),
        "{} is missing; run `cargo xtask setup`",
        path.display()
    );
    path
}

/// A command that runs a script of `tests/servers` in the Python that `cargo xtask setup` made.
fn python_script(place: Place, script: &str, service: &str) -> Command {
    let python = workspace().join("target/venv/bin/python");
    let mut command = place.command(&python.display().to_string(), service);
    command.arg(workspace().join("tests/servers").join(script));
    command
}

/// Sends a GET and returns status and body; for talking to servers that are not under test.
///
/// # Panics
/// If the server cannot be reached or does not speak HTTP.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(address).expect("connect");
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("send");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("receive");
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status"), body.to_owned())
}
