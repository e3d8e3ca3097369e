//! Saturated keep-alive HTTP: every exchange is counted, and every detail is seen or counted lost.

use std::net::SocketAddr;

use weir_tests::{
    agent::{Agent, Options},
    gate::live,
    netns::Namespace,
    server::{Place, h2load, nginx::Nginx, wrk},
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
const LOCATIONS: &str = "location / { return 200 ok; }";

#[test]
fn a_saturated_edge_counts_what_nginx_served() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let nginx = Nginx::start(Place::In(&host), SocketAddr::from(SERVER), LOCATIONS);
    let answered = wrk::load(
        Place::In(&host),
        nginx.address,
        "/hello",
        wrk::Load::saturating(5),
    );

    let served = nginx.served();
    assert!(
        served >= answered && answered > 1000,
        "nginx {served}, wrk {answered}"
    );
    let edges = agent.expect_served(&[nginx.address.port()], served);

    let arrows: Vec<_> = edges.iter().map(|edge| edge.arrow()).collect();
    assert_eq!(arrows, ["load → nginx:8080 http"]);
    // wrk hangs up on what is in flight when its time is over: at most one per connection.
    assert!(edges[0].errors <= 64, "{:?}", edges[0]);
    edges[0].check_whole();
    assert!(
        edges[0].p50_ns.is_some_and(|p50| p50 > 1_000),
        "{:?}",
        edges[0]
    );
}

#[test]
fn every_request_is_counted_once() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let agent = Agent::start();
    let nginx = Nginx::start(Place::In(&host), SocketAddr::from(SERVER), LOCATIONS);
    let sent = 300_000;
    let answered = h2load::http1(Place::In(&host), nginx.address, "/hello", sent);
    assert_eq!((answered, nginx.served()), (sent, sent));
    let edges = agent.expect_calls(&[nginx.address.port()], sent);
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
    let nginx = Nginx::start(Place::In(&host), SocketAddr::from(SERVER), LOCATIONS);

    let counted_before = agent.status().exchanges;
    let tap = agent.tap();
    let sent = 200_000;
    h2load::http1(Place::In(&host), nginx.address, "/hello", sent);
    assert_eq!(nginx.served(), sent);
    agent.expect_calls(&[nginx.address.port()], sent);
    let counted = agent.status().exchanges - counted_before;
    assert_eq!(counted, sent);
    let tapped = tap.finish();

    let lost = tapped.lost_details();
    assert_eq!(
        tapped.exchanges.len() as u64 + lost,
        counted,
        "{} details + {lost} lost, {counted} counted; {}",
        tapped.exchanges.len(),
        tapped.notices
    );
}
