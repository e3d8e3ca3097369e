//! The daemon's status and the exporters' own counts → `weir.agent.*`.

use super::{Attributes, Measures, Point, Resource, Sample};
use crate::{
    control::api::Status,
    export::{
        names::{self, MetricName, attr},
        stats::ExporterCounts,
    },
};

/// Adds what the daemon says of itself. Call it last: it also tells how much was folded.
pub fn add_agent(
    measures: &mut Measures,
    status: &Status,
    exporters: &[ExporterCounts],
    agent: &Resource,
) {
    let uptime_ns = (status.uptime_seconds.max(0.0) * 1e9) as u64;
    let mut writer = Writer {
        start_unix_ns: measures.unix_ns.saturating_sub(uptime_ns),
        measures,
        agent,
    };
    writer.status(status);
    for exporter in exporters {
        writer.exporter(exporter);
    }
    let folded = writer.measures.folded as f64;
    writer.level(&names::AGENT_SERIES_FOLDED, vec![], folded);
}

struct Writer<'a> {
    start_unix_ns: u64,
    measures: &'a mut Measures,
    agent: &'a Resource,
}

impl Writer<'_> {
    fn add(&mut self, name: &'static MetricName, attributes: Attributes, sample: Sample) {
        let point = Point {
            start_unix_ns: self.start_unix_ns,
            sample,
        };
        self.measures
            .add(name, (self.agent.clone(), attributes), point);
    }

    fn count(&mut self, name: &'static MetricName, attributes: Attributes, value: u64) {
        self.add(name, attributes, Sample::Count(value));
    }

    fn level(&mut self, name: &'static MetricName, attributes: Attributes, value: f64) {
        self.add(name, attributes, Sample::Level(value));
    }

    fn status(&mut self, status: &Status) {
        let which: Attributes = vec![
            (attr::VERSION, status.version.as_str().into()),
            (attr::KERNEL, status.kernel.as_str().into()),
        ];
        self.level(&names::AGENT_INFO, which, 1.0);
        self.count(&names::AGENT_EXCHANGES, vec![], status.exchanges);
        let levels = [
            (&names::AGENT_UPTIME, status.uptime_seconds),
            (&names::AGENT_COMPLETENESS, status.completeness),
            (&names::AGENT_EDGES, status.edges as f64),
            (&names::AGENT_CONNECTIONS, status.connections as f64),
            (&names::AGENT_POLICIES, status.policies as f64),
        ];
        for (name, value) in levels {
            self.level(name, vec![], value);
        }
        for (reason, lost) in &status.lost {
            let reason = vec![(attr::REASON, reason.as_str().into())];
            self.count(&names::AGENT_LOST, reason, *lost);
        }
        for (map, (entries, capacity)) in &status.map_fill {
            let map: Attributes = vec![(attr::MAP, map.as_str().into())];
            self.level(&names::AGENT_MAP_ENTRIES, map.clone(), *entries as f64);
            self.level(&names::AGENT_MAP_CAPACITY, map, *capacity as f64);
        }
    }

    fn exporter(&mut self, counts: &ExporterCounts) {
        let which: Attributes = vec![(attr::EXPORTER, counts.name.into())];
        self.count(&names::EXPORT_SENT, which.clone(), counts.sent);
        self.count(&names::EXPORT_RETRIES, which.clone(), counts.retries);
        self.count(&names::EXPORT_SUPERSEDED, which.clone(), counts.superseded);
        let buffered = counts.buffered_bytes as f64;
        self.level(&names::EXPORT_BUFFER, which.clone(), buffered);
        for (reason, lost) in &counts.lost {
            let mut attributes = which.clone();
            attributes.push((attr::REASON, (*reason).into()));
            self.count(&names::EXPORT_LOST, attributes, *lost);
        }
    }
}
