//! weir's own telemetry through the OpenTelemetry SDK.
//!
//! The SDK has one resource, one set of instruments and asks for their values when it collects:
//! right for what weir says of itself, while what it says for many workloads is encoded directly
//! (the SDK's exporters carry one resource each). Its exporter here hands the request to weir's
//! own buffer, so that both travel the same way.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter, MeterProvider as _},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest, metrics::v1::metric::Data,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
};

use super::{
    collect::Collector,
    encode::MetricBatch,
    metrics::{Attributes, Sample, Value},
    names::{self, Kind, MetricName, Owner},
};

/// The SDK with its instruments.
pub struct Own {
    provider: SdkMeterProvider,
    latest: Latest,
}

type Latest = Arc<Mutex<Option<ExportMetricsServiceRequest>>>;

/// How often the SDK collects by itself: in effect never, because [`Own::batch`] asks it to.
const NEVER: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3_600);

impl Own {
    /// Makes an instrument for each of weir's own metrics; their values come from `collector`.
    pub fn new(collector: &Arc<Collector>) -> Self {
        let latest = Latest::default();
        let exporter = Handover(Arc::clone(&latest));
        let reader = PeriodicReader::builder(exporter).with_interval(NEVER);
        let provider = SdkMeterProvider::builder()
            .with_resource(resource(collector))
            .with_reader(reader.build())
            .build();
        let meter = provider.meter(names::SCOPE);
        let own = names::ALL.iter().filter(|name| name.owner == Owner::Agent);
        for name in own {
            instrument(&meter, name, collector);
        }
        Self { provider, latest }
    }

    /// What weir says of itself now; blocks while the SDK's thread collects.
    pub fn batch(&self) -> Result<Option<MetricBatch>> {
        self.provider
            .force_flush()
            .context("collect weir's own metrics")?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(latest.take().map(|request| MetricBatch {
            points: points(&request),
            request,
        }))
    }
}

fn resource(collector: &Collector) -> Resource {
    let resource = collector.host().agent();
    let pairs = resource.attributes().iter();
    let pairs = pairs.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_schema_url(pairs.collect::<Vec<_>>(), names::SCHEMA_URL)
        .build()
}

fn instrument(meter: &Meter, name: &'static MetricName, collector: &Arc<Collector>) {
    let collector = Arc::clone(collector);
    match name.kind {
        Kind::Gauge => {
            meter
                .f64_observable_gauge(name.otlp)
                .with_unit(name.unit)
                .with_description(name.help)
                .with_callback(move |observer| {
                    observe(&collector, name, observer, Sample::level);
                })
                .build();
        }
        Kind::Counter | Kind::Seconds(_) => {
            meter
                .u64_observable_counter(name.otlp)
                .with_unit(name.unit)
                .with_description(name.help)
                .with_callback(move |observer| {
                    observe(&collector, name, observer, Sample::count);
                })
                .build();
        }
    }
}

fn observe<T>(
    collector: &Collector,
    name: &MetricName,
    observer: &dyn AsyncInstrument<T>,
    value: fn(&Sample) -> Option<T>,
) {
    let measures = collector.collect();
    let family = measures.families.get(name.otlp);
    for ((_, attributes), point) in family.iter().flat_map(|family| &family.points) {
        if let Some(value) = value(&point.sample) {
            observer.observe(value, &key_values(attributes));
        }
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    let pair = |(name, value): &(&'static str, Value)| match value {
        Value::Text(text) => KeyValue::new(*name, text.clone()),
        Value::Number(number) => KeyValue::new(*name, *number),
        Value::Flag(flag) => KeyValue::new(*name, *flag),
    };
    attributes.iter().map(pair).collect()
}

fn points(request: &ExportMetricsServiceRequest) -> u64 {
    let resources = request.resource_metrics.iter();
    let scopes = resources.flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let points = metrics.map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        _ => 0,
    });
    points.sum::<usize>() as u64
}

/// Keeps what the SDK exports until it is asked for.
struct Handover(Latest);

impl PushMetricExporter for Handover {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
