//! `weir tap` costs nothing while nobody watches: the programs tell every exchange only as long as a
//! tap lives, however it ends.

use std::{
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use weir_tests::{
    agent::{Agent, Options},
    answer::Exchange,
    gate::live,
    netns::Namespace,
    process::Process,
    server::{Place, nginx::Nginx},
};

const PORT: u16 = 8080;

/// Exchanges per second that the daemon may be told of while nobody taps.
const BUDGET: usize = 200;

/// Exchanges per second that there are.
const RATE: usize = 4_000;

/// From the end of a tap on, until the programs must have gone back to the budget.
const AT_ONCE: Duration = Duration::from_millis(300);

/// Exchanges of the latest second that the daemon was told of. Asking for the past is no tap.
fn told(agent: &Agent) -> usize {
    let mut exchanges = agent.ask::<Exchange>(&["tap", "--since", "1s"]).items;
    exchanges.retain(|exchange| exchange.server.addr.ends_with(&format!(":{PORT}")));
    exchanges.len()
}

/// The same of the second that begins [`AT_ONCE`].
fn told_from_now_on(agent: &Agent) -> usize {
    thread::sleep(AT_ONCE + Duration::from_secs(1));
    told(agent)
}

/// A command that asks [`RATE`] times a second for longer than the test lasts.
fn steady(host: &Namespace, address: SocketAddr) -> Command {
    let mut command = Place::In(host).command("h2load", "load");
    command
        .args(["--h1", "-c4", "-D120"])
        .arg(format!("--rps={}", RATE / 4))
        .arg(format!("http://{address}/"));
    command
}

#[test]
fn the_lane_is_open_only_as_long_as_somebody_taps() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let address = SocketAddr::from(([127, 0, 0, 1], PORT));
    let nginx = Nginx::start(Place::In(&host), address, "location / { return 200 ok; }");
    let agent = Agent::with(Options {
        config: format!("detail_per_second = {BUDGET}\n"),
        ..Options::default()
    });
    let load = Process::start(&mut steady(&host, address));
    thread::sleep(Duration::from_secs(4));
    let (before, start) = (nginx.served(), Instant::now());

    let closed = |what: &str| {
        let told = told_from_now_on(&agent);
        // The draw is a draw, and the bound of the slow ones is read from buckets.
        assert!(told <= 2 * BUDGET, "{told} {what}");
        assert!(told > 0, "{what}");
    };
    let open = |what: &str| {
        let told = told_from_now_on(&agent);
        assert!(told * 4 > RATE * 3, "{told} {what}");
    };
    closed("never watched");
    let taps = [agent.tap(), agent.tap()];
    open("watched twice");
    let [killed, ended] = taps;
    killed.kill();
    open("still watched");
    ended.kill();
    closed("after both were killed");
    let tap = agent.tap();
    open("watched again");
    assert!(!tap.finish().exchanges.is_empty());
    closed("after the tap was ended");

    let rate = (nginx.served() - before) as f64 / start.elapsed().as_secs_f64();
    assert!(rate > RATE as f64 * 0.95, "too little load: {rate}/s");
    drop(load);
}
