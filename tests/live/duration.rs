//! Durations as clients measure them: of servers that have no slow operation to ask for, while they
//! stand still for a moment.

use std::net::SocketAddr;

use weir_tests::{
    agent::Agent,
    deeds::{self, all_details},
    gate::live,
    netns::Namespace,
    process::must,
    server::{
        Place,
        dnsmasq::{Dnsmasq, dig},
        memcached::Memcached,
        mongodb::MongoDb,
        nginx::Nginx,
        zookeeper::{ZooKeeper, steady},
    },
    times::{ask_with_stops, check_slow, check_stopped, durations, run_with_stops},
};

const LOCATIONS: &str = "location / { return 200 ok; }";

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn of_mongodb() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = MongoDb::start(Place::In(&host), at(27017));
    let tap = agent.tap();
    let mut client = server.client(Place::In(&host), "steady");
    let done = deeds::read(&run_with_stops(&server.process, &mut client));
    let asked = "find steady";
    // The driver also asks for the server's state.
    let exchanges = tap.take(27017, done.len() + 2);
    let (seen, waited) = deeds::of(&exchanges, &done, asked);
    check_stopped(asked, &seen, &waited);
}

#[test]
fn of_memcached() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Memcached::start(Place::In(&host), at(11211));
    let tap = agent.tap();
    let mut client = server.client(Place::In(&host), "steady");
    let done = deeds::read(&run_with_stops(&server.process, &mut client));
    let exchanges = tap.take(11211, done.len());
    let (seen, waited) = deeds::of(&exchanges, &done, "GET");
    check_stopped("GET", &seen, &waited);
}

#[test]
fn of_zookeeper() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = ZooKeeper::start(Place::In(&host), at(2181));
    let tap = agent.tap();
    let said = run_with_stops(&server.process, &mut steady(Place::In(&host), at(2181)));
    let waited: Vec<u64> = said.lines().map(|line| line.parse().unwrap()).collect();
    let exchanges = tap.take(2181, waited.len() + 2);
    let seen = durations(&exchanges, |e| e.operation == "getData");
    check_stopped("getData", &seen, &waited);
}

#[test]
fn of_dns() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Dnsmasq::start(Place::In(&host), at(5399), &[("shop", "10.9.9.9")]);
    for transport in ["+notcp", "+tcp"] {
        let tap = agent.tap();
        let waited = ask_with_stops(&server.process, || {
            let options = ["-u", "+stats", transport];
            let said = dig(
                Place::In(&host),
                server.address,
                &options,
                &[["shop.test", "A"]],
            );
            let mut words = said.split_whitespace().skip_while(|word| *word != "time:");
            let micros: Option<u64> = words.nth(1).and_then(|word| word.parse().ok());
            micros.unwrap_or_else(|| panic!("no time in {said}")) * 1000
        });
        let exchanges = tap.take(5399, waited.len());
        let seen = durations(&exchanges, |e| e.operation == "A");
        check_slow(transport, &seen, &waited);
    }
}

/// Runs curl once for each stop; it says how long it took from its connection on.
fn of_nginx(host: &Namespace, server: &Nginx, version: &str) {
    let agent = Agent::with(all_details());
    let tap = agent.tap();
    let port = server.address.port();
    let waited = ask_with_stops(&server.process, || {
        let mut curl = Place::In(host).command("curl", "shop");
        curl.args(["-s", version, "-o", "/dev/null"])
            .args(["-w", "%{time_connect} %{time_total}"])
            .arg(format!("http://{}/", server.address));
        let said = must(&mut curl);
        let seconds: Vec<f64> = said.split(' ').map(|word| word.parse().unwrap()).collect();
        ((seconds[1] - seconds[0]) * 1e9) as u64
    });
    let exchanges = tap.take(port, waited.len());
    let seen = durations(&exchanges, |e| e.status == Some(200));
    check_slow(version, &seen, &waited);
}

#[test]
fn of_http1() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let server = Nginx::start(Place::In(&host), at(8080), LOCATIONS);
    of_nginx(&host, &server, "--http1.1");
}

#[test]
fn of_http2() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let server = Nginx::http2(Place::In(&host), at(8080), LOCATIONS);
    of_nginx(&host, &server, "--http2-prior-knowledge");
}
