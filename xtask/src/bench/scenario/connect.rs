//! Connect, one request, close: every exchange pays for a connection.

use anyhow::Result;
use weir_tests::{
    netns::Namespace,
    process::must,
    server::{Place, nginx::Nginx},
};

use super::{RETURN_200, local};
use crate::bench::{
    Plan,
    pairs::{Comparison, compare},
    report::Outcome,
};

/// Connections per second.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let host = Namespace::new();
    let place = Place::In(&host);
    let nginx = Nginx::start(place, local(8080), RETURN_200);
    let mut measure = || {
        let before = nginx.served();
        let mut wrk = place.command("wrk", "load");
        wrk.args(["-t1", "-c16", "-H", "Connection: close"])
            .arg(format!("-d{}s", plan.window.as_secs()))
            .arg(format!("http://{}/", nginx.address));
        must(&mut wrk);
        (nginx.served() - before) as f64 / plan.window.as_secs_f64()
    };
    let outcome = compare(
        plan,
        Comparison {
            name: "connect, request, close",
            goal: 0.95,
            unit: "connections/s",
            measure: &mut measure,
            uncounted: None,
        },
    );
    Ok(vec![outcome])
}
