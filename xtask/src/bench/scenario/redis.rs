//! redis-benchmark → Redis, one request at a time and in pipelines.

use anyhow::Result;
use weir_tests::{
    netns::Namespace,
    server::{Place, redis::Redis},
};

use super::{counted, local};
use crate::bench::{
    Plan,
    pairs::{Comparison, compare},
    report::Outcome,
};

const PORT: u16 = 6379;

/// Requests per second with and without weir, and whether every one was counted.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let server = Redis::start(Place::In(&host), local(PORT));
    let cases = [("Redis", 1), ("Redis, 16 in a pipeline", 16)];
    Ok(cases
        .map(|(name, pipeline)| pairs(plan, &host, &server, name, pipeline))
        .into())
}

fn pairs(plan: &Plan, host: &Namespace, server: &Redis, name: &str, pipeline: u32) -> Outcome {
    let place = Place::In(host);
    let trial = server.benchmark(place, 50_000, pipeline);
    // SETs, and as many GETs.
    let requests = (trial * plan.window.as_secs_f64() / 2.0) as u64;
    let served = std::cell::Cell::new(0);
    let mut measure = || {
        let before = server.executed(place);
        let rate = server.benchmark(place, requests, pipeline);
        // The question before is counted by the server after its answer, and seen by weir.
        served.set(server.executed(place) - before + 1);
        rate
    };
    let mut uncounted = |agent: &_| served.get() as i64 - counted(agent, PORT, served.get()) as i64;
    compare(
        plan,
        Comparison {
            name,
            goal: 0.95,
            unit: "requests/s",
            measure: &mut measure,
            uncounted: Some(&mut uncounted),
        },
    )
}
