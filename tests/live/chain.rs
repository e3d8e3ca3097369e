//! Four services over three namespaces: nginx → orders → stock → Redis. Exactly these edges.

use std::{net::SocketAddr, thread, time::Duration};

use weir_tests::{
    agent::Agent,
    client::Client,
    gate::live,
    netns::{Link, Namespace},
    server::{Place, nginx::Nginx, python::PythonService, redis::Redis},
};

const CALLS: u64 = 20;

/// The running chain.
struct Chain {
    front: Namespace,
    _middle: Namespace,
    _back: Namespace,
    nginx: Nginx,
    orders: PythonService,
    stock: PythonService,
    redis: Redis,
}

impl Chain {
    fn start() -> Self {
        let [front, middle, back] = [(); 3].map(|()| Namespace::new());
        let near = Link::between(&front, &middle, 1);
        let far = Link::between(&middle, &back, 2);
        let redis = Redis::start(Place::In(&back), SocketAddr::new(far.second, 6379));
        let stock = PythonService::start(
            Place::In(&middle),
            "stock",
            SocketAddr::new(near.second, 8092),
            &[format!("redis={}", redis.address)],
        );
        let orders = PythonService::start(
            Place::In(&middle),
            "orders",
            SocketAddr::new(near.second, 8091),
            &[format!("http={}/items", stock.address)],
        );
        let listen = SocketAddr::new(near.first, 8090);
        let nginx = Nginx::proxy(Place::In(&front), listen, orders.address);
        Self {
            front,
            _middle: middle,
            _back: back,
            nginx,
            orders,
            stock,
            redis,
        }
    }

    fn connect(&self) -> Client {
        self.front.run(|| Client::connect(self.nginx.address))
    }

    /// Ports in the order of the chain.
    fn ports(&self) -> [u16; 4] {
        [
            self.nginx.address,
            self.orders.address,
            self.stock.address,
            self.redis.address,
        ]
        .map(|address| address.port())
    }

    /// Fails unless weir shows the chain and nothing else, with `calls` on each edge.
    fn expect(&self, agent: &Agent, calls: u64) {
        agent.expect_calls(&self.ports(), 4 * calls);
        let mut edges = agent.edges();
        // Other programs of the host may talk meanwhile; the chain has its own subnets.
        edges.retain(|edge| edge.server.addr.starts_with("10.77."));
        edges.sort_by_key(|edge| edge.port);
        let told: Vec<_> = edges
            .iter()
            .map(|edge| {
                let client = if edge.port == 8090 {
                    "client"
                } else {
                    &edge.client.service
                };
                format!(
                    "{client} → {}:{} {}",
                    edge.server.service, edge.port, edge.protocol
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "stock → redis-server:6379 redis",
                "client → nginx:8090 http",
                "nginx → orders:8091 http",
                "orders → stock:8092 http",
            ]
        );
        for edge in &edges {
            assert!(edge.bytes_out > 0 && edge.bytes_in > 0, "{edge:?}");
            assert_eq!((edge.calls, edge.errors), (calls, 0), "{}", edge.arrow());
        }
    }
}

/// Bytes of a connection that stays open are told with its first packet after a second: so the
/// calls take longer than that.
const PAUSE: Duration = Duration::from_millis(150);

fn ask(client: &mut Client, times: u64) {
    for _ in 0..times {
        thread::sleep(PAUSE);
        client.send("GET /checkout HTTP/1.1\r\nHost: shop\r\n\r\n");
        let response = client.response(false);
        assert_eq!(response.status, 200, "{response:?}");
        assert!(response.body.starts_with(b"ok ok :"), "{response:?}");
    }
}

#[test]
fn a_chain_yields_exactly_its_edges() {
    if !live() {
        return;
    }
    let agent = Agent::start();
    let chain = Chain::start();
    ask(&mut chain.connect(), CALLS);
    chain.expect(&agent, CALLS);
}

#[test]
fn connections_older_than_weir_are_taken_up() {
    if !live() {
        return;
    }
    let mut agent = Agent::prepare(Default::default());
    let chain = Chain::start();
    let mut client = chain.connect();
    ask(&mut client, 5);
    agent.restart();
    ask(&mut client, CALLS);
    chain.expect(&agent, CALLS);
}

#[test]
fn a_restarted_daemon_goes_on_counting() {
    if !live() {
        return;
    }
    let mut agent = Agent::start();
    let chain = Chain::start();
    let mut client = chain.connect();
    ask(&mut client, 5);
    agent.kill();
    // The pinned programs count on while no daemon lives.
    ask(&mut client, 5);
    agent.restart();
    ask(&mut client, CALLS - 10);
    chain.expect(&agent, CALLS);
}
