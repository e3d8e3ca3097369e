//! The seams between the command line and the rooms that do the work without a socket: the
//! daemon, the kernel room, replay. Each function is one call into its room.

use std::{collections::BTreeMap, io::IsTerminal as _, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use rustix::thread::{CapabilitySet, capabilities};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::Failure;
use crate::{
    config::{Config, OtlpProtocol},
    control::{
        api::{Answers, DoctorItem, OffReport, PolicyFile, Refusal},
        bind, server,
    },
    daemon::{Daemon, Settings, engine::Policies, port::KernelPort},
    enforce::engine::PolicySet,
    export::{self, otlp::OtlpConfig},
    identity::rules::{NameRule, Rules, ServiceRule},
    kernel::{
        self,
        bpffs::Pins,
        events::Events,
        load::{LoadOptions, load},
        room::Room,
    },
    observe::model::Exchange,
    replay,
};

/// How long the exporters may take for their last words.
const FLUSH: Duration = Duration::from_secs(3);

/// Runs the daemon until it is told to end.
pub fn run(config: Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEIR_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_ansi(color && std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    // The socket comes first: of two daemons the second must not touch the first one's programs.
    let socket = bind::bind(&config.socket)?;
    let pins = Pins::default();
    let options = LoadOptions {
        pins: pins.clone(),
        ring_bytes: Some(config.ring_bytes),
        ports: config
            .ports
            .iter()
            .map(|(port, protocol)| (*port, protocol.code()))
            .collect(),
    };
    let loaded = load(&options)?;
    for missing in &loaded.missing {
        warn!(
            "this kernel lacks {}",
            missing.lines().next().unwrap_or_default()
        );
    }
    let words = if loaded.adopted {
        "took over"
    } else {
        "loaded"
    };
    info!(
        "{words} {} hooks: {}",
        loaded.hooks.len(),
        loaded.hooks.join(", ")
    );
    let room: Arc<dyn KernelPort> = Arc::new(Room::new(loaded));
    let daemon = make_daemon(&config, Arc::clone(&room));
    let ring = Events::open(&pins)?;
    let reader = tokio::spawn({
        let daemon = Arc::clone(&daemon);
        ring.run(move |record| daemon.ingest(record))
    });
    let running = tokio::task::spawn_blocking({
        let daemon = Arc::clone(&daemon);
        move || daemon.start()
    })
    .await?
    .context("start the daemon's threads")?;
    let answers: Arc<dyn Answers> = daemon.clone();
    let exporters = export::start(Arc::clone(&answers), export_config(&config)).await?;
    let states = exporters.exporters();
    daemon.set_exporters(move || states.state());
    info!("ready: {}", config.socket.display());
    server::serve(socket, answers, told_to_end())
        .await
        .context("serve the control socket")?;
    info!("ending; what is in force stays in force (`weir off` removes it)");
    reader.abort();
    exporters.shutdown(FLUSH).await;
    tokio::task::spawn_blocking(move || running.stop()).await?;
    Ok(())
}

async fn told_to_end() {
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            error!("cannot wait for a signal: {error}");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::interrupt()) => {}
    }
}

fn make_daemon(config: &Config, room: Arc<dyn KernelPort>) -> Arc<Daemon> {
    if let Err(error) = std::fs::create_dir_all(&config.state) {
        warn!(
            "{}: {error}: nothing will be remembered over a restart",
            config.state.display()
        );
    }
    let kept = config.state.join("policies.yaml");
    let policies = Arc::new(Policies::open(room.rule_slots(), &config.policies, kept));
    let services = config.services.iter().map(|rule| ServiceRule {
        name: rule.name.clone(),
        process: rule.process.clone(),
        exe: rule.exe.clone(),
        unit: rule.unit.clone(),
    });
    let names: Vec<NameRule> = config
        .names
        .iter()
        .map(|rule| NameRule {
            cidr: rule.cidr.clone(),
            service: rule.service.clone(),
        })
        .collect();
    let settings = Settings {
        detail_per_second: config.detail_per_second,
        history: Some(config.state.join("history.redb")),
        rules: Rules::new(services.collect(), &names),
        routes: config.routes.clone(),
        ..Settings::default()
    };
    let daemon = Daemon::new(room, Arc::clone(&policies) as _, settings);
    let names = Arc::downgrade(&daemon);
    policies.set_listener(Box::new(move |addr, port| {
        names.upgrade()?.registry().listener_at(addr, port)
    }));
    daemon
}

fn export_config(config: &Config) -> export::ExportConfig {
    let headers: Vec<String> = config
        .otlp
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    export::ExportConfig {
        otlp: OtlpConfig {
            endpoint: config.otlp.endpoint.clone(),
            protocol: config.otlp.protocol.map(|protocol| match protocol {
                OtlpProtocol::Grpc => "grpc".to_owned(),
                OtlpProtocol::HttpProtobuf => "http/protobuf".to_owned(),
            }),
            headers: (!headers.is_empty()).then(|| headers.join(",")),
            ..OtlpConfig::default()
        },
        prometheus: config.metrics,
        host_name: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        ..export::ExportConfig::default()
    }
}

/// Removes everything of weir from the kernel.
pub fn off() -> anyhow::Result<OffReport> {
    let removed = kernel::off()?;
    Ok(OffReport {
        programs: removed.links as u64,
        maps: removed.maps as u64,
        links: removed.links as u64,
    })
}

/// Finds out what this host can do.
pub fn doctor() -> anyhow::Result<Vec<DoctorItem>> {
    Ok(kernel::doctor())
}

/// What a replay read, and what it could not.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// seen / (seen + lost).
    pub completeness: f64,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    /// Packets that could not be read.
    pub unreadable: u64,
    /// Why reading ended before the end of the file, if it did.
    pub damaged: Option<String>,
}

/// Reads a capture and hands each exchange to `sink`.
pub fn replay(file: &Path, sink: &mut dyn FnMut(Exchange)) -> anyhow::Result<Replayed> {
    let report = replay::run(file, sink)?;
    Ok(Replayed {
        completeness: report.completeness(),
        unreadable: report.unreadable.values().sum(),
        lost: report.lost,
        damaged: report.damaged,
    })
}

/// Checks policy files without a daemon; `None` if this build cannot.
pub fn check_policies(files: &[PolicyFile]) -> Option<Result<Vec<String>, Vec<Refusal>>> {
    Some(
        PolicySet::new(BTreeMap::new())
            .check(files, &[])
            .map(|(names, _)| names),
    )
}

/// Fails with exit code 4 and one sentence unless this process may load programs.
pub fn need_rights(command: &str) -> Result<(), Failure> {
    let needed = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::NET_ADMIN;
    let enough = capabilities(None).is_ok_and(|sets| {
        sets.effective.contains(needed) || sets.effective.contains(CapabilitySet::SYS_ADMIN)
    });
    if enough {
        return Ok(());
    }
    Err(Failure::permission(format!(
        "{command} needs root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN): run `sudo {command}`"
    )))
}
