//! What each recorded capture of HTTP, TLS and DNS holds.

use weir::observe::model::{Exchange, RouteSource, WorkloadKind};

use crate::{all_captures, capture, folder, replay, words};

/// Checks the exchanges and losses of a capture.
pub fn check(name: &str, expected: &[&str], lost: &[(&str, u64)]) {
    let (exchanges, report) = replay(&capture(name));
    let found: Vec<String> = exchanges.iter().map(words).collect();
    assert_eq!(found, expected, "{name}");
    let lost: Vec<(String, u64)> = lost.iter().map(|(r, n)| ((*r).into(), *n)).collect();
    assert_eq!(report.lost.into_iter().collect::<Vec<_>>(), lost, "{name}");
    assert_eq!(report.damaged, None, "{name}");
    assert!(report.unreadable.is_empty(), "{name}");
    assert_eq!(report.packets, report.segments, "{name}");
}

#[test]
fn keep_alive() {
    check(
        "keepalive.pcap",
        &[
            "GET /users/7 200",
            "GET /users/8 200",
            "GET /missing 404",
            "GET /broken 500",
            "GET / 200",
        ],
        &[],
    );
}

#[test]
fn methods_and_uploads() {
    check(
        "head-and-post.pcap",
        &[
            "HEAD /users/7 200",
            "POST /users 200",
            "DELETE /users/7 200",
            "PUT /config 200",
        ],
        &[],
    );
    check("chunked-upload.pcap", &["POST /chunked 200"], &[]);
}

#[test]
fn address_families_and_link_types() {
    check("ipv6.pcap", &["GET /six 200", "GET /six/again 200"], &[]);
    for name in ["cooked-v1.pcap", "cooked-v2.pcap"] {
        check(name, &["GET /cooked/1 200", "GET /cooked/2 200"], &[]);
    }
}

