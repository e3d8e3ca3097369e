//! TLS behind another protocol's own request for it.

use crate::{capture, replay};

const NEW: &str = "handshake TLSv1.3 TLS_AES_256_GCM_SHA384";
const OLD: &str = "handshake TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";

/// Operation and error of each handshake of a capture, all of which ask for this name and these
/// protocols.
fn check(file: &str, alpn: &[&str], expected: &[(&str, &str)]) {
    let (exchanges, report) = replay(&capture(file));
    let found: Vec<_> = exchanges
        .iter()
        .map(|exchange| {
            let handshake = exchange.tls_handshake.as_ref().expect("a handshake");
            assert_eq!(handshake.server_name.as_deref(), Some("localhost"));
            assert_eq!(handshake.alpn, alpn);
            let error = exchange.error.as_deref().unwrap_or("-");
            (exchange.operation.as_str(), error)
        })
        .collect();
    assert_eq!(found, expected, "{file}");
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

#[test]
fn of_postgresql() {
    check(
        "postgres-tls.pcap",
        &["postgresql"],
        &[(NEW, "-"), (OLD, "-"), (NEW, "unknown_ca")],
    );
}

#[test]
fn of_mysql() {
    check(
        "mysql-tls.pcap",
        &[],
        // The last client does not wait between its request and its hello.
        &[(NEW, "-"), (OLD, "-"), (NEW, "unknown_ca"), (NEW, "-")],
    );
}
