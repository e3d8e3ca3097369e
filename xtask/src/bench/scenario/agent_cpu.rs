//! CPU time of the daemon per exchange, while wrk saturates nginx.

use std::fs;

use anyhow::Result;
use weir_tests::{
    agent::{Agent, Options},
    netns::Namespace,
    server::{Place, nginx::Nginx, wrk},
};

use super::{RETURN_200, local};
use crate::bench::{
    Plan,
    report::{Outcome, Table},
};

/// Long enough that the daemon's own ticks weigh little.
const SECONDS: u64 = 10;

/// Whether anybody taps.
#[derive(Clone, Copy, PartialEq)]
enum Tap {
    Never,
    Open,
    Killed,
}

/// Exact lane alone, the default budget of details before and after a tap, and every detail with one.
pub fn run(_plan: &Plan) -> Result<Vec<Outcome>> {
    let rows = [
        ("exact lane only", Some(0), Tap::Never, "≤ 0.3"),
        ("default budget of details", None, Tap::Never, "–"),
        ("the same, a tap has been there", None, Tap::Killed, "–"),
        ("every detail, tapped", Some(10_000_000), Tap::Open, "–"),
    ]
    .map(|(name, budget, tap, goal)| {
        let (exchanges, microseconds) = measure(budget, tap);
        let each = microseconds / exchanges;
        let row = [
            name.into(),
            format!("{exchanges:.0}"),
            format!("{each:.3}"),
            goal.into(),
        ];
        row.to_vec()
    });
    Ok(vec![Outcome::Table(Table {
        title: "CPU time of the daemon".into(),
        head: ["", "exchanges", "µs per exchange", "goal"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.to_vec(),
        note: format!("wrk → nginx, 64 connections, {SECONDS} s; schedstat of all its threads."),
    })])
}

fn measure(budget: Option<u64>, how: Tap) -> (f64, f64) {
    let host = Namespace::new();
    let nginx = Nginx::start(Place::In(&host), local(8080), RETURN_200);
    let config = budget.map(|budget| format!("detail_per_second = {budget}\n"));
    let agent = Agent::with(Options {
        config: config.unwrap_or_default(),
        ..Options::default()
    });
    let mut tap = (how != Tap::Never).then(|| agent.tap());
    if how == Tap::Killed {
        tap.take().expect("a tap").kill();
    }
    let before = cpu_ns(agent.pid());
    let load = wrk::Load::saturating(SECONDS);
    wrk::load(Place::In(&host), nginx.address, "/hello", load);
    let spent = cpu_ns(agent.pid()) - before;
    drop(tap);
    (nginx.served() as f64, spent as f64 / 1e3)
}

/// Time on a CPU of all threads of a process, ns.
fn cpu_ns(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}
