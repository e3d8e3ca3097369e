//! dnsmasq with a zone of its own, and `dig`.

use std::{net::SocketAddr, process::Command};

use super::Place;
use crate::process::{Process, must, output};

/// A running dnsmasq.
pub struct Dnsmasq {
    /// The server itself.
    pub process: Process,
    /// Where it answers, over UDP and TCP.
    pub address: SocketAddr,
}

impl Dnsmasq {
    /// Name under which weir shows it.
    pub const SERVICE: &str = "names";

    /// Starts it with the zone `test`: `NAME.test` for each of `hosts`, and what services, mail
    /// and texts need.
    pub fn start(place: Place, address: SocketAddr, hosts: &[(&str, &str)]) -> Self {
        let mut command = place.command("dnsmasq", Self::SERVICE);
        command
            .args(["--no-daemon", "--no-resolv", "--no-hosts", "--user=root"])
            .args(["--conf-file=/dev/null", "--bind-interfaces"])
            .arg(format!("--port={}", address.port()))
            .arg(format!("--listen-address={}", address.ip()))
            .args(["--local=/test/", "--local=/in-addr.arpa/"])
            .arg("--host-record=six.test,2001:db8::6")
            .arg("--srv-host=_db._tcp.test,db.test,5432")
            .arg("--mx-host=test,mail.test,10")
            .arg("--txt-record=text.test,hello");
        for (name, addr) in hosts {
            command.arg(format!("--host-record={name}.test,{addr}"));
        }
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self { process, address }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Name under which `dig` runs.
pub const CLIENT: &str = "asker";

/// A `dig` that asks `server` once for each pair of name and type, one after the other.
fn command(place: Place, server: SocketAddr, options: &[&str], questions: &[[&str; 2]]) -> Command {
    let mut command = place.command("dig", CLIENT);
    command.arg(format!("@{}", server.ip()));
    command.arg("-p").arg(server.port().to_string());
    command.args(["+tries=1", "+time=5", "+noall", "+answer", "+comments"]);
    command.args(options);
    for [name, kind] in questions {
        command.args([name, kind]);
    }
    command
}

/// Asks, and returns what dig says.
///
/// # Panics
/// If there was no answer.
pub fn dig(place: Place, server: SocketAddr, options: &[&str], questions: &[[&str; 2]]) -> String {
    must(&mut command(place, server, options, questions))
}

/// Asks where nobody answers.
///
/// # Panics
/// If somebody does.
pub fn dig_in_vain(place: Place, server: SocketAddr, question: [&str; 2]) {
    let output = output(&mut command(place, server, &[], &[question]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("status:"), "{text}");
}

/// Runs so many `dig` at once.
///
/// # Panics
/// If one of them gets no answer.
pub fn dig_at_once(place: Place, server: SocketAddr, question: [&str; 2], count: usize) {
    let mut all: Vec<_> = (0..count)
        .map(|_| Process::start(&mut command(place, server, &[], &[question])))
        .collect();
    for process in &mut all {
        let status = process.wait(std::time::Duration::from_secs(60));
        assert!(status.success(), "{status}: {}", process.log());
    }
}
