//! What each recorded capture of a database holds.

use weir::observe::model::Exchange;

use crate::{capture, captures::check, replay};

/// Checks protocol, operations and kinds of failure of a capture that lost nothing.
fn check_operations(name: &str, protocol: &str, expected: &[&str]) {
    let (exchanges, report) = replay(&capture(name));
    let told = |exchange: &Exchange| {
        assert_eq!(exchange.protocol, protocol);
        let error = exchange.error.as_deref().unwrap_or("ok");
        format!("{} {error}", exchange.operation)
    };
    let found: Vec<String> = exchanges.iter().map(told).collect();
    assert_eq!(found, expected, "{name}");
    assert!(report.lost.is_empty(), "{name}: {:?}", report.lost);
}

#[test]
fn memcached() {
    check_operations(
        "memcached.pcap",
        "memcached",
        &[
            "SET ok",
            "GET ok",
            "INCR CLIENT_ERROR",
            "GET ok",
            "_OTHER ERROR",
            "MG ok",
            "SET ok",
            "GETKQ ok",
        ],
    );
}

#[test]
fn mongodb() {
    check_operations(
        "mongodb.pcap",
        "mongodb",
        &[
            "ismaster ok",
            "ismaster ok",
            "insert few ok",
            "insert few DuplicateKey",
            "find few ok",
            "nosuchcommand CommandNotFound",
            "drop few ok",
            "endSessions ok",
        ],
    );
}

#[test]
fn mysql() {
    check_operations(
        "mysql.pcap",
        "mysql",
        &[
            "CONNECT ok",
            "SET ok",
            "INIT_DB ok",
            "SELECT seq_1_to_9 ok",
            "SELECT missing 1146",
            "DO ok",
            "CONNECT ok",
            "SET ok",
            "SET ok",
            "PING ok",
            "PREPARE SELECT seq_1_to_9 ok",
            "RESET ok",
            "SELECT seq_1_to_9 ok",
            "RESET ok",
            "SELECT seq_1_to_9 ok",
        ],
    );
}

#[test]
fn postgres() {
    let mut expected = vec![
        "CONNECT ok",
        "DROP TABLE orders ok",
        "CREATE TABLE orders ok",
        "INSERT orders ok",
        "INSERT orders ok",
        "INSERT orders ok",
        "SELECT orders 42703",
        "SELEKT 42601",
        "INSERT orders 23505",
        "SELECT missing 42P01",
        "SELECT 22012",
        "PREPARE SELECT orders ok",
    ];
    // Three times as prepared, and twelve in a pipeline.
    expected.extend(["SELECT orders ok"; 15]);
    expected.extend(["SELECT ok", "SELECT ok", "SELECT 42883"]);
    expected.extend(["SELECT pipeline_aborted"; 2]);
    check_operations("postgres.pcap", "postgresql", &expected);
}

#[test]
fn redis() {
    let commands = [
        "SET ok",
        "GET ok",
        "LPUSH WRONGTYPE",
        "NOSUCH ERR",
        "EVALSHA NOSCRIPT",
    ];
    let pipeline = ["GET ok"; 3];
    // The messages between them are no exchanges.
    let subscription = ["SUBSCRIBE ok", "PUBLISH ok", "PUBLISH ok", "UNSUBSCRIBE ok"];
    let mut expected = [&commands[..], &pipeline, &subscription].concat();
    // Of RESP3 each connection begins with HELLO.
    for part in [&commands[..], &pipeline, &subscription] {
        expected.push("HELLO ok");
        expected.extend(part);
    }
    check_operations("redis.pcap", "redis", &expected);
}

#[test]
fn zookeeper() {
    check(
        "zookeeper.pcap",
        &[
            "connect - ",
            "create - ",
            "create - NodeExists",
            "setData - ",
            "setData - BadVersion",
            "getData - ",
            "getData - NoNode",
            "exists - ",
            "getData - ",
            "exists - ",
            "getChildren - ",
            "multi - NodeExists",
            "ping - ",
            "delete - ",
            "ruok - ",
            "closeSession - ",
        ],
        &[],
    );
}
