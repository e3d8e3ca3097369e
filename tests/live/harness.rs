//! The harness by itself, without weir: when a live test fails, this tells whose fault it is.

use std::{net::SocketAddr, time::Duration};

use weir_tests::{
    bulk::Bulk,
    client::Client,
    gate::root,
    netns::{Link, Namespace},
    server::{
        Place,
        collector::{Prometheus, Rotel, VictoriaMetrics},
        get,
        nginx::Nginx,
        python::PythonService,
        redis::Redis,
        wrk,
    },
};

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn nginx_counts_what_wrk_sends() {
    if !root() {
        return;
    }
    let host = Namespace::new();
    let nginx = Nginx::start(Place::In(&host), local(80), "location / { return 200 ok; }");
    assert_eq!(nginx.served(), 0);
    let answered = wrk::load(Place::In(&host), local(80), "/", wrk::Load::saturating(1));
    let served = nginx.served();
    assert!(
        (answered..=answered + 64).contains(&served),
        "{served} served, {answered} answered"
    );
    assert_eq!(nginx.served(), served, "asking does not count");
}

#[test]
fn services_call_each_other_over_veth() {
    if !root() {
        return;
    }
    let (near, far) = (Namespace::new(), Namespace::new());
    let link = Link::between(&near, &far, 9);
    let redis = Redis::start(Place::In(&far), SocketAddr::new(link.second, 6379));
    let back = [format!("redis={}", redis.address)];
    let listen = SocketAddr::new(link.first_v6, 8000);
    let service = PythonService::start(Place::In(&near), "service", listen, &back);
    let nginx = Nginx::proxy(Place::In(&near), local(8001), service.address);
    let mut client = near.run(|| Client::connect(nginx.address));
    for expected in ["ok :1", "ok :2"] {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let response = client.response(false);
        assert_eq!(String::from_utf8_lossy(&response.body), expected);
    }
}

#[test]
fn bulk_flows_run_without_retransmits() {
    if !root() {
        return;
    }
    let (near, far) = (Namespace::new(), Namespace::new());
    let link = Link::between(&near, &far, 9);
    let bulk = Bulk::start(
        Place::In(&near),
        Place::In(&far),
        SocketAddr::new(link.second, 9000),
        4,
    );
    let rate = bulk.measure(Duration::from_secs(1));
    assert!(rate > 1e8, "{rate}");
}

#[test]
fn collectors_start_and_answer() {
    if !root() {
        return;
    }
    let rotel = Rotel::start();
    assert_ne!(rotel.grpc.port(), rotel.http.port());
    let store = VictoriaMetrics::start();
    assert_eq!(store.query("nothing_at_all"), None);
    let prometheus = Prometheus::scraping(store.address);
    let up = || prometheus.query("up").filter(|up| *up > 0.0);
    weir_tests::wait_for("a scrape", Duration::from_secs(10), up);
    assert_eq!(get(store.address, "/health").0, 200);
}
