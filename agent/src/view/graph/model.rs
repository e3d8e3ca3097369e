//! What is drawn: services as nodes, everything between two of them as one link.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    observe::model::{Answer, EdgeItem, Endpoint, ServiceItem, WorkloadKind},
    view::{loss, row::qualified, unit},
};

/// Remote peers that all talk to the same services are drawn as one from this many on.
const FOLD_FROM: usize = 4;

/// Share of errors, as a colour shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Heat {
    /// No errors.
    None,
    /// Below 1 %.
    Low,
    /// 1 to 5 %.
    Some,
    /// 5 % and more.
    High,
}

impl Heat {
    /// All, coolest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Low, Self::Some, Self::High];

    /// Class of `errors` among `calls`.
    pub fn of(errors: u64, calls: u64) -> Self {
        match unit::share(errors, calls) {
            share if share <= 0.0 => Self::None,
            share if share < 0.01 => Self::Low,
            share if share < 0.05 => Self::Some,
            _ => Self::High,
        }
    }

    /// What the legend says.
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "no errors",
            Self::Low => "below 1 %",
            Self::Some => "1 to 5 %",
            Self::High => "5 % and more",
        }
    }

    /// Colour on a light ground.
    pub const fn color(self) -> &'static str {
        match self {
            Self::None => "#3d8b7d",
            Self::Low => "#b59a1a",
            Self::Some => "#e0821e",
            Self::High => "#d1323f",
        }
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Service name, or what a fold stands for.
    pub service: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What it is.
    pub kind: WorkloadKind,
    /// Ports it serves.
    pub ports: Vec<u16>,
    /// Calls per second that it serves.
    pub rate: f64,
    /// Calls that it served.
    pub calls: u64,
    /// Of these, failed.
    pub errors: u64,
    /// 95th percentile of what it served, ns.
    pub p95_ns: Option<u64>,
    /// Peers that this node stands for, if several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<String>,
}

impl Node {
    /// `namespace/service`.
    pub fn name(&self) -> String {
        unit::printable(&qualified(self.namespace.as_deref(), &self.service))
    }

    /// Class of its errors.
    pub fn heat(&self) -> Heat {
        Heat::of(self.errors, self.calls)
    }
}

/// Everything from one node to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Index of the caller.
    pub from: usize,
    /// Index of the callee.
    pub to: usize,
    /// The edges that it stands for, busiest first.
    pub edges: Vec<EdgeItem>,
}

impl Link {
    /// Calls per second.
    pub fn rate(&self) -> f64 {
        self.edges.iter().map(|edge| edge.rate).sum()
    }

    /// Calls and errors.
    pub fn counts(&self) -> (u64, u64) {
        let counts = self.edges.iter().map(|edge| (edge.calls, edge.errors));
        counts.fold((0, 0), |sum, edge| (sum.0 + edge.0, sum.1 + edge.1))
    }

    /// The worst 95th percentile of its edges, ns. Percentiles of several edges cannot be added.
    pub fn p95_ns(&self) -> Option<u64> {
        self.edges.iter().filter_map(|edge| edge.p95_ns).max()
    }

    /// Class of its errors.
    pub fn heat(&self) -> Heat {
        let (calls, errors) = self.counts();
        Heat::of(errors, calls)
    }

    /// `http :8080`, with `+1` where there is more than one.
    pub fn what(&self) -> String {
        let places: BTreeSet<(&str, u16)> = self
            .edges
            .iter()
            .map(|e| (e.protocol.as_str(), e.port))
            .collect();
        let first = self.edges.first().map_or(String::new(), |edge| {
            format!("{} :{}", unit::printable(&edge.protocol), edge.port)
        });
        match places.len() {
            0 | 1 => first,
            n => format!("{first} +{}", n - 1),
        }
    }

    /// `12.3/s  p95 4.3ms  0.3 % errors`; parts that say nothing are left out.
    pub fn measures(&self) -> String {
        let (calls, errors) = self.counts();
        let mut parts = vec![unit::rate(self.rate())];
        if let Some(p95) = self.p95_ns() {
            parts.push(format!("p95 {}", unit::duration(p95)));
        }
        if errors > 0 {
            let share = unit::percent(unit::share(errors, calls));
            parts.push(format!("{share} errors"));
        }
        parts.join("  ")
    }
}

/// The graph with what loss may hide of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Unix time of the answer, seconds.
    pub time: f64,
    /// seen / (seen + lost).
    pub completeness: f64,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    /// Services, by name.
    pub nodes: Vec<Node>,
    /// Links, by caller and callee.
    pub links: Vec<Link>,
}

