//! Starts the exporters as tokio tasks, and stops them with a deadline.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    sync::{broadcast::Receiver, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    collect::Collector,
    intake::{MetricIntake, SpanIntake},
    metrics::Host,
    otlp::{OtlpConfig, Outbox, Queue, Target, Transport},
    own::Own,
    prometheus,
    stats::{ExporterStats, Exporters},
};
use crate::{control::api::Answers, observe::model::Exchange};

/// What to export and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportConfig {
    /// OTLP settings; the environment completes them.
    pub otlp: OtlpConfig,
    /// Address of the Prometheus endpoint; `None` for none.
    pub prometheus: Option<SocketAddr>,
    /// How often metrics are sent over OTLP.
    pub metrics_every: Duration,
    /// Memory for spans that wait, bytes.
    pub buffer_bytes: usize,
    /// Spans that may wait.
    pub buffer_spans: u64,
    /// Points per metric; more are folded into one marked `otel.metric.overflow`.
    pub max_series: usize,
    /// `host.name` of every resource.
    pub host_name: String,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            otlp: OtlpConfig::default(),
            prometheus: None,
            metrics_every: Duration::from_secs(10),
            buffer_bytes: 32 << 20,
            buffer_spans: 200_000,
            max_series: 2_000,
            host_name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        }
    }
}

/// The running exporters. Keep it: dropping it ends them without a last flush.
pub struct ExportHandle {
    exporters: Exporters,
    /// Tells those who fill the buffers to stop.
    closing: watch::Sender<bool>,
    /// Tells those who empty them to end once they are empty.
    draining: watch::Sender<bool>,
    intakes: Vec<JoinHandle<()>>,
    outboxes: Vec<(Outbox, JoinHandle<()>)>,
    prometheus: Option<SocketAddr>,
}

impl ExportHandle {
    /// Exporter → `ok` or the error, with counts: for `Status.exporters`.
    pub fn state(&self) -> BTreeMap<String, String> {
        self.exporters.state()
    }

    /// The exporters' counters; clones stay valid while the exporters run.
    pub fn exporters(&self) -> Exporters {
        self.exporters.clone()
    }

    /// Where the Prometheus endpoint listens (port 0 in the config becomes a real one).
    pub fn prometheus(&self) -> Option<SocketAddr> {
        self.prometheus
    }

    /// Takes nothing new, sends what waits and one last set of metrics, and ends all tasks
    /// within `deadline`; what could not be sent by then is counted as lost.
    pub async fn shutdown(self, deadline: Duration) -> BTreeMap<String, String> {
        let deadline = Instant::now() + deadline;
        self.closing.send_replace(true);
        for mut intake in self.intakes {
            if tokio::time::timeout_at(deadline, &mut intake)
                .await
                .is_err()
            {
                intake.abort();
            }
        }
        self.draining.send_replace(true);
        for (outbox, sending) in self.outboxes {
            outbox.drain(sending, deadline).await;
        }
        self.exporters.state()
    }
}

/// Starts everything that `config` and the environment ask for.
///
/// Fails on settings that cannot be used, unreadable certificates, and a Prometheus address that
/// cannot be bound; a receiver that is away is not a failure. Must run inside a tokio runtime.
pub async fn start(answers: Arc<dyn Answers>, config: ExportConfig) -> Result<ExportHandle> {
    let targets = config.otlp.resolve(&|name| std::env::var(name).ok())?;
    let exporters = Exporters::default();
    let host = Host {
        name: config.host_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let details = targets.traces.is_some().then(|| answers.follow_details());
    let collector = Collector::new(answers, exporters.clone(), host, config.max_series);
    let collector = Arc::new(collector);
    let mut handle = ExportHandle {
        exporters,
        closing: watch::channel(false).0,
        draining: watch::channel(false).0,
        intakes: Vec::new(),
        outboxes: Vec::new(),
        prometheus: None,
    };
    if let (Some(target), Some(details)) = (&targets.traces, details) {
        handle.start_traces(target, &config, details, &collector)?;
    }
    if let Some(target) = &targets.metrics {
        handle.start_metrics(target, &config, &collector)?;
    }
    if let Some(address) = config.prometheus {
        handle.start_prometheus(address, collector).await?;
    }
    Ok(handle)
}

impl ExportHandle {
    fn start_traces(
        &mut self,
        target: &Target,
        config: &ExportConfig,
        details: Receiver<Arc<Exchange>>,
        collector: &Arc<Collector>,
    ) -> Result<()> {
        let stats = self.exporters.register("otlp_traces");
        let queue = Queue::new(config.buffer_bytes, config.buffer_spans);
        let outbox = self.start_outbox(target, queue, &stats)?;
        let intake = SpanIntake {
            details,
            waiting: Vec::new(),
            host: collector.host().clone(),
            outbox,
            stats,
        };
        let closing = self.closing.subscribe();
        self.intakes.push(tokio::spawn(intake.run(closing)));
        Ok(())
    }

    fn start_metrics(
        &mut self,
        target: &Target,
        config: &ExportConfig,
        collector: &Arc<Collector>,
    ) -> Result<()> {
        let stats = self.exporters.register("otlp_metrics");
        // Only the newest collection is kept, so its own bounds (series per metric) suffice.
        let queue = Queue::new(usize::MAX, u64::MAX);
        let outbox = self.start_outbox(target, queue, &stats)?;
        let intake = MetricIntake {
            own: Arc::new(Own::new(collector)),
            collector: Arc::clone(collector),
            outbox,
            every: config.metrics_every,
        };
        let closing = self.closing.subscribe();
        self.intakes.push(tokio::spawn(intake.run(closing)));
        Ok(())
    }

    fn start_outbox(
        &mut self,
        target: &Target,
        queue: Queue,
        stats: &ExporterStats,
    ) -> Result<Outbox> {
        let transport = Transport::new(target)
            .with_context(|| format!("export {:?} to {}", target.signal, target.uri))?;
        let draining = self.draining.subscribe();
        let (outbox, sending) = Outbox::start(transport, queue, stats.clone(), draining);
        self.outboxes.push((outbox.clone(), sending));
        Ok(outbox)
    }

    async fn start_prometheus(
        &mut self,
        address: SocketAddr,
        collector: Arc<Collector>,
    ) -> Result<()> {
        let stats = self.exporters.register("prometheus");
        let server = prometheus::Server::bind(address, collector, stats).await?;
        self.prometheus = Some(server.address());
        self.intakes
            .push(tokio::spawn(server.run(self.closing.subscribe())));
        Ok(())
    }
}
