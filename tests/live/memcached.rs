//! Memcached and its clients: every command that is answered is counted once, under its name, with
//! its error.

use std::net::SocketAddr;

use weir_tests::{
    agent::Agent,
    answer::Exchange,
    deeds::{self, all_details, check_durations, expect, tally, tally_of},
    gate::live,
    netns::Namespace,
    process::must,
    server::{Place, memcached::Memcached},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 11211);
const SHOWN: &str = " → memcached:11211 memcached";

#[test]
fn every_command_is_counted_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Memcached::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let mut done = Vec::new();
    for scenario in ["text", "binary", "meta", "raw"] {
        let text = must(&mut server.client(Place::In(&host), scenario));
        done.extend(deeds::read(&text));
    }
    assert!(done.len() > 350, "{}", done.len());
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
    check_sizes(&exchanges);
    check_durations(&exchanges, &done, &["GET", "GETKQ", "MS"]);
}

/// The 5 MB that were stored and asked for are in the bytes of their exchanges, and the 9 MB that
/// the server refused.
fn check_sizes(exchanges: &[Exchange]) {
    let is_big = |bytes: u64, big: u64| (big..big + 100).contains(&bytes);
    let count = |sent: bool, big| {
        let bytes = |e: &&Exchange| {
            if sent {
                e.request_bytes
            } else {
                e.response_bytes
            }
        };
        exchanges.iter().filter(|e| is_big(bytes(e), big)).count()
    };
    assert_eq!((count(true, 5_000_000), count(false, 5_000_000)), (1, 1));
    assert_eq!(count(true, 9_000_000), 1);
    assert_eq!(count(true, 1_000_000), 1, "in the binary protocol");
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(all_details());
    let server = Memcached::start(Place::In(&host), SocketAddr::from(SERVER));
    let mut client = server.client(Place::In(&host), "late");
    let (tap, done) = deeds::late(&mut agent, &mut client);
    assert_eq!(done.len(), 61);
    let exchanges = tap.take(server.address.port(), done.len());
    assert_eq!(tally_of(&exchanges), tally(&done));
    expect(&agent, server.address.port(), SHOWN, &done);
    check_durations(&exchanges, &done, &["GET", "SET"]);
}
