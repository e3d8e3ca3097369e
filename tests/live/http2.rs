//! HTTP/2 in the clear: every request is counted once, whatever shares its connection.

use std::{collections::BTreeMap, net::SocketAddr, process::Command};

use weir_tests::{
    agent::{Agent, Options},
    answer::{Exchange, errors},
    deeds::{all_details, counts},
    gate::live,
    netns::Namespace,
    process::must,
    scratch::Scratch,
    server::{Place, h2load, nghttpd::Nghttpd, nginx::Nginx, peer::Peer},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);

#[test]
fn a_saturated_edge_counts_every_request() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let server = Nghttpd::start(Place::In(&host), SocketAddr::from(SERVER), None);
    let sent = 300_000;
    let answered = h2load::http2(Place::In(&host), server.address, "/index.html", sent);
    assert_eq!(answered, sent);
    let edges = agent.expect_calls(&[server.address.port()], sent);
    let arrows: Vec<_> = edges.iter().map(|edge| edge.arrow()).collect();
    assert_eq!(arrows, ["load → files:8080 http2"]);
    assert_eq!(edges[0].errors, 0, "{:?}", edges[0]);
    edges[0].check_whole();
}

#[test]
fn at_full_rate_details_and_losses_add_up() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(Options {
        config: "detail_per_second = 10000000\n".into(),
        ..Options::default()
    });
    let server = Nghttpd::start(Place::In(&host), SocketAddr::from(SERVER), None);
    let tap = agent.tap();
    let sent = 200_000;
    h2load::http2(Place::In(&host), server.address, "/index.html", sent);
    agent.expect_calls(&[server.address.port()], sent);
    let tapped = tap.finish();
    let seen = tapped.exchanges.len() as u64;
    let lost = tapped.lost_details();
    assert_eq!(seen + lost, sent, "{}", tapped.notices);
}

fn curl(host: &Namespace, arguments: &[&str]) -> String {
    let mut command: Command = Place::In(host).command("curl", "shop");
    command.args(["-s", "--http2-prior-knowledge"]);
    must(command.args(arguments))
}

/// Asks for all of these URLs over one connection, with priorities and padding; options may stand
/// before them.
fn nghttp(host: &Namespace, arguments: &[String]) {
    let mut command: Command = Place::In(host).command("nghttp", "shop");
    must(command.args(["--null-out", "--padding=30"]).args(arguments));
}

fn tally(exchanges: &[Exchange]) -> BTreeMap<(String, Option<u16>), u64> {
    let one = |exchange: &Exchange| (exchange.operation.clone(), exchange.status);
    counts(exchanges.iter().map(one))
}

fn expected<const N: usize>(rows: [(&str, u16, u64); N]) -> BTreeMap<(String, Option<u16>), u64> {
    rows.map(|(operation, status, count)| ((operation.into(), Some(status)), count))
        .into()
}

#[test]
fn operations_statuses_and_sizes_of_nginx() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let locations = "location / { return 200 ok; } location /gone { return 410; } \
                     location /busy { return 503; }";
    let nginx = Nginx::http2(Place::In(&host), SocketAddr::from(SERVER), locations);
    let tap = agent.tap();
    let at = |path: &str| format!("http://{}{path}", nginx.address);
    let long = "x".repeat(3000);
    nghttp(
        &host,
        &["/users/42?q=~1", "/users/43", "/", "/gone"].map(at),
    );
    curl(&host, &["-X", "DELETE", &at("/users/7")]);
    curl(&host, &["-X", "DELETE", &at("/busy")]);
    // nginx answers before it has read the body, which curl 7.88 takes for an error.
    let folder = Scratch::new();
    let body = folder.write("body", &long).display().to_string();
    let header = format!("--header=x-long: {long}");
    let upload = [format!("--data={body}"), header, at("/orders")];
    nghttp(&host, &upload);
    let exchanges = tap.take(nginx.address.port(), 7);
    assert_eq!(
        tally(&exchanges),
        expected([
            ("GET /users/*", 200, 2),
            ("GET /", 200, 1),
            ("GET /gone", 410, 1),
            ("DELETE /users/*", 200, 1),
            ("DELETE /busy", 503, 1),
            ("POST /orders", 200, 1),
        ])
    );
    let post = exchanges.iter().find(|e| e.operation == "POST /orders");
    let post = post.expect("the upload");
    // The header by Huffman codes of 7 bits, and as much of the body as came before the answer.
    assert!((2_600..6_000).contains(&post.request_bytes), "{post:?}");
    let edges = agent.expect_calls(&[nginx.address.port()], 7);
    // Clients that live for a moment may be known by what started them.
    assert_eq!(errors(&edges), 1);
    assert_eq!(nginx.served(), 7);
}

#[test]
fn a_trace_context_that_is_said_once_and_referred_to() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let server = Nghttpd::start(Place::In(&host), SocketAddr::from(SERVER), None);
    let tap = agent.tap();
    let id = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("--header=traceparent: 00-{id}-b7ad6b7169203331-01");
    let url = format!("http://{}/index.html", server.address);
    nghttp(&host, &[header, url.clone(), format!("{url}?again")]);
    nghttp(&host, &[url]);
    let exchanges = tap.take(server.address.port(), 3);
    let traced = |e: &&Exchange| e.trace_id.as_deref() == Some(id);
    assert_eq!(exchanges.iter().filter(traced).count(), 2);
}

#[test]
fn requests_that_a_server_refuses_as_it_goes_away_end_as_that() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let address = SocketAddr::from(SERVER);
    let server = Peer::start(Place::In(&host), "goaway_peer.py", "files", address);
    let tap = agent.tap();
    let mut command: Command = Place::In(&host).command("nghttp", "shop");
    let urls = ["/a", "/b", "/c"].map(|path| format!("http://{address}{path}"));
    // It says that two of three were not processed, and fails or not by its version.
    let said = command.args(["--null-out", "--no-dep"]).args(urls).output();
    let said = String::from_utf8_lossy(&said.expect("nghttp").stderr).into_owned();
    assert!(said.contains("total=3, processed=1"), "{said}");
    let exchanges = tap.take(server.address.port(), 3);
    let refused = |e: &&Exchange| e.error.as_deref() == Some("REFUSED_STREAM");
    assert_eq!(exchanges.iter().filter(refused).count(), 2);
    let statuses: Vec<_> = exchanges.iter().filter_map(|e| e.status).collect();
    assert_eq!(statuses, [200]);
    let edges = agent.expect_calls(&[server.address.port()], 3);
    for edge in &edges {
        edge.check_whole();
    }
}

#[test]
fn bodies_and_trailers_belong_to_their_answer() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(all_details());
    let trailer = Some("x-checksum: 12");
    let server = Nghttpd::start(Place::In(&host), SocketAddr::from(SERVER), trailer);
    let tap = agent.tap();
    let url = format!("http://{}/orders/7/items", server.address);
    for _ in 0..20 {
        assert_eq!(curl(&host, &[&url]).len(), 150_000);
        nghttp(&host, std::slice::from_ref(&url));
    }
    let exchanges = tap.take(server.address.port(), 40);
    assert_eq!(
        tally(&exchanges),
        expected([("GET /orders/*/items", 200, 40)])
    );
    for exchange in exchanges {
        let bytes = exchange.response_bytes;
        assert!((150_000..152_000).contains(&bytes), "{exchange:?}");
    }
    agent.expect_calls(&[server.address.port()], 40);
}
