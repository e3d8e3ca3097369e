//! Bulk TCP by iperf3, on loopback and over a veth pair.

use std::net::SocketAddr;

use anyhow::Result;
use weir_tests::{
    netns::{Link, Namespace},
    process::{Process, must},
    server::Place,
};

use super::local;
use crate::bench::{
    Plan,
    pairs::{Comparison, compare},
    report::Outcome,
};

/// Gigabits per second that arrive.
pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let (near, far) = (Namespace::new(), Namespace::new());
    let link = Link::between(&near, &far, 5);
    let veth = SocketAddr::new(link.second, 5201);
    Ok(vec![
        one(
            plan,
            "bulk TCP, loopback",
            Place::In(&near),
            Place::In(&near),
            local(5201),
        ),
        one(
            plan,
            "bulk TCP, veth",
            Place::In(&near),
            Place::In(&far),
            veth,
        ),
    ])
}

fn one(plan: &Plan, name: &str, client: Place, server: Place, address: SocketAddr) -> Outcome {
    let mut iperf = server.command("iperf3", "sink");
    iperf.args(["-s", "-B", &address.ip().to_string()]);
    let mut iperf = Process::start(iperf.args(["-p", &address.port().to_string()]));
    server.wait_until_open(address, &mut iperf);
    let mut measure = || gigabits(client, address, plan.window.as_secs());
    compare(
        plan,
        Comparison {
            name,
            goal: 0.99,
            unit: "Gbit/s",
            measure: &mut measure,
            uncounted: None,
        },
    )
}

fn gigabits(client: Place, address: SocketAddr, seconds: u64) -> f64 {
    let mut iperf = client.command("iperf3", "source");
    iperf.args(["-J", "-c", &address.ip().to_string()]);
    iperf.args([
        "-p",
        &address.port().to_string(),
        "-t",
        &seconds.to_string(),
    ]);
    let text = must(&mut iperf);
    let answer: serde_json::Value = serde_json::from_str(&text).expect("iperf3's JSON");
    answer["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .unwrap_or_else(|| panic!("no rate in {text}"))
        / 1e9
}
