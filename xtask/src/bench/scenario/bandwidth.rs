//! Accuracy of bandwidth limits, beside tc's token bucket (TBF) and HTB.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::Result;
use weir_tests::{
    agent::Agent,
    bulk::Bulk,
    netns::{Link, Namespace},
    process::must,
    server::Place,
};

use crate::bench::{
    Plan,
    report::{Outcome, Table},
};

const MEGABITS: [u32; 4] = [1, 10, 100, 1000];
const FLOWS: [usize; 2] = [1, 8];
const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);
const DEVICE: &str = "v6a";

/// Received share of the limit and segments sent again, by way of limiting.
pub fn run(_plan: &Plan) -> Result<Vec<Outcome>> {
    let ways: [(&str, Way); 3] = [("weir", weir), ("tc TBF", tbf), ("tc HTB", htb)];
    let mut rows = Vec::new();
    for megabits in MEGABITS {
        for flows in FLOWS {
            let mut row = vec![format!("{megabits} Mbit/s × {flows}")];
            for (name, way) in ways {
                let found = way(megabits, flows);
                eprintln!("  bandwidth {megabits} × {flows}, {name}: {}", found.show());
                row.push(found.show());
            }
            rows.push(row);
        }
    }
    let head = ["limit × flows", "weir", "tc TBF", "tc HTB"];
    Ok(vec![Outcome::Table(Table {
        title: "Bandwidth limits: received share, segments sent again".into(),
        head: head.map(str::to_owned).to_vec(),
        rows,
        note: "Payload over a veth pair, 10 s after the first second. tc counts the headers \
               into its limit, weir the payload alone. Goal: 99–101 %, none sent again."
            .into(),
    })])
}

type Way = fn(u32, usize) -> Found;

/// What arrived.
struct Found {
    share: f64,
    again: u64,
}

impl Found {
    fn show(&self) -> String {
        format!("{:.1} %, {}", self.share * 100.0, self.again)
    }
}

/// Two namespaces on a fresh veth pair.
struct Pair {
    client: Namespace,
    server: Namespace,
    address: SocketAddr,
}

impl Pair {
    fn new() -> Self {
        let (client, server) = (Namespace::new(), Namespace::new());
        let link = Link::between(&client, &server, 6);
        let address = SocketAddr::new(link.second, 9300);
        Self {
            client,
            server,
            address,
        }
    }

    fn tc(&self, arguments: &str) {
        let mut tc = self.client.command("tc");
        must(tc.args(arguments.split(' ')));
    }

    fn measure(&self, megabits: u32, flows: usize) -> Found {
        let before = self.client.retransmitted_segments();
        let (client, server) = (Place::In(&self.client), Place::In(&self.server));
        let bulk = Bulk::start(client, server, self.address, flows);
        thread::sleep(WARM_UP);
        let rate = bulk.measure(WINDOW);
        Found {
            share: rate / (f64::from(megabits) * 1e6),
            again: self.client.retransmitted_segments() - before,
        }
    }
}

fn weir(megabits: u32, flows: usize) -> Found {
    let pair = Pair::new();
    let agent = Agent::start();
    let port = pair.address.port();
    agent.apply(
        "limit",
        &format!(
            "apiVersion: weir.dev/v1\nkind: TrafficPolicy\nmetadata: {{ name: limit }}\nspec:\n  \
             from: {{ any: true }}\n  to: {{ any: true, port: {port} }}\n  action: allow\n  \
             limits: {{ bandwidth: {megabits}Mbit/s }}\n"
        ),
    );
    pair.measure(megabits, flows)
}

fn tbf(megabits: u32, flows: usize) -> Found {
    let pair = Pair::new();
    // A burst of 2 ms, never below one aggregate of 64 KiB.
    let burst = (megabits * 250).max(66_000);
    pair.tc(&format!(
        "qdisc add dev {DEVICE} root tbf rate {megabits}mbit burst {burst} latency 50ms"
    ));
    pair.measure(megabits, flows)
}

fn htb(megabits: u32, flows: usize) -> Found {
    let pair = Pair::new();
    pair.tc(&format!(
        "qdisc add dev {DEVICE} root handle 1: htb default 1"
    ));
    pair.tc(&format!(
        "class add dev {DEVICE} parent 1: classid 1:1 htb rate {megabits}mbit"
    ));
    pair.measure(megabits, flows)
}
