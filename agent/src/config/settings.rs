//! The settings that the daemon runs with, each with where it came from.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    file::{Endpoint, File, Metrics, NameRule, OtlpProtocol, ServiceRule},
    ports::PortProtocol,
};
use crate::observe::routes::RouteRule;

/// Configuration file that is read when no other is named.
pub const DEFAULT_FILE: &str = "/etc/weir/weir.toml";

/// Socket of the daemon when no other is named.
pub const DEFAULT_SOCKET: &str = "/run/weir/weir.sock";

/// Settings of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Control socket.
    pub socket: PathBuf,
    /// Folder of the embedded history and what else survives restarts.
    pub state: PathBuf,
    /// Folder of policy files.
    pub policies: PathBuf,
    /// Prometheus endpoint; `None` = off.
    pub metrics: Option<SocketAddr>,
    /// Export to a collector, where configured here. `OTEL_EXPORTER_OTLP_*` variables are read by
    /// the exporter.
    pub otlp: Otlp,
    /// Exchanges per second that the detail lane carries before it samples.
    pub detail_per_second: u64,
    /// Size of the ring buffer: a power of two, bytes.
    pub ring_bytes: u32,
    /// Rules that name processes, first match wins.
    pub services: Vec<ServiceRule>,
    /// Rules that name remote peers, longest prefix wins.
    pub names: Vec<NameRule>,
    /// Routes of HTTP services; what says more wins, then what comes first.
    pub routes: Vec<RouteRule>,
    /// Protocols that are not looked for, by server port.
    pub ports: BTreeMap<u16, PortProtocol>,
}

/// Where OTLP goes to.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Otlp {
    /// URL; `None` = not configured here.
    pub endpoint: Option<String>,
    /// Protocol; `None` = not configured here.
    pub protocol: Option<OtlpProtocol>,
    /// Headers of each request. Values are secrets: `Debug` hides them.
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &self.headers.keys())
            .finish()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            state: "/var/lib/weir".into(),
            policies: "/etc/weir/policies".into(),
            metrics: Some(SocketAddr::from(([127, 0, 0, 1], 9464))),
            otlp: Otlp::default(),
            detail_per_second: 2_000,
            ring_bytes: 16 << 20,
            services: Vec::new(),
            names: Vec::new(),
            routes: Vec::new(),
            ports: BTreeMap::new(),
        }
    }
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A file.
    File(PathBuf),
    /// A flag of `weir run`.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Source by key; a key that is absent stands at its default.
pub(super) type Sources = BTreeMap<&'static str, Source>;

/// What the flags of `weir run` set; they win over every file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--policies`.
    pub policies: Option<PathBuf>,
    /// `--metrics`: an address with a port, or `off`.
    pub metrics: Option<String>,
    /// `--otlp`: a URL.
    pub otlp: Option<String>,
    /// `--otlp-protocol`.
    pub otlp_protocol: Option<OtlpProtocol>,
    /// `--detail-per-second`.
    pub detail_per_second: Option<u64>,
}

impl Overrides {
    /// Turns flags into the shape of a file. Errors: a sentence that names the flag.
    pub(super) fn into_file(self) -> Result<File, String> {
        let metrics = self.metrics.as_deref().map(Metrics::parse).transpose();
        let endpoint = self.otlp.as_deref().map(Endpoint::parse).transpose();
        Ok(File {
            socket: self.socket,
            state: self.state,
            policies: self.policies,
            metrics: metrics.map_err(|why| format!("--metrics: {why}"))?,
            detail_per_second: self.detail_per_second,
            otlp: Some(super::file::OtlpFile {
                endpoint: endpoint.map_err(|why| format!("--otlp: {why}"))?,
                protocol: self.otlp_protocol,
                headers: None,
            }),
            ..File::default()
        })
    }
}

/// Lays `file` over `config`, noting what it set.
pub(super) fn overlay(config: &mut Config, sources: &mut Sources, file: File, from: &Source) {
    let mut set = |key| drop(sources.insert(key, from.clone()));
    if let Some(socket) = file.socket {
        config.socket = socket;
        set("socket");
    }
    if let Some(state) = file.state {
        config.state = state;
        set("state");
    }
    if let Some(policies) = file.policies {
        config.policies = policies;
        set("policies");
    }
    if let Some(metrics) = file.metrics {
        config.metrics = metrics.0;
        set("metrics");
    }
    if let Some(rate) = file.detail_per_second {
        config.detail_per_second = rate;
        set("detail_per_second");
    }
    if let Some(bytes) = file.ring_bytes {
        config.ring_bytes = bytes.0;
        set("ring_bytes");
    }
    let otlp = file.otlp.unwrap_or_default();
    if let Some(endpoint) = otlp.endpoint {
        config.otlp.endpoint = Some(endpoint.0);
        set("otlp.endpoint");
    }
    if let Some(protocol) = otlp.protocol {
        config.otlp.protocol = Some(protocol);
        set("otlp.protocol");
    }
    if let Some(headers) = otlp.headers {
        config.otlp.headers.extend(headers);
        set("otlp.headers");
    }
    if !file.services.is_empty() {
        config.services.extend(file.services);
        set("service");
    }
    if !file.names.is_empty() {
        config.names.extend(file.names);
        set("name");
    }
    if !file.routes.is_empty() {
        config.routes.extend(file.routes);
        set("routes");
    }
    if !file.ports.is_empty() {
        let ports = file.ports.iter().map(|rule| (rule.port.0, rule.protocol));
        config.ports.extend(ports);
        set("ports");
    }
}

impl Config {
    fn describe_ports(&self) -> String {
        if self.ports.is_empty() {
            return "-".into();
        }
        let ports = self.ports.iter();
        let words: Vec<String> = ports
            .map(|(port, protocol)| format!("{port} {protocol}"))
            .collect();
        words.join(", ")
    }

    /// Key, value in words and source of each setting, in the order of the documentation.
    /// Header values are not shown.
    pub(super) fn describe(&self, sources: &Sources) -> Vec<(&'static str, String, Source)> {
        let path = |path: &Path| path.display().to_string();
        let headers: Vec<&str> = self.otlp.headers.keys().map(String::as_str).collect();
        let templates: usize = self.routes.iter().map(|rule| rule.templates.len()).sum();
        let rows = [
            ("socket", path(&self.socket)),
            ("state", path(&self.state)),
            ("policies", path(&self.policies)),
            (
                "metrics",
                self.metrics.map_or("off".into(), |a| a.to_string()),
            ),
            ("detail_per_second", self.detail_per_second.to_string()),
            ("ring_bytes", self.ring_bytes.to_string()),
            (
                "otlp.endpoint",
                self.otlp.endpoint.clone().unwrap_or_else(|| "-".into()),
            ),
            (
                "otlp.protocol",
                self.otlp.protocol.map_or("-", OtlpProtocol::name).into(),
            ),
            (
                "otlp.headers",
                if headers.is_empty() {
                    "-".into()
                } else {
                    headers.join(", ")
                },
            ),
            ("service", format!("{} rules", self.services.len())),
            ("name", format!("{} rules", self.names.len())),
            ("routes", format!("{templates} templates")),
            ("ports", self.describe_ports()),
        ];
        rows.into_iter()
            .map(|(key, value)| {
                let source = sources.get(key).cloned().unwrap_or(Source::Default);
                (key, value, source)
            })
            .collect()
    }
}
