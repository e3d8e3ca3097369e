//! `[[ports]]`: what is spoken on a port is given, not found out.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use weir_tests::{
    agent::{Agent, Options},
    client::Client,
    gate::live,
    netns::Namespace,
    process::output,
    server::{Place, nginx::Nginx, redis::Redis},
};

const CALLS: u64 = 20;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn given(rules: &[(u16, &str)]) -> Options {
    let table = |(port, protocol): &(u16, &str)| {
        format!("[[ports]]\nport = {port}\nprotocol = \"{protocol}\"\n")
    };
    Options {
        config: rules.iter().map(table).collect(),
        ..Options::default()
    }
}

/// Sends commands as a person would type them, which are no evidence of Redis.
fn type_commands(host: &Namespace, address: SocketAddr) {
    let mut stream = host.run(|| TcpStream::connect(address).expect("connect to Redis"));
    for _ in 0..CALLS {
        stream.write_all(b"PING\r\n").expect("send");
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).expect("receive");
        assert_eq!(&answer, b"+PONG\r\n");
    }
}

fn ask(host: &Namespace, nginx: &Nginx) {
    let mut client = host.run(|| Client::connect(nginx.address));
    for _ in 0..CALLS {
        client.send("GET /users/42 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response(false).status, 200);
    }
}

#[test]
fn a_given_protocol_is_read_from_the_first_byte_on() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::with(given(&[(7001, "redis"), (7003, "http")]));
    let told = Redis::start(Place::In(&host), at(7001));
    let found = Redis::start(Place::In(&host), at(7002));
    let nginx = Nginx::start(Place::In(&host), at(7003), "location / { return 200 ok; }");
    type_commands(&host, told.address);
    type_commands(&host, found.address);
    ask(&host, &nginx);
    let edges = agent.expect_calls(&[7001, 7003], 2 * CALLS);
    let protocols: Vec<_> = edges.iter().map(|edge| edge.protocol.as_str()).collect();
    assert!(protocols.contains(&"redis") && protocols.contains(&"http"));
    let edges = agent.edges_of(&[7002]);
    assert_eq!((edges[0].calls, edges[0].protocol.as_str()), (0, "tcp"));
}

#[test]
fn an_opaque_port_is_counted_and_not_read() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let mut agent = Agent::prepare(given(&[(7011, "opaque")]));
    let answer = "location / { return 200 ok; }";
    let closed = Nginx::start(Place::In(&host), at(7011), answer);
    let open = Nginx::start(Place::In(&host), at(7012), answer);
    // It is older than weir, and is left alone as well.
    let mut old = host.run(|| Client::connect(closed.address));
    agent.restart();
    for _ in 0..CALLS {
        old.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(old.response(false).status, 200);
    }
    drop(old);
    ask(&host, &closed);
    ask(&host, &open);
    agent.expect_calls(&[7011, 7012], CALLS);
    let edges = agent.edges_of(&[7011]);
    assert!(!edges.is_empty());
    for edge in edges {
        assert_eq!((edge.calls, edge.protocol.as_str()), (0, "tcp"));
        assert!(edge.bytes_in > 1_000, "{edge:?}");
        edge.check_whole();
    }
}

#[test]
fn a_protocol_that_there_is_not_is_refused_with_those_that_there_are() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(given(&[(7021, "reddis")]));
    let ended = output(&mut agent.command());
    assert_eq!(ended.status.code(), Some(1));
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(words.contains("ports.protocol"), "{words}");
    assert!(words.contains("dns, http, http2, "), "{words}");
    assert!(
        words.contains("redis, ") && words.contains(" and opaque"),
        "{words}"
    );
}
