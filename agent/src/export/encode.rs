//! Measures → OTLP requests, with the small values that spans use too. Pure.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1,
};

use super::{
    metrics::{Attributes, Durations, Measures, Point, Resource, Sample, Value},
    names::{self, Kind, MetricName, Owner},
};

/// Data points per request. At up to 1 kB each a request stays below the 4 MiB that gRPC
/// receivers accept by default.
pub const MAX_POINTS: usize = 3_000;

/// A request with the number of data points in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricBatch {
    /// Ready to send.
    pub request: ExportMetricsServiceRequest,
    /// Data points in it.
    pub points: u64,
}

/// Encodes `measures` with one `ResourceMetrics` per resource in each request. Families of
/// `without` are left out (weir's own telemetry travels through the OpenTelemetry SDK).
pub fn metric_batches(measures: &Measures, without: Option<Owner>) -> Vec<MetricBatch> {
    let mut batches = Vec::new();
    let mut open = Open::default();
    for Rows {
        resource,
        name,
        rows,
    } in by_resource(measures, without)
    {
        for chunk in rows.chunks(MAX_POINTS) {
            if open.points + chunk.len() > MAX_POINTS {
                batches.extend(std::mem::take(&mut open).close());
            }
            open.add(resource, metric(name, chunk, measures.unix_ns), chunk.len());
        }
    }
    batches.extend(open.close());
    batches
}

type Row<'a> = (&'a Attributes, &'a Point);

/// Points of one metric under one resource.
struct Rows<'a> {
    resource: &'a Resource,
    name: &'static MetricName,
    rows: Vec<Row<'a>>,
}

fn by_resource(measures: &Measures, without: Option<Owner>) -> Vec<Rows<'_>> {
    let mut found: BTreeMap<(&Resource, &str), Rows<'_>> = BTreeMap::new();
    for family in measures.families.values() {
        if Some(family.name.owner) == without {
            continue;
        }
        for ((resource, attributes), point) in &family.points {
            let entry = found.entry((resource, family.name.otlp));
            let rows = entry.or_insert_with(|| Rows {
                resource,
                name: family.name,
                rows: Vec::new(),
            });
            rows.rows.push((attributes, point));
        }
    }
    found.into_values().collect()
}

/// The request under construction.
#[derive(Default)]
struct Open {
    resources: Vec<(Resource, Vec<Metric>)>,
    points: usize,
}

impl Open {
    fn add(&mut self, resource: &Resource, metric: Metric, points: usize) {
        self.points += points;
        match self.resources.last_mut() {
            Some((last, metrics)) if last == resource => metrics.push(metric),
            _ => self.resources.push((resource.clone(), vec![metric])),
        }
    }

    fn close(self) -> Option<MetricBatch> {
        if self.resources.is_empty() {
            return None;
        }
        let resources = self.resources.into_iter();
        Some(MetricBatch {
            points: self.points as u64,
            request: ExportMetricsServiceRequest {
                resource_metrics: resources
                    .map(|(resource, metrics)| resource_metrics(&resource, metrics))
                    .collect(),
            },
        })
    }
}

fn resource_metrics(of: &Resource, metrics: Vec<Metric>) -> ResourceMetrics {
    ResourceMetrics {
        resource: Some(resource(of)),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(scope()),
            metrics,
            schema_url: names::SCHEMA_URL.to_owned(),
        }],
        schema_url: names::SCHEMA_URL.to_owned(),
    }
}

fn metric(name: &'static MetricName, points: &[Row<'_>], unix_ns: u64) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let rows = points.iter();
    let data = match name.kind {
        Kind::Counter => Data::Sum(Sum {
            data_points: rows.map(|row| number_point(row, unix_ns)).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge => Data::Gauge(Gauge {
            data_points: rows.map(|row| number_point(row, unix_ns)).collect(),
        }),
        Kind::Seconds(bounds) => Data::Histogram(Histogram {
            data_points: rows
                .filter_map(|row| histogram_point(row, bounds, unix_ns))
                .collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: name.otlp.to_owned(),
        description: name.help.to_owned(),
        unit: name.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number_point((attributes, point): &Row<'_>, unix_ns: u64) -> NumberDataPoint {
    let (start, value) = match &point.sample {
        Sample::Count(count) => {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            (point.start_unix_ns, number_data_point::Value::AsInt(count))
        }
        // A level has no beginning.
        other => {
            let level = other.level().unwrap_or_default();
            (0, number_data_point::Value::AsDouble(level))
        }
    };
    NumberDataPoint {
        attributes: key_values(attributes),
        start_time_unix_nano: start,
        time_unix_nano: unix_ns,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram_point(
    (attributes, point): &Row<'_>,
    bounds: &[f64],
    unix_ns: u64,
) -> Option<HistogramDataPoint> {
    let Sample::Seconds(durations) = &point.sample else {
        return None;
    };
    let Durations { counts, .. } = durations;
    Some(HistogramDataPoint {
        attributes: key_values(attributes),
        start_time_unix_nano: point.start_unix_ns,
        time_unix_nano: unix_ns,
        count: durations.count(),
        sum: Some(durations.sum_seconds()),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    })
}

/// The instrumentation scope of everything weir exports.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: names::SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// A resource in its wire form.
pub fn resource(of: &Resource) -> v1::Resource {
    v1::Resource {
        attributes: of
            .attributes()
            .iter()
            .map(|(name, value)| text(name, value))
            .collect(),
        ..v1::Resource::default()
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(name, value)| match value {
            Value::Text(value) => text(name, value),
            Value::Number(value) => number(name, *value),
            Value::Flag(value) => flag(name, *value),
        })
        .collect()
}

/// A text attribute.
pub fn text(name: &str, value: &str) -> KeyValue {
    key_value(name, any_value::Value::StringValue(value.to_owned()))
}

/// An integer attribute.
pub fn number(name: &str, value: i64) -> KeyValue {
    key_value(name, any_value::Value::IntValue(value))
}

/// A floating-point attribute.
pub fn float(name: &str, value: f64) -> KeyValue {
    key_value(name, any_value::Value::DoubleValue(value))
}

/// A boolean attribute.
pub fn flag(name: &str, value: bool) -> KeyValue {
    key_value(name, any_value::Value::BoolValue(value))
}

fn key_value(name: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests;
