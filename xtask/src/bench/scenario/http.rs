//! wrk → nginx `return 200` with 64 kept connections.

use anyhow::Result;
use weir_tests::{
    agent::Agent,
    netns::Namespace,
    server::{Place, nginx::Nginx, wrk},
};

use super::{RETURN_200, counted, local};
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
    let mut uncounted =
        |agent: &Agent| served.get() as i64 - counted(agent, PORT, served.get()) as i64;
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
