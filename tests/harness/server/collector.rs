//! Receivers of metrics and traces: rotel (OTLP), VictoriaMetrics (OTLP and PromQL), Prometheus.

use std::{
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{Place, free_port, get, python_package, tool};
use crate::{process::Process, scratch::Scratch};

/// A rotel that prints every span and metric it is sent.
pub struct Rotel {
    process: Process,
    /// OTLP over gRPC.
    pub grpc: SocketAddr,
    /// OTLP over HTTP with protobuf.
    pub http: SocketAddr,
}

impl Rotel {
    /// Starts it on the given loopback ports (so that it can come back where it was).
    pub fn start_on(grpc: u16, http: u16) -> Self {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (grpc, http) = (address(grpc), address(http));
        let mut command = Command::new(python_package("rotel/rotel-agent"));
        command
            .args(["start", "--exporter", "blackhole"])
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .args(["--otlp-http-endpoint", &http.to_string()])
            .args(["--debug-log", "traces", "--debug-log", "metrics"])
            .args(["--debug-log-verbosity", "detailed"]);
        let mut process = Process::start(&mut command);
        Place::Host.wait_until_open(grpc, &mut process);
        Place::Host.wait_until_open(http, &mut process);
        Self {
            process,
            grpc,
            http,
        }
    }

    /// Starts it on free ports.
    pub fn start() -> Self {
        Self::start_on(free_port(), free_port())
    }

    /// Everything it printed.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A VictoriaMetrics that takes OTLP metrics and answers PromQL.
pub struct VictoriaMetrics {
    process: Process,
    folder: Scratch,
    /// Where it listens.
    pub address: SocketAddr,
}

impl VictoriaMetrics {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let folder = Scratch::new();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self {
            process: Self::launch(&folder, address),
            folder,
            address,
        }
    }

    fn launch(folder: &Scratch, address: SocketAddr) -> Process {
        let mut command = Command::new(tool("victoria-metrics"));
        command
            .arg(format!("-storageDataPath={}", folder.path().display()))
            .arg(format!("-httpListenAddr={address}"));
        let mut process = Process::start(&mut command);
        Place::Host.wait_until_open(address, &mut process);
        process
    }

    /// Kills it, does `meanwhile`, and brings it back on the same port with the same data once
    /// `time` has passed.
    pub fn away(&mut self, time: Duration, meanwhile: impl FnOnce()) {
        let start = Instant::now();
        self.process.kill();
        meanwhile();
        thread::sleep(time.saturating_sub(start.elapsed()));
        self.process = Self::launch(&self.folder, self.address);
    }

    /// Where OTLP metrics go by HTTP.
    pub fn otlp(&self) -> String {
        format!("http://{}/opentelemetry", self.address)
    }

    /// The instant value of a PromQL query, summed over its series; `None` without series.
    pub fn query(&self, query: &str) -> Option<f64> {
        // New samples hide for 30 s from queries at the present, unless asked for.
        instant(
            self.address,
            &format!("{}&nocache=1&latency_offset=1ms", encode(query)),
        )
    }
}

/// A Prometheus that scrapes one address every second.
pub struct Prometheus {
    _process: Process,
    _folder: Scratch,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Prometheus {
    /// Starts it on a free port.
    pub fn scraping(target: SocketAddr) -> Self {
        let folder = Scratch::new();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = folder.write(
            "prometheus.yml",
            &format!(
                "scrape_configs:\n- job_name: weir\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
                 static_configs: [{{ targets: ['{target}'] }}]\n"
            ),
        );
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command);
        Place::Host.wait_until_open(address, &mut process);
        Self {
            _process: process,
            _folder: folder,
            address,
        }
    }

    /// The instant value of a PromQL query, summed over its series; `None` without series.
    pub fn query(&self, query: &str) -> Option<f64> {
        instant(self.address, &encode(query))
    }
}

fn instant(address: SocketAddr, query: &str) -> Option<f64> {
    let (status, body) = get(address, &format!("/api/v1/query?query={query}"));
    assert_eq!(status, 200, "{query}: {body}");
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let series = answer["data"]["result"].as_array().expect("a vector");
    let values = series
        .iter()
        .filter_map(|one| one["value"][1].as_str()?.parse::<f64>().ok());
    (!series.is_empty()).then(|| values.sum())
}

/// Percent-encodes a query.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
