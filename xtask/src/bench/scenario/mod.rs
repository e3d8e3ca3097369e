//! The scenarios, one file each.

mod agent_cpu;
mod bandwidth;
mod bulk;
mod chain;
mod connect;
mod empty;
mod envoy;
mod http;
mod http2;
mod kernel_ns;
mod redis;
mod replay;

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::Result;
use weir_tests::agent::Agent;

use super::{Plan, report::Outcome};

/// A named benchmark.
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&Plan) -> Result<Vec<Outcome>>,
}

/// All scenarios, quick ones first.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "kernel-ns",
        about: "nanoseconds in the kernel per local exchange of HTTP/1.1 and HTTP/2",
        run: kernel_ns::run,
    },
    Scenario {
        name: "agent-cpu",
        about: "CPU time of the daemon per exchange at saturation",
        run: agent_cpu::run,
    },
    Scenario {
        name: "replay",
        about: "user-space CPU time per exchange, over captured packets",
        run: replay::run,
    },
    Scenario {
        name: "http",
        about: "wrk → nginx, 64 kept connections, saturated: the worst case",
        run: http::run,
    },
    Scenario {
        name: "http2",
        about: "h2load → nghttpd and nginx, 32 connections, ten streams on each",
        run: http2::run,
    },
    Scenario {
        name: "redis",
        about: "redis-benchmark → Redis, 50 connections, with and without pipelines",
        run: redis::run,
    },
    Scenario {
        name: "chain",
        about: "nginx → a Python service → Redis",
        run: chain::run,
    },
    Scenario {
        name: "connect",
        about: "connect, one request, close",
        run: connect::run,
    },
    Scenario {
        name: "bulk",
        about: "bulk TCP on loopback and veth (iperf3)",
        run: bulk::run,
    },
    Scenario {
        name: "envoy",
        about: "latency and throughput beside one and two Envoy sidecars",
        run: envoy::run,
    },
    Scenario {
        name: "bandwidth",
        about: "accuracy of limits beside tc TBF and HTB",
        run: bandwidth::run,
    },
];

/// A loopback address of the benchmark's namespace.
fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What nginx answers in the worst case: nothing to do but HTTP.
const RETURN_200: &str = "location / { return 200 ok; }";

/// Calls on the server's edges, once the daemon has read the maps.
fn counted(agent: &Agent, port: u16, expected: u64) -> u64 {
    let mut calls = 0;
    for _ in 0..50 {
        calls = agent.edges_of(&[port]).iter().map(|edge| edge.calls).sum();
        if calls >= expected {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    calls
}
