//! Where to send and how: explicit values first, then `OTEL_EXPORTER_OTLP_{TRACES,METRICS}_*`,
//! then `OTEL_EXPORTER_OTLP_*`, then the specification's defaults.

use std::{path::PathBuf, time::Duration};

use hyper::{
    HeaderMap, Uri,
    header::{HeaderName, HeaderValue},
};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_PROTOCOL_GRPC, OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF,
    OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT,
};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

impl Signal {
    const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// Path that http/protobuf appends to a base endpoint.
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// gRPC method.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf bodies over HTTP/1.1.
    HttpProtobuf,
}

/// Settings given by flag or file; every field that is set wins over the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Base URL, e.g. `http://127.0.0.1:4317`; without it (here or in the environment) nothing
    /// is exported.
    pub endpoint: Option<String>,
    /// `grpc` or `http/protobuf`; without it port 4317 means gRPC and all else http/protobuf.
    pub protocol: Option<String>,
    /// `name=value,name2=value2`, values percent-encoded.
    pub headers: Option<String>,
    /// Milliseconds that one request may take; 10,000 if unset.
    pub timeout_ms: Option<u64>,
    /// `gzip` or `none`.
    pub compression: Option<String>,
    /// PEM file of the authorities to trust instead of the system's.
    pub certificate: Option<String>,
    /// PEM file of weir's own certificate.
    pub client_certificate: Option<String>,
    /// PEM file of the key to it.
    pub client_key: Option<String>,
    /// For gRPC endpoints without a scheme: plain text instead of TLS.
    pub insecure: Option<bool>,
}

/// One signal's settings, complete and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What is sent.
    pub signal: Signal,
    /// Full URL; for gRPC its path is ignored.
    pub uri: Uri,
    /// How it is sent.
    pub protocol: Protocol,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// For one request.
    pub timeout: Duration,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// Authorities to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// Own certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Target {
    /// True for an `https` URL.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// Where each signal goes; `None` if it is not exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Spans.
    pub traces: Option<Target>,
    /// Metrics.
    pub metrics: Option<Target>,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("OTLP {setting} `{value}`: {reason}")]
pub struct ConfigError {
    /// Which setting.
    pub setting: String,
    /// What it held (headers are not repeated: they hold secrets).
    pub value: String,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

impl OtlpConfig {
    /// Completes these settings from `environment`, a lookup of variables.
    pub fn resolve(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Targets, ConfigError> {
        let target = |signal| {
            Settings {
                explicit: self,
                signal,
                environment,
            }
            .target()
        };
        Ok(Targets {
            traces: target(Signal::Traces)?,
            metrics: target(Signal::Metrics)?,
        })
    }
}

/// A value with the setting it came from and whether it was given for one signal alone.
struct Found {
    value: String,
    setting: String,
    for_signal: bool,
}

impl Found {
    fn refuse(&self, reason: &str) -> ConfigError {
        ConfigError {
            setting: self.setting.clone(),
            value: self.value.clone(),
            reason: reason.to_owned(),
        }
    }
}

struct Settings<'a> {
    explicit: &'a OtlpConfig,
    signal: Signal,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Settings<'_> {
    fn target(&self) -> Result<Option<Target>, ConfigError> {
        let Some(endpoint) = self.find("ENDPOINT", self.explicit.endpoint.clone()) else {
            return Ok(None);
        };
        if self.is_switched_off() {
            return Ok(None);
        }
        let protocol = self.protocol(&endpoint)?;
        Ok(Some(Target {
            signal: self.signal,
            uri: self.uri(&endpoint, protocol)?,
            protocol,
            headers: self.headers()?,
            timeout: self.timeout()?,
            gzip: self.gzip()?,
            certificate: self.path("CERTIFICATE", &self.explicit.certificate),
            identity: self.identity()?,
        }))
    }

    /// The explicit value, the signal's variable, or the common one; empty counts as unset.
    fn find(&self, name: &str, explicit: Option<String>) -> Option<Found> {
        let given = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        if let Some(value) = given(explicit) {
            return Some(Found {
                value,
                setting: name.to_ascii_lowercase(),
                for_signal: false,
            });
        }
        let names = [
            (
                format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal.variable()),
                true,
            ),
            (format!("OTEL_EXPORTER_OTLP_{name}"), false),
        ];
        names.into_iter().find_map(|(setting, for_signal)| {
            let value = given((self.environment)(&setting))?;
            Some(Found {
                value,
                setting,
                for_signal,
            })
        })
    }

