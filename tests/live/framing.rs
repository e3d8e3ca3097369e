//! HTTP/1.1 as clients really cut it: each case is counted exactly and shown as it was.

use std::{net::SocketAddr, time::Duration};

use weir_tests::{
    agent::Agent,
    answer::Exchange,
    client::Client,
    gate::live,
    netns::Namespace,
    server::{Place, python::PythonService},
};

const V4: ([u8; 4], u16) = ([127, 0, 0, 1], 8081);
const V6: ([u16; 8], u16) = ([0, 0, 0, 0, 0, 0, 0, 1], 8082);
const PAUSE: Duration = Duration::from_millis(2);

fn get(path: &str) -> String {
    request("GET", path, "")
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n")
}

/// Plays `client` against a Python service and compares what weir tells of it with `expected`
/// (sorted lines `METHOD /path STATUS`).
fn check(client: impl FnOnce(&mut Client) + Send, expected: &[&str]) {
    check_on(SocketAddr::from(V4), client, expected);
}

fn check_on(address: SocketAddr, client: impl FnOnce(&mut Client) + Send, expected: &[&str]) {
    let mut lines: Vec<_> = play(address, client, expected.len())
        .iter()
        .map(Exchange::line)
        .collect();
    if live() {
        lines.sort();
        assert_eq!(lines, expected);
    }
}

/// Like [`check`] for requests that are sent before their answers: each is counted and told with
/// its method and status, in order, and the first with its path. weir keeps one request head per
/// connection, so a path behind the first may be missing, but never wrong.
fn check_pipelined(client: impl FnOnce(&mut Client) + Send, expected: &[&str]) {
    let told = play(SocketAddr::from(V4), client, expected.len());
    for (at, (exchange, expected)) in told.iter().zip(expected).enumerate() {
        let mut exchange = exchange.clone();
        if at > 0 && exchange.path.is_none() {
            exchange.path = expected.split(' ').nth(1).map(Into::into);
        }
        assert_eq!(exchange.line(), *expected, "request {at} of {told:#?}");
    }
}

