//! User-space CPU time per exchange: `weir replay` over captures of HTTP and gRPC.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use weir_tests::{
    gate::weir_binary,
    netns::Namespace,
    process::{Process, Signal, must},
    scratch::Scratch,
    server::{Place, grpc::GrpcPeer, h2load, nginx::Nginx, wrk},
};

use super::{RETURN_200, local};
use crate::{
    bench::{
        Plan,
        report::{Outcome, Table},
        stats::Spread,
    },
    sh,
};

const RUNS: usize = 7;

/// A unary method of the server.
const METHOD: &str = "/shop.v1.OrdersOfAnyCustomer/Get";
const CALLS: u64 = 20_000;

/// Framing, pairing and parsing of every exchange, printed as JSON lines to nowhere.
pub fn run(_plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let place = Place::In(&host);
    let nginx = Nginx::start(place, local(8080), RETURN_200);
    let peer = GrpcPeer::start(place, local(8081));
    let http = || {
        wrk::load(place, nginx.address, "/hello", wrk::Load::saturating(1));
    };
    let grpc = || h2load::grpc(place, peer.address, METHOD, CALLS);
    let rows = vec![
        row("HTTP/1.1", "≤ 2", &host, nginx.address.port(), &http)?,
        row("gRPC", "≤ 4", &host, peer.address.port(), &grpc)?,
    ];
    Ok(vec![Outcome::Table(Table {
        title: "User-space work per exchange, detail lane (replay)".into(),
        head: ["", "exchanges", "µs per exchange", "goal"]
            .map(str::to_owned)
            .to_vec(),
        rows,
        note: format!(
            "CPU time of `weir replay -o jsonl` with reading and printing; median of {RUNS} runs."
        ),
    })])
}

/// What a load costs, once it is captured.
fn row(
    name: &str,
    goal: &str,
    host: &Namespace,
    port: u16,
    load: &dyn Fn(),
) -> Result<Vec<String>> {
    let folder = Scratch::new();
    capture(&folder, host, port, load)?;
    let file = folder.path().join("traffic.pcap").display().to_string();
    let mut costs = Vec::new();
    let mut exchanges = 0.0;
    for _ in 0..RUNS {
        let (count, microseconds) = replay(&file)?;
        exchanges = count;
        costs.push(microseconds / count);
    }
    let each = Spread::of(&costs).show(2);
    Ok(vec![
        name.into(),
        format!("{exchanges:.0}"),
        each,
        goal.into(),
    ])
}

/// Captures what a load sends to and from a port.
fn capture(folder: &Scratch, host: &Namespace, port: u16, load: &dyn Fn()) -> Result<()> {
    let file = folder.path().join("traffic.pcap");
    let mut tcpdump = Place::In(host).command("tcpdump", "capture");
    tcpdump.args([
        "-i", "lo", "-s", "512", "-B", "65536", "-U", "-Z", "root", "-w",
    ]);
    let port = port.to_string();
    let mut tcpdump = Process::start(tcpdump.arg(&file).args(["tcp", "port", &port]));
    weir_tests::wait_for("tcpdump", Duration::from_secs(10), || {
        tcpdump.log().contains("listening on").then_some(())
    });
    load();
    thread::sleep(Duration::from_millis(500));
    tcpdump.signal(Signal::INT);
    tcpdump.wait(Duration::from_secs(10));
    file.exists().then_some(()).context("tcpdump wrote nothing")
}

/// Exchanges told and CPU time of user space and kernel, µs.
fn replay(file: &str) -> Result<(f64, f64)> {
    let weir = weir_binary().display().to_string();
    let count = must(&mut sh::command([
        "sh",
        "-c",
        &format!("{weir} replay {file} -o jsonl 2>/dev/null | wc -l"),
    ]));
    // bash tells the CPU time of what it ran to the millisecond.
    let script = format!("{weir} replay {file} -o jsonl >/dev/null 2>&1; times");
    let times = must(&mut sh::command(["bash", "-c", &script]));
    let children = times.lines().nth(1).context("times has two lines")?;
    let seconds: f64 = children.split_whitespace().filter_map(seconds).sum();
    let count: f64 = count.trim().parse().context("wc prints a number")?;
    Ok((count.max(1.0), seconds * 1e6))
}

/// `1m2.345s` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_of_bash() {
        for (text, expected) in [
            ("0m1.250s", Some(1.25)),
            ("2m0.000s", Some(120.0)),
            ("x", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
