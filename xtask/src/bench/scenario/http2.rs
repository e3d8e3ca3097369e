//! h2load → nghttpd and nginx: 32 connections with ten streams at a time.

use std::net::SocketAddr;

use anyhow::Result;
use weir_tests::{
    agent::Agent,
    netns::Namespace,
    server::{Place, h2load, nghttpd::Nghttpd, nginx::Nginx},
};

use super::{RETURN_200, counted, local};
use crate::bench::{
    Plan,
    pairs::{Comparison, compare},
    report::Outcome,
};

/// Requests per second with and without weir, and whether every one was counted: on the leanest
/// server there is, which is the worst case, and on one that people run.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let lean = Nghttpd::start(Place::In(&host), local(8080), None);
    let nginx = Nginx::http2(Place::In(&host), local(8081), RETURN_200);
    Ok(vec![
        pairs(plan, &host, "HTTP/2, nghttpd", lean.address, "/index.html"),
        pairs(plan, &host, "HTTP/2, nginx", nginx.address, "/hello"),
    ])
}

fn pairs(plan: &Plan, host: &Namespace, name: &str, address: SocketAddr, path: &str) -> Outcome {
    let place = Place::In(host);
    let trial = h2load::http2_rate(place, address, path, 20_000);
    let requests = (trial * plan.window.as_secs_f64()).ceil() as u64;
    let mut measure = || h2load::http2_rate(place, address, path, requests);
    let mut uncounted =
        |agent: &Agent| requests as i64 - counted(agent, address.port(), requests) as i64;
    compare(
        plan,
        Comparison {
            name,
            goal: 0.93,
            unit: "requests/s",
            measure: &mut measure,
            uncounted: Some(&mut uncounted),
        },
    )
}