/// Plays `client` and makes sure that `calls` exchanges are counted; gives them as told.
fn play(
    address: SocketAddr,
    client: impl FnOnce(&mut Client) + Send,
    calls: usize,
) -> Vec<Exchange> {
    if !live() {
        return Vec::new();
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let server = PythonService::start(Place::In(&host), "framing", address, &[]);
    let tap = agent.tap();
    host.run(|| client(&mut Client::connect(server.address)));

    let edges = agent.expect_calls(&[address.port()], calls as u64);
    assert_eq!(edges.len(), 1, "{edges:#?}");
    assert_eq!(edges[0].server.service, "framing");
    edges[0].check_whole();
    let told = tap.take(address.port(), calls);
    assert_eq!(told.len(), calls, "{told:#?}");
    told
}

#[test]
fn keep_alive() {
    check(
        |client| {
            for _ in 0..3 {
                client.send(get("/a"));
                assert_eq!(client.response(false).status, 200);
            }
        },
        &["GET /a 200", "GET /a 200", "GET /a 200"],
    );
}

#[test]
fn one_byte_at_a_time() {
    check(
        |client| {
            for path in ["/first", "/second"] {
                client.send_pieces(get(path).as_bytes().chunks(1), PAUSE);
                assert_eq!(client.response(false).status, 200);
            }
        },
        &["GET /first 200", "GET /second 200"],
    );
}

#[test]
fn a_head_split_at_every_byte() {
    let head = get("/split");
    let lines = vec!["GET /split 200"; head.len() - 1];
    check(
        |client| {
            for cut in 1..head.len() {
                let (left, right) = head.as_bytes().split_at(cut);
                client.send_pieces([left, right], PAUSE);
                assert_eq!(client.response(false).status, 200);
            }
        },
        &lines,
    );
}

#[test]
fn pipelining() {
    check_pipelined(
        |client| {
            client.send(["/a", "/b", "/empty", "/c"].map(get).concat());
            for status in [200, 200, 204, 200] {
                assert_eq!(client.response(false).status, status);
            }
        },
        &["GET /a 200", "GET /b 200", "GET /empty 204", "GET /c 200"],
    );
}

#[test]
fn pipelining_cut_at_odd_places() {
    check_pipelined(
        |client| {
            let all = ["/a", "/b", "/c", "/d", "/e"].map(get).concat();
            client.send_pieces(all.as_bytes().chunks(17), PAUSE);
            for _ in 0..5 {
                assert_eq!(client.response(false).status, 200);
            }
        },
        &[
            "GET /a 200",
            "GET /b 200",
            "GET /c 200",
            "GET /d 200",
            "GET /e 200",
        ],
    );
}

#[test]
fn a_body_that_looks_like_requests() {
    let body = get("/fake").repeat(50);
    let head = request(
        "POST",
        "/post",
        &format!("Content-Length: {}\r\n", body.len()),
    );
    check(
        |client| {
            client.send(format!("{head}{body}"));
            assert_eq!(
                client.response(false).body,
                body.len().to_string().as_bytes()
            );
            client.send_pieces([head.as_bytes(), body.as_bytes()], PAUSE);
            client.response(false);
            client.send(get("/after"));
            client.response(false);
        },
        &["GET /after 200", "POST /post 201", "POST /post 201"],
    );
}

#[test]
fn chunked_both_ways() {
    let head = request("POST", "/up", "Transfer-Encoding: chunked\r\n");
    check(
        |client| {
            client.send(get("/chunked"));
            assert_eq!(client.response(false).body.len(), 70_111);
            let body = "5\r\nhello\r\n1a;x=y\r\nGET /fake HTTP/1.1\r\nHost: \r\n0\r\nT: x\r\n\r\n";
            client.send(format!("{head}{body}"));
            assert_eq!(client.response(false).body, b"31");
            client.send(&head);
            client.send_pieces(body.as_bytes().chunks(3), PAUSE);
            assert_eq!(client.response(false).body, b"31");
            client.send(get("/after"));
            client.response(false);
        },
        &[
            "GET /after 200",
            "GET /chunked 200",
            "POST /up 201",
            "POST /up 201",
        ],
    );
}

#[test]
fn answers_without_a_body() {
    check(
        |client| {
            client.send(request("HEAD", "/head", ""));
            assert_eq!(client.response(true).status, 200);
            for (path, status) in [("/empty", 204), ("/same", 304), ("/a", 200)] {
                client.send(get(path));
                assert_eq!(client.response(false).status, status);
            }
        },
        &[
            "GET /a 200",
            "GET /empty 204",
            "GET /same 304",
            "HEAD /head 200",
        ],
    );
}

#[test]
fn upgrade_turns_opaque() {
    check(
        |client| {
            client.send(request(
                "GET",
                "/switch",
                "Connection: Upgrade\r\nUpgrade: echo\r\n",
            ));
            assert_eq!(client.response(true).status, 101);
            echo(client);
        },
        &["GET /switch 101"],
    );
}

#[test]
fn connect_turns_opaque() {
    check(
        |client| {
            client.send(request("CONNECT", "far:443", ""));
            assert_eq!(client.response(true).status, 200);
            echo(client);
        },
        &["CONNECT far:443 200"],
    );
}

/// Sends what looks like HTTP through a tunnel and reads it back.
fn echo(client: &mut Client) {
    for _ in 0..3 {
        let fake = get("/fake");
        client.send(&fake);
        assert_eq!(client.exactly(fake.len()), fake.as_bytes());
    }
}

#[test]
fn ipv6() {
    check_on(
        SocketAddr::from(V6),
        |client| {
            client.send(get("/six"));
            client.response(false);
        },
        &["GET /six 200"],
    );
}
