//! `weir tap` costs nothing while nobody watches: the programs tell every exchange only as long as a
//! tap lives, however it ends.

use std::{
    mem::offset_of,
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use weir_common::event::Control;
use weir_tests::{
    agent::{Agent, Options},
    answer::Exchange,
    gate::live,
    kernel::map_value,
    netns::Namespace,
    process::Process,
    server::{Place, nginx::Nginx},
};

const PORT: u16 = 8080;

/// Exchanges per second that the daemon may be told of while nobody taps.
const BUDGET: usize = 200;

/// Exchanges per second that there are.
const RATE: usize = 4_000;

/// From when a tap has come or gone, until the programs must know.
const AT_ONCE: Duration = Duration::from_millis(300);

/// Exchanges of the latest second that the daemon was told of. Asking for the past is no tap.
fn told(agent: &Agent) -> usize {
    let mut exchanges = agent.ask::<Exchange>(&["tap", "--since", "1s"]).items;
    exchanges.retain(|exchange| exchange.server.addr.ends_with(&format!(":{PORT}")));
    exchanges.len()
}

/// True if the programs are to tell every exchange, and so many of them as there are.
fn is_open() -> bool {
    let control = map_value("CONTROL");
    let at = |offset: usize| u32::from_ne_bytes(control[offset..][..4].try_into().unwrap());
    let skipped = at(offset_of!(Control, skip_threshold));
    let records = at(offset_of!(Control, records_per_epoch));
    skipped == 0 && records == 0
}

/// Fails unless the programs keep to the budget at once. Slower ones than those of the second before
/// are told beside the draw, so it may take seconds that are alike.
fn expect_closed(agent: &Agent, what: &str) {
    thread::sleep(AT_ONCE);
    assert!(!is_open(), "{what}");
    let seconds: Vec<usize> = (0..3)
        .map(|_| {
            thread::sleep(Duration::from_secs(1));
            told(agent)
        })
        .collect();
    assert!(!is_open(), "{what}");
    let least = *seconds.iter().min().expect("three seconds");
    assert!((1..=2 * BUDGET).contains(&least), "{seconds:?} {what}");
}

/// Fails unless the programs tell everything.
fn expect_open(agent: &Agent, what: &str) {
    thread::sleep(AT_ONCE);
    assert!(is_open(), "{what}");
    thread::sleep(Duration::from_secs(1));
    let told = told(agent);
    assert!(is_open(), "{what}");
    assert!(told * 4 > RATE * 3, "{told} {what}");
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

    expect_closed(&agent, "never watched");
    let taps = [agent.tap(), agent.tap()];
    expect_open(&agent, "watched twice");
    let [killed, ended] = taps;
    killed.kill();
    expect_open(&agent, "still watched");
    ended.kill();
    expect_closed(&agent, "after both were killed");
    let tap = agent.tap();
    expect_open(&agent, "watched again");
    assert!(!tap.finish().exchanges.is_empty());
    expect_closed(&agent, "after the tap was ended");

    let rate = (nginx.served() - before) as f64 / start.elapsed().as_secs_f64();
    assert!(rate > RATE as f64 * 0.95, "too little load: {rate}/s");
    drop(load);
}
