//! The values of one collection: families of points, each under a resource.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use super::{Durations, Resource};
use crate::export::names::{MetricName, attr};

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Text.
    Text(String),
    /// Integer.
    Number(i64),
    /// Boolean.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(i64::from(number))
    }
}

/// Attributes of a point, in the order in which its family writes them.
pub type Attributes = Vec<(&'static str, Value)>;

/// What a point holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// Monotonic count since the start time.
    Count(u64),
    /// Level now.
    Level(f64),
    /// Share of a whole; 1 while the whole is 0. Merging adds both.
    Ratio {
        /// Numerator.
        part: u64,
        /// Denominator.
        whole: u64,
    },
    /// Durations since the start time.
    Seconds(Durations),
}

/// One value of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Unix time since when it counts, ns.
    pub start_unix_ns: u64,
    /// The value.
    pub sample: Sample,
}

impl Sample {
    /// The number of a count; `None` for levels and durations.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// The number that a gauge shows; `None` for counts and durations.
    pub fn level(&self) -> Option<f64> {
        match self {
            Self::Level(level) => Some(*level),
            Self::Ratio { whole: 0, .. } => Some(1.0),
            Self::Ratio { part, whole } => Some(*part as f64 / *whole as f64),
            Self::Count(_) | Self::Seconds(_) => None,
        }
    }
}

impl Point {
    /// Adds `other`, a point of the same family.
    pub fn merge(&mut self, other: Self) {
        self.start_unix_ns = self.start_unix_ns.min(other.start_unix_ns);
        match (&mut self.sample, other.sample) {
            (Sample::Count(mine), Sample::Count(theirs)) => *mine = mine.saturating_add(theirs),
            (Sample::Seconds(mine), Sample::Seconds(theirs)) => mine.merge(&theirs),
            (Sample::Level(mine), Sample::Level(theirs)) => *mine += theirs,
            (Sample::Ratio { part, whole }, Sample::Ratio { part: p, whole: w }) => {
                *part += p;
                *whole += w;
            }
            // A family has one kind of sample, so this arm is never taken.
            (mine, theirs) => *mine = theirs,
        }
    }
}

/// Who and what a point is about.
pub type SeriesKey = (Resource, Attributes);

/// All points of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, unit and kind.
    pub name: &'static MetricName,
    /// Points by resource and attributes.
    pub points: BTreeMap<SeriesKey, Point>,
}

/// One collection of everything that is exported as metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// Unix time of the collection, ns.
    pub unix_ns: u64,
    /// Families by OpenTelemetry name.
    pub families: BTreeMap<&'static str, Family>,
    /// Additions that went into an overflow point because their family was full.
    pub folded: u64,
    max_series: usize,
}

impl Measures {
    /// An empty collection at `unix_ns` that keeps at most `max_series` points per family.
    pub fn new(unix_ns: u64, max_series: usize) -> Self {
        Self {
            unix_ns,
            families: BTreeMap::new(),
            folded: 0,
            max_series: max_series.max(1),
        }
    }

    /// Number of points in all families.
    pub fn len(&self) -> usize {
        self.families.values().map(|f| f.points.len()).sum()
    }

    /// True if there is no point.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// Adds a point to its family; points of one resource with equal attributes are added up.
    ///
    /// A full family folds further attribute sets into one point marked
    /// `otel.metric.overflow`, as the OpenTelemetry SDKs do: totals stay exact.
    pub fn add(&mut self, name: &'static MetricName, key: SeriesKey, point: Point) {
        let family = self.families.entry(name.otlp).or_insert_with(|| Family {
            name,
            points: BTreeMap::new(),
        });
        let full = family.points.len() >= self.max_series;
        match family.points.entry(key) {
            Entry::Occupied(mut there) => there.get_mut().merge(point),
            Entry::Vacant(free) if !full => {
                free.insert(point);
            }
            Entry::Vacant(free) => {
                self.folded += 1;
                let overflow = vec![(attr::OVERFLOW, Value::Flag(true))];
                let (resource, _) = free.into_key();
                match family.points.entry((resource, overflow)) {
                    Entry::Occupied(mut there) => there.get_mut().merge(point),
                    Entry::Vacant(free) => {
                        free.insert(point);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::names::EDGE_CALLS;

    fn count(start_unix_ns: u64, value: u64) -> Point {
        Point {
            start_unix_ns,
            sample: Sample::Count(value),
        }
    }

    #[test]
    fn equal_series_add_up_and_a_full_family_folds() {
        let mut measures = Measures::new(9, 2);
        let key = |client: &str| -> SeriesKey {
            (Resource::default(), vec![(attr::CLIENT, client.into())])
        };
        for (client, start, calls) in [
            ("a", 5, 1),
            ("b", 4, 2),
            ("a", 3, 4),
            ("c", 2, 8),
            ("d", 1, 16),
        ] {
            measures.add(&EDGE_CALLS, key(client), count(start, calls));
        }
        let points = &measures.families["weir.edge.calls"].points;
        assert_eq!(points[&key("a")], count(3, 5));
        assert_eq!(points[&key("b")], count(4, 2));
        let overflow = (
            Resource::default(),
            vec![(attr::OVERFLOW, Value::Flag(true))],
        );
        assert_eq!(points[&overflow], count(1, 24));
        assert_eq!((measures.len(), measures.folded), (3, 2));
    }
}
