//! A real application: nginx → a Python service → Redis.

use anyhow::Result;
use weir_tests::{
    netns::Namespace,
    server::{Place, nginx::Nginx, python::PythonService, redis::Redis, wrk},
};

use super::local;
use crate::bench::{
    Plan,
    pairs::{Comparison, compare},
    report::Outcome,
};

/// Requests per second through the chain.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let place = Place::In(&host);
    let redis = Redis::start(place, local(6379));
    let back = [format!("redis={}", redis.address)];
    let service = PythonService::start(place, "service", local(8081), &back);
    let nginx = Nginx::proxy(place, local(8080), service.address);
    let load = wrk::Load {
        threads: 1,
        connections: 8,
        duration: plan.window,
    };
    let mut measure =
        || wrk::load(place, nginx.address, "/", load) as f64 / plan.window.as_secs_f64();
    let outcome = compare(
        plan,
        Comparison {
            name: "nginx → Python → Redis",
            goal: 0.98,
            unit: "requests/s",
            measure: &mut measure,
            uncounted: None,
        },
    );
    Ok(vec![outcome])
}