#[test]
fn pipelines() {
    let expected: Vec<String> = (0..12).map(|i| format!("GET /item/{i} 200")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check("pipeline.pcap", &expected, &[]);
}

#[test]
fn one_byte_at_a_time() {
    check(
        "byte-by-byte.pcap",
        &["GET /bytes/one-at-a-time 200", "GET /bytes/again 200"],
        &[],
    );
}

#[test]
fn odd_answers() {
    check(
        "odd-answers.pcap",
        &[
            "GET /chunked 200",
            "GET /empty 204",
            "GET /cached 304",
            "GET /continue 201",
            "GET /fails 503",
            "GET /slow 200",
        ],
        &[],
    );
    check("until-close.pcap", &["GET /until-close 200"], &[]);
}

#[test]
fn answers_that_never_come() {
    check("silent.pcap", &["GET /silent unanswered"], &[]);
    check("reset.pcap", &["GET /silent/reset unanswered"], &[]);
}

#[test]
fn what_is_not_http_any_more() {
    check("tunnel.pcap", &["CONNECT db.test:5432 200"], &[]);
    check("upgrade.pcap", &["GET /upgrade 101"], &[]);
}

#[test]
fn attached_in_mid_connection() {
    check(
        "midstream.pcap",
        &["GET /late/0 200", "GET /late/1 200", "GET /late/2 200"],
        &[("attach_midstream", 1)],
    );
}

#[test]
fn bodies_behind_the_snap_length_are_passed_over() {
    check("snaplen.pcap", &["GET /big 200", "GET /after 200"], &[]);
    let (exchanges, _) = replay(&capture("snaplen.pcap"));
    assert!(exchanges[0].response_bytes > 400_000);
}

#[test]
fn heads_behind_the_snap_length_are_counted_as_lost() {
    check("snaplen-cuts-heads.pcap", &[], &[("unreadable", 2)]);
}

#[test]
fn tls() {
    const NEW: &str = "handshake TLSv1.3 TLS_AES_256_GCM_SHA384";
    const OLD: &str = "handshake TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let (exchanges, report) = replay(&capture("tls.pcap"));
    let found: Vec<_> = exchanges
        .iter()
        .map(|exchange| {
            let handshake = exchange.tls_handshake.as_ref().expect("a handshake");
            let name = handshake.server_name.as_deref().unwrap_or("-");
            let error = exchange.error.as_deref().unwrap_or("-");
            (exchange.operation.as_str(), name, error)
        })
        .collect();
    let mut expected = vec![(NEW, "shop.lan", "-"); 5];
    expected.extend([
        (NEW, "slow.lan", "-"),
        (OLD, "shop.lan", "-"),
        (OLD, "shop.lan", "-"),
        (OLD, "slow.lan", "-"),
        ("handshake", "shop.lan", "internal_error"),
        (OLD, "shop.lan", "unknown_ca"),
        (OLD, "other.lan", "bad_certificate"),
        (NEW, "shop.lan", "unknown_ca"),
        (NEW, "other.lan", "bad_certificate"),
    ]);
    assert_eq!(found, expected);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

/// Checks operations and statuses of a capture whose API weir knows.
fn check_known(name: &str, expected: &[&str]) {
    let (exchanges, report) = replay(&capture(name));
    let told = |exchange: &Exchange| {
        assert_eq!(exchange.route_source, Some(RouteSource::KnownApi));
        format!("{} {}", exchange.operation, exchange.status.unwrap_or(0))
    };
    let told: Vec<String> = exchanges.iter().map(told).collect();
    assert_eq!(told, expected, "{name}");
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

#[test]
fn consul() {
    let written_and_read = ["PUT /v1/kv/{key...} 200", "GET /v1/kv/{key...} 200"];
    let mut expected = vec![
        "PUT /v1/agent/service/register 200",
        "GET /v1/health/service/{service} 200",
        "GET /v1/catalog/services 200",
        "PUT /v1/session/create 200",
    ];
    expected.extend(written_and_read.repeat(4));
    expected.extend([
        "GET /v1/kv/{key...} 404",
        "PUT /v1/kv/{key...} 200",
        "PUT /v1/session/renew/{session} 200",
        "PUT /v1/session/destroy/{session} 200",
        "DELETE /v1/kv/{key...} 200",
        "PUT /v1/agent/service/deregister/{id} 200",
    ]);
    expected.extend(written_and_read);
    expected.extend(["PUT /v1/kv/{key...} 200", "GET /v1/kv/{key...} (watch) 200"]);
    check_known("consul.pcap", &expected);
    let (exchanges, _) = replay(&capture("consul.pcap"));
    let watch = exchanges.last().unwrap();
    assert!(watch.duration_ns > 1_100_000_000, "{watch:?}");
}

#[test]
fn eureka() {
    let mut expected = vec!["POST /eureka/apps/{app} 204", "GET /eureka/apps 200"];
    let beat = [
        "PUT /eureka/apps/{app}/{instance} 200",
        "GET /eureka/apps/delta 200",
    ];
    expected.extend(beat.repeat(3));
    expected.extend([
        "PUT /eureka/apps/{app}/{instance}/status 200",
        "POST /eureka/apps/{app} 204",
        "DELETE /eureka/apps/{app}/{instance} 200",
    ]);
    check_known("eureka.pcap", &expected);
}

#[test]
fn http2() {
    let mut expected = vec![
        "GET /users/* 200",
        "GET /users/* 200",
        "GET /missing 404",
        "GET /broken 500",
        "GET / 200",
        "DELETE /users/* 200",
    ];
    expected.extend(["GET /many 200"; 40]);
    check("http2.pcap", &expected, &[]);
}

#[test]
fn grpc() {
    let (exchanges, report) = replay(&capture("grpc.pcap"));
    let found: Vec<String> = exchanges
        .iter()
        .map(|exchange| {
            assert_eq!(exchange.protocol, "grpc");
            let method = exchange
                .operation
                .strip_prefix("shop.v1.OrdersOfAnyCustomer/");
            let error = exchange.error.as_deref().unwrap_or("-");
            let (asked, answered) = (exchange.request_messages, exchange.response_messages);
            let messages = format!("{}/{}", asked.unwrap(), answered.unwrap());
            let status = exchange.status.unwrap();
            format!("{} {status:?} {error} {messages}", method.unwrap())
        })
        .collect();
    let expected = [
        "Get 0 - 1/1",
        "Get 0 - 1/1",
        "Get 0 - 1/1",
        "Fail 5 - 1/0",
        "Fail 14 UNAVAILABLE 1/0",
        "Missing 12 UNIMPLEMENTED 1/0",
        "List 0 - 1/5",
        "Upload 0 - 3/1",
        "Chat 0 - 4/4",
        "Sleep 1 - 1/0",
    ];
    assert_eq!(found, expected);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

#[test]
fn websocket() {
    let (exchanges, report) = replay(&capture("websocket.pcap"));
    let found: Vec<_> = exchanges
        .iter()
        .map(|e| (words(e), e.request_messages.zip(e.response_messages)))
        .collect();
    let mut expected = Vec::new();
    for _client in ["websockets", "aiohttp"] {
        for (path, operation, code, messages) in [
            ("/rooms/42", "/rooms/*", 1000, (3, 3)),
            ("/parts", "/parts", 1000, (1, 1)),
            ("/broken", "/broken", 1011, (0, 0)),
        ] {
            expected.push((format!("GET {path} 101"), None));
            expected.push((format!("websocket {operation} {code}"), Some(messages)));
        }
    }
    assert_eq!(found, expected);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
    assert_eq!(exchanges[1].path.as_deref(), Some("/rooms/42"));
    assert_eq!(exchanges[5].error.as_deref(), Some("1011"));
}

#[test]
fn server_sent_events() {
    let (exchanges, report) = replay(&capture("sse.pcap"));
    let found: Vec<_> = exchanges
        .iter()
        .map(|e| (words(e), e.response_messages))
        .collect();
    let mut expected = Vec::new();
    for _client in ["httpx", "curl"] {
        expected.push(("GET /odd 200".to_owned(), Some(4)));
        expected.push(("GET /whole 200".to_owned(), Some(2)));
        expected.push(("GET /plain 200".to_owned(), None));
    }
    assert_eq!(found, expected);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

#[test]
fn graphql() {
    let (exchanges, report) = replay(&capture("graphql.pcap"));
    let found: Vec<_> = exchanges
        .iter()
        .map(|e| (e.operation.as_str(), e.status, e.error.as_deref()))
        .collect();
    let fine = |operation| (operation, Some(200), None);
    let failing = |operation| (operation, Some(200), Some("graphql_errors"));
    let expected = [
        fine("POST /graphql query"),
        failing("POST /graphql query Fails"),
        fine("GET /graphql query GetUser"),
        fine("GET /graphql query"),
        failing("GET /graphql query Fails"),
        fine("POST /graphql query GetUser"),
        fine("POST /graphql query GetUser"),
        fine("POST /graphql query"),
        fine("POST /graphql mutation AddUser"),
        failing("POST /graphql query Fails"),
        fine("POST /graphql query WithF"),
    ];
    assert_eq!(found, expected);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
    let path = |e: &Exchange| e.path.clone();
    assert!(
        exchanges
            .iter()
            .all(|e| path(e).as_deref() == Some("/graphql"))
    );
}

#[test]
fn a_load_that_was_cut_off() {
    // tshark counts 118 requests and 116 responses; two were on their way when the capture ended.
    check("wrk.pcap", &["GET /load 200"; 116], &[("unanswered", 2)]);
}

#[test]
fn dns_over_tcp() {
    check(
        "dns-tcp.pcap",
        &[
            "A shop.test ",
            "AAAA shop.test ",
            "SRV _db._tcp.test ",
            "A none.test NXDOMAIN",
            "A nobody.else REFUSED",
        ],
        &[],
    );
}

#[test]
fn an_exchange_tells_all() {
    let (exchanges, _) = replay(&capture("keepalive.pcap"));
    let second = &exchanges[1];
    assert_eq!(second.operation, "GET /users/*");
    assert_eq!(second.protocol, "http");
    assert_eq!(second.server.addr, "127.0.0.1:8080");
    assert_eq!(second.server.kind, WorkloadKind::Remote);
    assert_eq!(second.client.addr, "127.0.0.1");
    assert_eq!((second.request_bytes, second.response_bytes), (92, 153));
    assert!(second.duration_ns > 0 && second.duration_ns < 100_000_000);
    assert!(second.time_to_first_byte_ns.unwrap() <= second.duration_ns);
    assert!(second.ts > 1.7e9, "the capture's clock: {}", second.ts);
    let (exchanges, _) = replay(&capture("ipv6.pcap"));
    assert_eq!(exchanges[0].server.addr, "[::1]:8080");
}

#[test]
fn files_are_read_by_name_and_what_is_none_is_refused() {
    for name in all_captures() {
        weir::replay::run(&folder().join(name), &mut |_| {}).unwrap();
    }
    let missing = weir::replay::run(&folder().join("none.pcap"), &mut |_| {}).unwrap_err();
    assert!(format!("{missing:#}").contains("none.pcap"), "{missing:#}");
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 4096], &[0xff; 64]] {
        assert!(weir::replay::run_reader(bytes, &mut |_| {}).is_err());
    }
}

#[test]
fn its_cost_can_be_measured() {
    let measured = weir::replay::measure(&folder().join("wrk.pcap"), 3).unwrap();
    assert_eq!((measured.exchanges, measured.packets), (348, 780));
    assert!(measured.cpu_ns > 0 && measured.ns_per_exchange() > 0.0);
}
