//! weir beside Envoy as a sidecar: no proxy, weir, one Envoy, two Envoys (client's and server's).

use std::net::SocketAddr;

use anyhow::Result;
use weir_tests::{
    agent::Agent,
    netns::Namespace,
    process::{Process, must},
    scratch::Scratch,
    server::{Place, nginx::Nginx, python_package},
};

use super::{RETURN_200, local};
use crate::bench::{
    Plan,
    report::{Outcome, Table, round},
    stats::Spread,
};

const ROUNDS: usize = 10;

/// Median latency of one connection and throughput of 64, by way.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let nginx = Nginx::start(Place::In(&host), local(8080), RETURN_200);
    let inner = Envoy::start(&host, local(8081), nginx.address);
    let outer = Envoy::start(&host, local(8082), inner.address);
    let mut agent = Agent::prepare(Default::default());
    let mut ways = [
        Way::new("bare", nginx.address),
        Way::new("weir", nginx.address),
        Way::new("one Envoy", inner.address),
        Way::new("two Envoys", outer.address),
    ];
    for round in 0..ROUNDS.min(plan.pairs) {
        for way in &mut ways {
            let weir = way.name == "weir";
            if weir {
                agent.restart();
            }
            way.measure(&host, plan.window.as_secs());
            if weir {
                agent.stop();
                agent.off();
            }
        }
        eprintln!("  envoy {}/{ROUNDS}", round + 1);
    }
    Ok(vec![Outcome::Table(table(&ways))])
}

fn table(ways: &[Way]) -> Table {
    let bare = Spread::of(&ways[0].latency_us).median;
    let rows = ways.iter().map(|way| {
        let latency = Spread::of(&way.latency_us);
        let rate = Spread::of(&way.rate);
        vec![
            way.name.to_owned(),
            latency.show(0),
            format!("{:+.1}", latency.median - bare),
            round(rate.median),
        ]
    });
    let head = [
        "",
        "p50, 1 connection, µs",
        "added µs",
        "requests/s, 64 connections",
    ];
    Table {
        title: "Beside a sidecar proxy".into(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        note: "wrk → nginx on loopback; medians with quartiles of alternating rounds; Envoy with \
               one worker thread each. Goal: what weir adds is at most 1/100 of what two Envoys \
               add."
            .into(),
    }
}

/// One way to nginx with its figures.
struct Way {
    name: &'static str,
    address: SocketAddr,
    latency_us: Vec<f64>,
    rate: Vec<f64>,
}

impl Way {
    fn new(name: &'static str, address: SocketAddr) -> Self {
        Self {
            name,
            address,
            latency_us: Vec::new(),
            rate: Vec::new(),
        }
    }

    fn measure(&mut self, host: &Namespace, seconds: u64) {
        let latency = wrk(host, self.address, 1, seconds);
        self.latency_us.push(p50_us(&latency));
        let load = wrk(host, self.address, 64, seconds);
        self.rate.push(requests_per_second(&load));
    }
}

fn wrk(host: &Namespace, address: SocketAddr, connections: u32, seconds: u64) -> String {
    let mut wrk = Place::In(host).command("wrk", "load");
    wrk.args([
        "--latency",
        "-t1",
        &format!("-c{connections}"),
        &format!("-d{seconds}s"),
    ]);
    must(wrk.arg(format!("http://{address}/")))
}

/// The line `50%  125.00us`.
fn p50_us(text: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("50%"));
    let value = line.map(str::trim).unwrap_or_default();
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
        if let Some(number) = value.strip_suffix(unit).and_then(|n| n.parse::<f64>().ok()) {
            return number * factor;
        }
    }
    panic!("no median in {text}");
}

/// The line `Requests/sec:  71234.5`.
fn requests_per_second(text: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no rate in {text}"))
}

/// An Envoy with one listener and one cluster.
struct Envoy {
    _process: Process,
    _folder: Scratch,
    address: SocketAddr,
}

impl Envoy {
    fn start(host: &Namespace, address: SocketAddr, to: SocketAddr) -> Self {
        let folder = Scratch::new();
        let config = folder.write("envoy.yaml", &configuration(address, to));
        let envoy = python_package("envoy/_bin/envoy").display().to_string();
        let mut command = Place::In(host).command(&envoy, "envoy");
        command
            .arg("-c")
            .arg(&config)
            .args(["--concurrency", "1", "-l", "error"]);
        let mut process = Process::start(command.args(["--disable-hot-restart"]));
        Place::In(host).wait_until_open(address, &mut process);
        Self {
            _process: process,
            _folder: folder,
            address,
        }
    }
}

fn configuration(address: SocketAddr, to: SocketAddr) -> String {
    let socket = |address: SocketAddr| {
        let (ip, port) = (address.ip(), address.port());
        format!("{{ socket_address: {{ address: {ip}, port_value: {port} }} }}")
    };
    let manager =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let router = "envoy.extensions.filters.http.router.v3.Router";
    format!(
        "static_resources:
  listeners:
  - address: {}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/{manager}
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: back }} }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ \"@type\": type.googleapis.com/{router} }}
  clusters:
  - name: back
    load_assignment:
      cluster_name: back
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {} }} }}] }}]
",
        socket(address),
        socket(to)
    )
}

#[cfg(test)]
mod tests {
    use super::{p50_us, requests_per_second};

    #[test]
    fn what_wrk_prints() {
        let text = "  Latency Distribution\n     50%  125.00us\n     75%    1.20ms\n\
                    Requests/sec:  71234.50\n";
        assert!((p50_us(text) - 125.0).abs() < 1e-9);
        assert!((p50_us("  50%    1.20ms\n") - 1200.0).abs() < 1e-9);
        assert!((requests_per_second(text) - 71234.5).abs() < 1e-9);
    }
}