    /// `OTEL_TRACES_EXPORTER=none`, `OTEL_METRICS_EXPORTER=none`.
    fn is_switched_off(&self) -> bool {
        let name = format!("OTEL_{}_EXPORTER", self.signal.variable());
        (self.environment)(&name).as_deref() == Some("none")
    }

    fn protocol(&self, endpoint: &Found) -> Result<Protocol, ConfigError> {
        let Some(found) = self.find("PROTOCOL", self.explicit.protocol.clone()) else {
            let authority = endpoint.value.trim_end_matches('/');
            return Ok(match authority.ends_with(":4317") {
                true => Protocol::Grpc,
                false => Protocol::HttpProtobuf,
            });
        };
        match found.value.as_str() {
            OTEL_EXPORTER_OTLP_PROTOCOL_GRPC => Ok(Protocol::Grpc),
            OTEL_EXPORTER_OTLP_PROTOCOL_HTTP_PROTOBUF => Ok(Protocol::HttpProtobuf),
            _ => Err(found.refuse("use `grpc` or `http/protobuf`")),
        }
    }

    fn uri(&self, endpoint: &Found, protocol: Protocol) -> Result<Uri, ConfigError> {
        let mut url = endpoint.value.trim().to_owned();
        if !url.contains("://") {
            if protocol == Protocol::HttpProtobuf {
                return Err(endpoint.refuse("needs a scheme: http:// or https://"));
            }
            let scheme = if self.insecure()? { "http" } else { "https" };
            url = format!("{scheme}://{url}");
        }
        // A signal's own endpoint is used as it stands; a common one is a base.
        if protocol == Protocol::HttpProtobuf && !endpoint.for_signal {
            url = format!("{}{}", url.trim_end_matches('/'), self.signal.http_path());
        }
        let uri: Uri = url
            .parse()
            .map_err(|error| endpoint.refuse(&format!("is not a URL ({error})")))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(uri),
            _ => Err(endpoint.refuse("must be http://HOST:PORT or https://HOST:PORT")),
        }
    }

    fn insecure(&self) -> Result<bool, ConfigError> {
        let explicit = self.explicit.insecure.map(|insecure| insecure.to_string());
        match self.find("INSECURE", explicit) {
            None => Ok(false),
            Some(found) => match found.value.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(found.refuse("use `true` or `false`")),
            },
        }
    }

    fn headers(&self) -> Result<HeaderMap, ConfigError> {
        let mut headers = HeaderMap::new();
        let Some(found) = self.find("HEADERS", self.explicit.headers.clone()) else {
            return Ok(headers);
        };
        for pair in found
            .value
            .split(',')
            .filter(|pair| !pair.trim().is_empty())
        {
            let (name, value) = header(pair).ok_or_else(|| ConfigError {
                setting: found.setting.clone(),
                value: pair.split('=').next().unwrap_or_default().to_owned(),
                reason: "use name=value,name2=value2 with percent-encoded values".to_owned(),
            })?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn timeout(&self) -> Result<Duration, ConfigError> {
        let explicit = self.explicit.timeout_ms.map(|timeout| timeout.to_string());
        let Some(found) = self.find("TIMEOUT", explicit) else {
            return Ok(OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT);
        };
        match found.value.trim().parse::<u64>() {
            Ok(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
            _ => Err(found.refuse("use milliseconds, at least 1")),
        }
    }

    fn gzip(&self) -> Result<bool, ConfigError> {
        match self.find("COMPRESSION", self.explicit.compression.clone()) {
            None => Ok(false),
            Some(found) => match found.value.as_str() {
                "gzip" => Ok(true),
                "none" => Ok(false),
                _ => Err(found.refuse("use `gzip` or `none`")),
            },
        }
    }

    fn path(&self, name: &str, explicit: &Option<String>) -> Option<PathBuf> {
        let found = self.find(name, explicit.clone())?;
        Some(PathBuf::from(found.value))
    }

    fn identity(&self) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
        let certificate = self.path("CLIENT_CERTIFICATE", &self.explicit.client_certificate);
        let key = self.path("CLIENT_KEY", &self.explicit.client_key);
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (one, other) => Err(ConfigError {
                setting: "client certificate and key".to_owned(),
                value: one.or(other).unwrap_or_default().display().to_string(),
                reason: "give both or neither".to_owned(),
            }),
        }
    }
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let name = name.trim().to_ascii_lowercase().parse().ok()?;
    let value = HeaderValue::from_bytes(&percent_decoded(value.trim())?).ok()?;
    Some((name, value))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push((high * 16 + low) as u8);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests;