impl Graph {
    /// Puts edges and services together. Rates and percentiles of a node come from `services`
    /// where it is known there (their histograms are merged exactly), else from its edges.
    pub fn build(edges: &Answer<EdgeItem>, services: &[ServiceItem], time: f64) -> Self {
        let mut nodes: BTreeMap<(Option<String>, String), Node> = BTreeMap::new();
        for edge in &edges.items {
            nodes
                .entry(key(&edge.client))
                .or_insert_with(|| bare(&edge.client));
            let server = nodes
                .entry(key(&edge.server))
                .or_insert_with(|| bare(&edge.server));
            server.rate += edge.rate;
            server.calls += edge.calls;
            server.errors += edge.errors;
            server.p95_ns = server.p95_ns.max(edge.p95_ns);
            if !server.ports.contains(&edge.port) {
                server.ports.push(edge.port);
            }
        }
        for service in services {
            let key = (service.namespace.clone(), service.service.clone());
            nodes.insert(key, known(service));
        }
        let index: BTreeMap<_, usize> = nodes.keys().cloned().zip(0..).collect();
        let mut links: BTreeMap<(usize, usize), Vec<EdgeItem>> = BTreeMap::new();
        for edge in &edges.items {
            let ends = (index[&key(&edge.client)], index[&key(&edge.server)]);
            links.entry(ends).or_default().push(edge.clone());
        }
        let mut graph = Self {
            time,
            completeness: edges.completeness,
            lost: edges.lost.clone(),
            nodes: nodes.into_values().collect(),
            links: Vec::new(),
        };
        graph.links = links
            .into_iter()
            .map(|((from, to), edges)| link(from, to, edges))
            .collect();
        graph.fold_remotes();
        graph
    }

    /// `6 services, 8 edges, completeness 99.2 %: …`.
    pub fn summary(&self) -> String {
        let edges: usize = self.links.iter().map(|link| link.edges.len()).sum();
        let complete = loss::sentence(self.completeness, &self.lost);
        format!(
            "{}, {}, {}",
            count(self.nodes.len(), "service"),
            count(edges, "edge"),
            complete.unwrap_or_else(|| "complete".into())
        )
    }

    /// Draws remote peers with the same neighbours as one node: a service that the whole
    /// internet calls would otherwise be hidden by its callers.
    fn fold_remotes(&mut self) {
        let mut alike: BTreeMap<Vec<(bool, usize)>, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if node.kind == WorkloadKind::Remote {
                let neighbours = self.neighbours(index);
                if !neighbours.is_empty() {
                    alike.entry(neighbours).or_default().push(index);
                }
            }
        }
        let mut stands_for: Vec<usize> = (0..self.nodes.len()).collect();
        for members in alike
            .into_values()
            .filter(|members| members.len() >= FOLD_FROM)
        {
            let first = members[0];
            let folded: Vec<String> = members.iter().map(|m| self.nodes[*m].name()).collect();
            for member in &members {
                stands_for[*member] = first;
            }
            let sum: f64 = members.iter().map(|m| self.nodes[*m].rate).sum();
            let node = &mut self.nodes[first];
            node.service = format!("{} remote peers", folded.len());
            node.namespace = None;
            node.rate = sum;
            node.folded = folded;
        }
        self.keep(&stands_for);
    }

    fn neighbours(&self, node: usize) -> Vec<(bool, usize)> {
        let ends = self.links.iter().filter_map(|link| match node {
            n if n == link.from => Some((true, link.to)),
            n if n == link.to => Some((false, link.from)),
            _ => None,
        });
        ends.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Drops nodes that another one stands for and joins their links.
    fn keep(&mut self, stands_for: &[usize]) {
        let mut place = vec![0; self.nodes.len()];
        let mut kept = Vec::new();
        for (index, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if stands_for[index] == index {
                place[index] = kept.len();
                kept.push(node);
            }
        }
        let mut links: BTreeMap<(usize, usize), Vec<EdgeItem>> = BTreeMap::new();
        for old in std::mem::take(&mut self.links) {
            let ends = (place[stands_for[old.from]], place[stands_for[old.to]]);
            links.entry(ends).or_default().extend(old.edges);
        }
        self.nodes = kept;
        self.links = links
            .into_iter()
            .map(|((from, to), edges)| link(from, to, edges))
            .collect();
    }
}

fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

fn link(from: usize, to: usize, mut edges: Vec<EdgeItem>) -> Link {
    edges.sort_by(|a, b| b.rate.total_cmp(&a.rate).then(a.port.cmp(&b.port)));
    Link { from, to, edges }
}

fn key(endpoint: &Endpoint) -> (Option<String>, String) {
    (endpoint.namespace.clone(), endpoint.service.clone())
}

fn bare(endpoint: &Endpoint) -> Node {
    Node {
        service: endpoint.service.clone(),
        namespace: endpoint.namespace.clone(),
        kind: endpoint.kind,
        ports: Vec::new(),
        rate: 0.0,
        calls: 0,
        errors: 0,
        p95_ns: None,
        folded: Vec::new(),
    }
}

fn known(service: &ServiceItem) -> Node {
    Node {
        service: service.service.clone(),
        namespace: service.namespace.clone(),
        kind: service.kind,
        ports: service.ports.clone(),
        rate: service.rate,
        calls: service.calls,
        errors: service.errors,
        p95_ns: service.p95_ns,
        folded: Vec::new(),
    }
}
