//! OTLP export against scripted receivers ([`scripted`], [`tls`]) and real ones ([`real`]:
//! rotel, VictoriaMetrics).

mod real;
mod scripted;
#[path = "../support/mod.rs"]
mod support;
mod tls;

use std::{sync::Arc, time::Duration};

use support::answers::{Fixed, edge};
use weir::export::{ExportConfig, ExportHandle, otlp::OtlpConfig, start, stats::ExporterCounts};

const SECOND: Duration = Duration::from_secs(1);

fn config(endpoint: String) -> ExportConfig {
    ExportConfig {
        otlp: OtlpConfig {
            endpoint: Some(endpoint),
            ..OtlpConfig::default()
        },
        metrics_every: SECOND,
        host_name: "node-1".into(),
        ..ExportConfig::default()
    }
}

fn grpc(port: u16) -> ExportConfig {
    let mut config = config(format!("http://127.0.0.1:{port}"));
    config.otlp.protocol = Some("grpc".into());
    config
}

async fn run(config: ExportConfig) -> (Arc<Fixed>, ExportHandle) {
    let fixed = Fixed::new(vec![edge("web", "api", 8080, 90, 10)]);
    let handle = start(fixed.clone(), config).await.expect("it starts");
    (fixed, handle)
}

fn counts(handle: &ExportHandle, name: &str) -> ExporterCounts {
    let all = handle.exporters().counts();
    all.into_iter()
        .find(|one| one.name == name)
        .expect("the exporter")
}

fn lost(handle: &ExportHandle, reason: &str) -> u64 {
    let counts = counts(handle, "otlp_traces");
    counts.lost.get(reason).copied().unwrap_or_default()
}
