//! Measures → Prometheus text and OpenMetrics text. Pure.
#![forbid(unsafe_code)]

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{Display, Write as _},
};

use crate::export::{
    metrics::{Durations, Family, Measures, Point, Resource, Sample, measures::Attributes},
    names::{Kind, MetricName, Owner, attr},
};

/// Which of the two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// `Content-Type` of the answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Renders `measures`. Workloads' metrics carry `service_name`, `service_namespace` and
/// `service_instance_id`, because one endpoint speaks for many services.
pub fn render(measures: &Measures, format: Format) -> String {
    let mut text = String::with_capacity(256 * measures.len());
    for family in measures.families.values() {
        header(&mut text, family.name, format);
        for (labels, point) in by_labels(family) {
            sample(&mut text, family.name, &labels, &point);
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn header(text: &mut String, name: &MetricName, format: Format) {
    let kind = match name.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Seconds(_) => "histogram",
    };
    // OpenMetrics names a counter without its suffix, the older format with it.
    let suffix = match (name.kind, format) {
        (Kind::Counter, Format::Prometheus) => "_total",
        _ => "",
    };
    let family = format!("{}{suffix}", name.prometheus);
    let help = escaped(name.help, format == Format::OpenMetrics);
    push(
        text,
        format_args!("# HELP {family} {help}\n# TYPE {family} {kind}\n"),
    );
}

/// Points by label text. Resources that differ only in what is not shown here fall together.
fn by_labels(family: &Family) -> BTreeMap<String, Cow<'_, Point>> {
    let mut points: BTreeMap<String, Cow<'_, Point>> = BTreeMap::new();
    for ((resource, attributes), point) in &family.points {
        let labels = labels(family.name, resource, attributes);
        match points.get_mut(&labels) {
            Some(there) => there.to_mut().merge(point.clone()),
            None => {
                points.insert(labels, Cow::Borrowed(point));
            }
        }
    }
    points
}

/// `name="value",…` without braces.
fn labels(name: &MetricName, resource: &Resource, attributes: &Attributes) -> String {
    let mut labels = String::new();
    if name.owner == Owner::Workload {
        let shown = [
            attr::SERVICE_NAME,
            attr::SERVICE_NAMESPACE,
            attr::SERVICE_INSTANCE,
        ];
        for name in shown {
            if let Some(value) = resource.get(name) {
                label(&mut labels, name, value);
            }
        }
    }
    for (name, value) in attributes {
        label(&mut labels, name, &value.to_string());
    }
    labels
}

fn label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    let name = name.replace('.', "_");
    push(labels, format_args!("{name}=\"{}\"", escaped(value, true)));
}

fn sample(text: &mut String, name: &MetricName, labels: &str, point: &Point) {
    let family = name.prometheus;
    match &point.sample {
        Sample::Count(count) => line(text, family, "_total", labels, count),
        Sample::Seconds(durations) => histogram(text, name, labels, durations),
        gauge => {
            let level = number(gauge.level().unwrap_or_default());
            line(text, family, "", labels, level);
        }
    }
}

fn histogram(text: &mut String, name: &MetricName, labels: &str, durations: &Durations) {
    let family = name.prometheus;
    let comma = if labels.is_empty() { "" } else { "," };
    let bounds = name.bounds().iter().map(|bound| number(*bound));
    let mut cumulative = 0;
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&durations.counts) {
        cumulative += count;
        push(
            text,
            format_args!("{family}_bucket{{{labels}{comma}le=\"{bound}\"}} {cumulative}\n"),
        );
    }
    line(text, family, "_count", labels, cumulative);
    line(
        text,
        family,
        "_sum",
        labels,
        number(durations.sum_seconds()),
    );
}

fn line(text: &mut String, family: &str, suffix: &str, labels: &str, value: impl Display) {
    if labels.is_empty() {
        push(text, format_args!("{family}{suffix} {value}\n"));
    } else {
        push(text, format_args!("{family}{suffix}{{{labels}}} {value}\n"));
    }
}

/// OpenMetrics wants floats to look like floats, and no exponents where they can be avoided.
fn number(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.1}")
    } else if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
    } else {
        value.to_string()
    }
}

fn escaped(value: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            c => escaped.push(c),
        }
    }
    escaped
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    text.write_fmt(arguments).unwrap_or_default();
}

#[cfg(test)]
mod tests;
