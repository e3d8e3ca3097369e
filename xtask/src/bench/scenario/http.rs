//! wrk → nginx `return 200` with 64 kept connections.

use std::{thread, time::Duration};

use anyhow::Result;
use weir_tests::{
    agent::Agent,
    netns::Namespace,
    server::{Place, nginx::Nginx, wrk},
};

use super::{RETURN_200, local};
use crate::bench::{
    Plan,
    pairs::{Comparison, compare},
    report::Outcome,
};

const PORT: u16 = 8080;

/// Requests per second with and without weir, and whether every one was counted.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let nginx = Nginx::start(Place::In(&host), local(PORT), RETURN_200);
    let load = wrk::Load::saturating(plan.window.as_secs());
    let served = std::cell::Cell::new(0);
    let mut measure = || {
        let before = nginx.served();
        let answered = wrk::load(Place::In(&host), nginx.address, "/hello", load);
        served.set(nginx.served() - before);
        answered as f64 / plan.window.as_secs_f64()
    };
    let mut uncounted = |agent: &Agent| served.get() as i64 - counted(agent, served.get()) as i64;
    let outcome = compare(
        plan,
        Comparison {
            name: "HTTP keep-alive",
            goal: 0.95,
            unit: "requests/s",
            measure: &mut measure,
            uncounted: Some(&mut uncounted),
        },
    );
    Ok(vec![outcome])
}

/// Calls on nginx's edges, once the daemon has read the maps.
fn counted(agent: &Agent, expected: u64) -> u64 {
    let mut calls = 0;
    for _ in 0..50 {
        calls = agent.edges_of(&[PORT]).iter().map(|edge| edge.calls).sum();
        if calls >= expected {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    calls
}
