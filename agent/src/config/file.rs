//! The shape of one configuration file. Every key is optional; unknown keys are errors.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::ports::PortRule;
use crate::observe::routes::RouteRule;

/// Known keys, each with an example of its form: what remedies are made of.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("socket", "socket = \"/run/weir/weir.sock\""),
    ("state", "state = \"/var/lib/weir\""),
    ("policies", "policies = \"/etc/weir/policies\""),
    ("metrics", "metrics = \"127.0.0.1:9464\" (or \"off\")"),
    ("detail_per_second", "detail_per_second = 2000"),
    (
        "ring_bytes",
        "ring_bytes = 16777216 (a power of two, 1 MiB to 1 GiB)",
    ),
    ("otlp", "[otlp]"),
    ("otlp.endpoint", "endpoint = \"http://127.0.0.1:4317\""),
    (
        "otlp.protocol",
        "protocol = \"grpc\" (or \"http/protobuf\")",
    ),
    ("otlp.headers", "headers = { authorization = \"Bearer …\" }"),
    ("service", "[[service]]"),
    ("service.name", "name = \"checkout\""),
    ("service.process", "process = \"python3\""),
    ("service.exe", "exe = \"/opt/shop/bin/*\""),
    ("service.unit", "unit = \"shop-*.service\""),
    ("name", "[[name]]"),
    ("name.cidr", "cidr = \"10.1.0.0/16\""),
    ("name.service", "service = \"payments\""),
    ("routes", "[[routes]]"),
    ("routes.service", "service = \"shop\""),
    (
        "routes.templates",
        "templates = [\"/users/{id}\", \"/files/{path...}\"]",
    ),
    ("ports", "[[ports]]"),
    ("ports.port", "port = 9000"),
    ("ports.protocol", "protocol = \"redis\" (or \"opaque\")"),
];

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub socket: Option<PathBuf>,
    pub state: Option<PathBuf>,
    pub policies: Option<PathBuf>,
    pub metrics: Option<Metrics>,
    pub detail_per_second: Option<u64>,
    pub ring_bytes: Option<RingBytes>,
    pub otlp: Option<OtlpFile>,
    #[serde(rename = "service")]
    pub services: Vec<ServiceRule>,
    #[serde(rename = "name")]
    pub names: Vec<NameRule>,
    pub routes: Vec<RouteRule>,
    pub ports: Vec<PortRule>,
}

/// Table `[otlp]` of one file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OtlpFile {
    pub endpoint: Option<Endpoint>,
    pub protocol: Option<OtlpProtocol>,
    pub headers: Option<BTreeMap<String, String>>,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OtlpProtocol {
    /// gRPC, port 4317 by custom.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP, port 4318 by custom.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

impl OtlpProtocol {
    /// Name as in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

/// Rule `[[service]]`: processes that match are given a service name. All conditions that are
/// set must match; `*` in `exe` and `unit` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRule {
    /// Service name to give.
    pub name: String,
    /// Command name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Path of the executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl ServiceRule {
    /// True if the rule says which processes it is about.
    pub(super) fn has_condition(&self) -> bool {
        self.process.is_some() || self.exe.is_some() || self.unit.is_some()
    }
}

/// Rule `[[name]]`: peers in a network are given a service name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRule {
    /// Network, e.g. `10.1.0.0/16`; a bare address is that one address.
    #[serde(deserialize_with = "cidr")]
    pub cidr: String,
    /// Service name to give.
    pub service: String,
}

/// Address of the Prometheus endpoint, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metrics(pub Option<std::net::SocketAddr>);

impl Metrics {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("`{text}` is not an address with a port"))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// Size of the ring buffer, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingBytes(pub u32);

impl<'de> Deserialize<'de> for RingBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = u64::deserialize(from)?;
        // The kernel takes powers of two that are whole pages; smaller rings lose at once.
        if !bytes.is_power_of_two() || !(1 << 20..=1 << 30).contains(&bytes) {
            return Err(de::Error::custom(format!(
                "{bytes} is not a power of two between 1 MiB and 1 GiB"
            )));
        }
        Ok(Self(bytes as u32))
    }
}

/// URL of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(pub String);

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let host = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"))
            .ok_or_else(|| format!("`{text}` does not begin with http:// or https://"))?;
        if host.is_empty() || host.starts_with(['/', ':']) || host.contains(char::is_whitespace) {
            return Err(format!("`{text}` names no host"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

fn cidr<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text.as_str(), None),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| de::Error::custom(format!("`{text}` is not a network address")))?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    let fits = prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= widest));
    if !fits {
        return Err(de::Error::custom(format!(
            "the prefix of `{text}` is not between 0 and {widest}"
        )));
    }
    Ok(text)
}
