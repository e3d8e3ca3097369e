//! Nanoseconds in weir's programs per local exchange, by the kernel's own accounting.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use weir_tests::{
    agent::Agent,
    netns::Namespace,
    process::must,
    server::{Place, h2load, nghttpd::Nghttpd, nginx::Nginx, wrk},
};

use super::{RETURN_200, empty::Empty, local};
use crate::{
    bench::{
        Plan,
        report::{Outcome, Table},
    },
    sh,
};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
const SECONDS: u64 = 4;

/// Requests of HTTP/2 that are sent.
const REQUESTS: u64 = 400_000;

/// One row per program, and the sum less what an empty program would cost as often.
pub fn run(_plan: &Plan) -> Result<Vec<Outcome>> {
    let _statistics = Statistics::on()?;
    let host = Namespace::new();
    let place = Place::In(&host);
    let nginx = Nginx::start(place, local(8080), RETURN_200);
    let lean = Nghttpd::start(place, local(8081), None);
    let http1 = || {
        let before = nginx.served();
        wrk::load(
            place,
            nginx.address,
            "/hello",
            wrk::Load::saturating(SECONDS),
        );
        (nginx.served() - before) as f64
    };
    let http2 = || {
        h2load::http2_rate(place, lean.address, "/index.html", REQUESTS);
        REQUESTS as f64
    };
    let (empty, _) = {
        let _empty = Empty::attach()?;
        measure(&http1)
    };
    let overhead = empty.get("weir_empty").map_or(0.0, Runs::each);
    let agent = Agent::start();
    let (of_http1, of_http2) = (measure(&http1), measure(&http2));
    drop(agent);
    let tables = [
        ("HTTP/1.1", "wrk → nginx, 64 connections", of_http1),
        (
            "HTTP/2",
            "h2load → nghttpd, 32 connections, ten streams on each",
            of_http2,
        ),
    ];
    Ok(tables
        .map(|(protocol, load, measured)| Outcome::Table(table(protocol, load, measured, overhead)))
        .into())
}

fn table(protocol: &str, load: &str, measured: Measured, overhead: f64) -> Table {
    let (mut programs, exchanges) = measured;
    programs.retain(|_, runs| runs.count > 0);
    let row = |name: &str, runs: &Runs| {
        let net = runs.ns - overhead * runs.count as f64;
        vec![
            name.to_owned(),
            format!("{:.2}", runs.count as f64 / exchanges),
            format!("{:.0}", runs.each()),
            format!("{:.0}", runs.ns / exchanges),
            format!("{:.0}", net / exchanges),
        ]
    };
    let mut sum = Runs::default();
    let mut rows: Vec<_> = programs
        .iter()
        .map(|(name, runs)| {
            sum.count += runs.count;
            sum.ns += runs.ns;
            row(name, runs)
        })
        .collect();
    rows.push(row("**all**", &sum));
    let head = [
        "program",
        "runs per exchange",
        "ns per run",
        "ns per exchange",
        "net",
    ];
    Table {
        title: format!(
            "Time in the kernel per local exchange of {protocol} (both ends on this host)"
        ),
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: format!(
            "{load}, {exchanges:.0} exchanges; bpf_stats. Net of an empty \
             program, which the same accounting shows with {overhead:.0} ns per run. Goal: net \
             ≤ 1000."
        ),
    }
}

/// Runs of a program.
#[derive(Default)]
struct Runs {
    count: u64,
    ns: f64,
}

impl Runs {
    fn each(&self) -> f64 {
        self.ns / self.count.max(1) as f64
    }
}

/// Runs by program, and exchanges.
type Measured = (BTreeMap<String, Runs>, f64);

/// What every program ran while a load went on, which answers how many exchanges it was.
fn measure(load: &dyn Fn() -> f64) -> Measured {
    let before = programs();
    let exchanges = load();
    let mut runs = BTreeMap::<String, Runs>::new();
    for (id, (name, count, ns)) in programs() {
        let (_, count_before, ns_before) = before.get(&id).cloned().unwrap_or_default();
        // A program of two hooks has two ids and one name.
        let sum = runs.entry(name).or_default();
        sum.count += count - count_before;
        sum.ns += (ns - ns_before) as f64;
    }
    (runs, exchanges)
}

/// Name, runs and nanoseconds by program id.
fn programs() -> BTreeMap<u64, (String, u64, u64)> {
    let text = must(&mut sh::command(["bpftool", "prog", "show", "-j"]));
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).expect("bpftool's JSON");
    list.iter()
        .filter_map(|program| {
            let number = |key: &str| program[key].as_u64();
            let name = program["name"].as_str().unwrap_or("?").to_owned();
            let runs = number("run_cnt").unwrap_or(0);
            Some((
                number("id")?,
                (name, runs, number("run_time_ns").unwrap_or(0)),
            ))
        })
        .collect()
}

/// The kernel's accounting, switched back when dropped.
struct Statistics(String);

impl Statistics {
    fn on() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context("read bpf_stats_enabled")?;
        fs::write(SWITCH, "1").context("switch bpf statistics on")?;
        Ok(Self(before))
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, &self.0);
    }
}
