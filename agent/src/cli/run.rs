//! `weir run`: the daemon.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Failure, rooms};
use crate::config::{self, Config, OtlpProtocol, Overrides};

const EXAMPLES: &str = "\
Every flag can stand in the file, too; flags win. See `weir check-config`.
OTEL_EXPORTER_OTLP_* variables are understood.

Examples:
  sudo weir run                                      with /etc/weir/weir.toml, if it exists
  sudo weir run --otlp http://collector:4317         export to an OpenTelemetry collector
  sudo weir run --socket ./w.sock --state ./state    beside another one";

/// Starts the daemon: loads the programs, watches, enforces, answers
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Settings that flags can override.
#[derive(clap::Args)]
struct Settings {
    /// Configuration file; conf.d/*.toml beside it are read, too [default: /etc/weir/weir.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the embedded history [default: /var/lib/weir]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Folder of policy files [default: /etc/weir/policies]
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,
    /// Prometheus endpoint, or `off` [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// OTLP collector, e.g. http://127.0.0.1:4317
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// How OTLP is spoken
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    otlp_protocol: Option<Protocol>,
    /// Exchanges per second that are looked at in detail before sampling begins
    #[arg(long, value_name = "N")]
    detail_per_second: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Protocol {
    #[value(name = "grpc")]
    Grpc,
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

impl Settings {
    /// Reads files and flags.
    fn load(self, socket: Option<PathBuf>) -> Result<config::Loaded, Failure> {
        let overrides = Overrides {
            socket,
            state: self.state,
            policies: self.policies,
            metrics: self.metrics,
            otlp: self.otlp,
            otlp_protocol: self.otlp_protocol.map(|protocol| match protocol {
                Protocol::Grpc => OtlpProtocol::Grpc,
                Protocol::HttpProtobuf => OtlpProtocol::HttpProtobuf,
            }),
            detail_per_second: self.detail_per_second,
        };
        config::load(self.config.as_deref(), overrides)
            .map_err(|error| Failure::failed(error.to_string()))
    }
}

pub(super) fn run(args: Args, socket: Option<PathBuf>) -> Result<(), Failure> {
    rooms::need_rights("weir run")?;
    start(args.settings.load(socket)?.config)
}

/// Runs the daemon with `config` until it is told to end.
///
/// # Errors
/// Exit code 4 where the system refuses for lack of rights, else 1.
pub fn start(config: Config) -> Result<(), Failure> {
    Ok(rooms::run(config)?)
}
