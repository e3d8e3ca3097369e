//! TLS: each handshake is one exchange, with what was agreed on, how long it took, and why it failed.

use std::{net::SocketAddr, process::Command};

use weir_tests::{
    agent::Agent,
    answer::{Edge, Exchange, errors},
    deeds::{all_details, counts, lines},
    gate::live,
    netns::Namespace,
    process::must,
    server::{
        Place,
        mysql::MariaDb,
        nginx::Nginx,
        postgres::Postgres,
        tls::{Certificate, TlsPeer},
    },
    times::check_near,
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8443);

/// A handshake as its client saw it.
struct Deed {
    operation: String,
    name: String,
    error: String,
    took_ns: u64,
}

/// Reads what `tls_peer.py` tells.
fn deeds(text: &str) -> Vec<Deed> {
    let deed = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let [version, suite, name, error, took] = words[..] else {
            return None;
        };
        Some(Deed {
            operation: format!("handshake {version} {suite}"),
            name: name.into(),
            error: error.into(),
            took_ns: took.parse().ok()?,
        })
    };
    lines(text, deed)
}

/// What the client's words for a refusal are on the wire. OpenSSL says it in the clear, also of TLS
/// 1.3.
fn on_the_wire(deed: &Deed) -> Option<String> {
    // An alert of the server, as OpenSSL spells it.
    if let Some(alert) = deed.error.strip_prefix("TLSV1_ALERT_") {
        return Some(alert.to_ascii_lowercase());
    }
    let alert = match (deed.error.as_str(), deed.name.as_str()) {
        ("0", _) => return None,
        (_, "other.lan") => "bad_certificate",
        _ => "unknown_ca",
    };
    Some(alert.into())
}

/// Fails unless weir tells this handshake as its client saw it, with these protocols offered.
#[track_caller]
fn check_handshake(exchange: &Exchange, deed: &Deed, alpn: &[&str]) {
    let told = format!("{exchange:?}");
    let handshake = exchange.tls_handshake.as_ref().expect(&told);
    assert_eq!(exchange.protocol, "tls", "{told}");
    let name = handshake.server_name.as_deref();
    assert_eq!(name, Some(&*deed.name), "{told}");
    assert_eq!(handshake.alpn, alpn, "{told}");
    assert_eq!(exchange.error, on_the_wire(deed), "{told}");
    if deed.error == "0" {
        assert_eq!(exchange.operation, deed.operation);
    }
}

/// Fails unless the edges of `service` lost nothing, and so many of their handshakes failed.
#[track_caller]
fn check_edges(edges: &[Edge], service: &str, port: u16, failed: u64) {
    assert_eq!(errors(edges), failed);
    for edge in edges {
        assert_eq!(edge.arrow(), format!("shop → {service}:{port} tls"));
        edge.check_whole();
    }
}

#[test]
fn handshakes_with_their_versions_names_times_and_alerts() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = TlsPeer::start(Place::In(&host), SocketAddr::from(SERVER));
    let tap = agent.tap();
    let told = must(&mut server.clients(Place::In(&host)));
    let deeds = deeds(&told);
    assert_eq!(deeds.len(), 14, "{told}");
    let mut exchanges = tap.take(server.address.port(), deeds.len());
    exchanges.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    let mut slow = Vec::new();
    for (deed, exchange) in deeds.iter().zip(&exchanges) {
        check_handshake(exchange, deed, &["h2", "http/1.1"]);
        if deed.name == "slow.lan" {
            slow.push((exchange.duration_ns, deed.took_ns));
        }
    }
    // The server has the client's last word after the client has sent it.
    let (seen, took): (Vec<u64>, Vec<u64>) = slow.into_iter().unzip();
    check_near("slow handshakes", &seen, &took);
    let edges = agent.expect_calls(&[server.address.port()], deeds.len() as u64);
    let failed = deeds.iter().filter(|deed| deed.error != "0").count() as u64;
    check_edges(&edges, "vault", 8443, failed);
}

/// Handshakes behind what the database's own protocol says before, of which one fails.
fn check_database(agent: &Agent, port: u16, service: &str, client: &mut Command, alpn: &[&str]) {
    let tap = agent.tap();
    let told = must(client);
    let deeds = deeds(&told);
    assert!(deeds.len() >= 3, "{told}");
    let mut exchanges = tap.take(port, deeds.len());
    exchanges.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    for (deed, exchange) in deeds.iter().zip(&exchanges) {
        check_handshake(exchange, deed, alpn);
        assert!(exchange.duration_ns < deed.took_ns, "{told}\n{exchange:?}");
    }
    let edges = agent.expect_calls(&[port], deeds.len() as u64);
    check_edges(&edges, service, port, 1);
}

#[test]
fn handshakes_that_postgresql_grants() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Postgres::start(Place::In(&host), ([127, 0, 0, 1], 5432).into());
    let mut client = server.client(Place::In(&host), "tls");
    check_database(
        &agent,
        5432,
        Postgres::SERVICE,
        &mut client,
        &["postgresql"],
    );
}

#[test]
fn handshakes_that_mysql_is_told_of() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = MariaDb::start(Place::In(&host), ([127, 0, 0, 1], 3306).into());
    let mut client = server.client(Place::In(&host), "tls");
    check_database(&agent, 3306, MariaDb::SERVICE, &mut client, &[]);
}

#[test]
fn one_handshake_for_each_connection_of_curl() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let certificate = Certificate::new();
    let nginx = Nginx::tls(
        Place::In(&host),
        SocketAddr::from(SERVER),
        &certificate,
        "location / { return 200 ok; }",
    );
    let tap = agent.tap();
    let at = |path: &str| format!("https://shop.lan:8443{path}");
    for version in [["--tlsv1.3", "--tlsv1.3"], ["--tls-max", "1.2"]] {
        for _ in 0..3 {
            let mut curl = Place::In(&host).command("curl", "shop");
            // Two requests on each connection.
            curl.args(["-s", "--resolve", "shop.lan:8443:127.0.0.1"])
                .args(version)
                .arg("--cacert")
                .arg(certificate.file())
                .args([at("/a"), at("/b")]);
            assert_eq!(must(&mut curl), "okok");
        }
    }
    let exchanges = tap.take(nginx.address.port(), 6);
    let versions = counts(exchanges.iter().map(|exchange| {
        let handshake = exchange.tls_handshake.as_ref().expect("a handshake");
        assert_eq!(handshake.server_name.as_deref(), Some("shop.lan"));
        assert_eq!(exchange.error, None);
        handshake.version.clone()
    }));
    let expected = ["TLSv1.2", "TLSv1.3"].map(|version| (Some(version.to_owned()), 3));
    assert_eq!(versions, expected.into());
    agent.expect_calls(&[nginx.address.port()], 6);
}
