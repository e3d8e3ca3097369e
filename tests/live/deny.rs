//! Deny and audit: refused at once, held without the daemon, and gone after `weir off`.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    process::Output,
    time::{Duration, Instant},
};

use weir_tests::{
    agent::{Agent, SETTLED},
    client::Client,
    gate::live,
    kernel,
    netns::Namespace,
    process::output,
    server::{Place, python::PythonService},
    wait_for,
};

const PORT: u16 = 8093;
const AT_ONCE: Duration = Duration::from_millis(50);

fn policy(name: &str, to: &str, mode: &str) -> String {
    format!(
        "apiVersion: weir.dev/v1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\nspec:\n  \
         from: {{ any: true }}\n  to: {{ {to} }}\n  mode: {mode}\n  action: deny\n"
    )
}

fn deny_port(name: &str) -> String {
    policy(name, &format!("any: true, port: {PORT}"), "enforce")
}

/// A namespace with a service that listens on all addresses.
struct Host {
    namespace: Namespace,
    _service: PythonService,
}

impl Host {
    fn start() -> Self {
        let namespace = Namespace::new();
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
        let service = PythonService::start(Place::In(&namespace), "target", address, &[]);
        Self {
            namespace,
            _service: service,
        }
    }

    fn curl(&self, ip: &str) -> (Output, Duration) {
        let mut curl = Place::In(&self.namespace).command("curl", "caller");
        let start = Instant::now();
        let url = format!("http://{ip}:{PORT}/");
        // Only with `-v` does curl tell the error of `connect`.
        let output = output(curl.args(["-sSv", "--max-time", "5", &url]));
        (output, start.elapsed())
    }

    fn curl_passes(&self) -> bool {
        self.curl("127.0.0.1").0.status.success()
    }

    /// A non-blocking connect, as `connect_timeout` does it.
    fn connect(&self, ip: IpAddr) -> (Result<TcpStream, ErrorKind>, Duration) {
        self.namespace.run(|| {
            let start = Instant::now();
            let address = SocketAddr::new(ip, PORT);
            let result = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            (result.map_err(|error| error.kind()), start.elapsed())
        })
    }

    fn client(&self) -> Client {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        self.namespace.run(|| Client::connect(address))
    }
}

fn exchange(client: &mut Client) -> u16 {
    client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n");
    client.response(false).status
}

#[test]
fn a_denied_curl_is_refused_at_once() {
    if !live() {
        return;
    }
    let host = Host::start();
    let agent = Agent::start();
    assert!(host.curl_passes(), "before the policy");
    agent.apply("deny", &deny_port("closed"));

    for ip in ["127.0.0.1", "[::1]"] {
        let (output, time) = host.curl(ip);
        let words = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert_eq!(output.status.code(), Some(7), "{ip}: {words}");
        assert!(words.contains("connection refused"), "{ip}: {words}");
        assert!(time < AT_ONCE, "{ip}: refused after {time:?}");
    }
    let verdicts = wait_for("two verdicts", SETTLED, || {
        let verdicts = agent.verdicts(PORT);
        (verdicts.len() >= 2).then_some(verdicts)
    });
    for verdict in &verdicts {
        let told = (verdict.verdict.as_str(), verdict.policy.as_str());
        assert_eq!(told, ("deny", "closed"), "{verdict:?}");
        assert_eq!(
            (verdict.hook.as_str(), verdict.transport.as_str()),
            ("connect", "tcp")
        );
    }
    wait_for("the counter", SETTLED, || {
        (agent.policy("closed").denied >= 2).then_some(())
    });
    assert_eq!(agent.policy("closed").denied, 2);
}

#[test]
fn a_non_blocking_connect_is_refused_at_once() {
    if !live() {
        return;
    }
    let host = Host::start();
    let agent = Agent::start();
    agent.apply("deny", &deny_port("closed"));
    for ip in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let (result, time) = host.connect(ip);
        assert_eq!(result.err(), Some(ErrorKind::ConnectionRefused), "{ip}");
        assert!(time < AT_ONCE, "{ip}: refused after {time:?}");
    }
}

#[test]
fn other_ports_and_addresses_pass() {
    if !live() {
        return;
    }
    let host = Host::start();
    let agent = Agent::start();
    agent.apply("port", &policy("port", "any: true, port: 9", "enforce"));
    agent.apply("net", &policy("net", "cidr: 127.9.0.0/16", "enforce"));
    assert!(host.curl_passes());
    let (result, _) = host.connect(Ipv4Addr::new(127, 9, 1, 1).into());
    assert_eq!(
        result.err(),
        Some(ErrorKind::ConnectionRefused),
        "inside 127.9.0.0/16"
    );
    let (result, _) = host.connect(Ipv4Addr::new(127, 10, 1, 1).into());
    assert!(result.is_ok(), "outside 127.9.0.0/16");
}

#[test]
fn udp_is_refused_and_tcp_of_the_same_port_is_not() {
    if !live() {
        return;
    }
    let host = Host::start();
    let agent = Agent::start();
    let to = format!("any: true, port: {PORT}, protocol: udp");
    agent.apply("udp", &policy("udp", &to, "enforce"));
    let sent = host.namespace.run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket
            .send_to(b"x", ("127.0.0.1", PORT))
            .map_err(|error| error.kind())
    });
    assert!(
        matches!(
            sent,
            Err(ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied)
        ),
        "{sent:?}"
    );
    assert!(host.curl_passes(), "TCP is not concerned");
}

#[test]
fn audit_lets_pass_and_tells() {
    if !live() {
        return;
    }
    let host = Host::start();
    let agent = Agent::start();
    agent.apply(
        "audit",
        &policy("watch", &format!("any: true, port: {PORT}"), "audit"),
    );
    assert!(host.curl_passes(), "audit does not refuse");
    let verdict = wait_for("a verdict", SETTLED, || agent.verdicts(PORT).pop());
    assert_eq!(
        (verdict.verdict.as_str(), verdict.policy.as_str()),
        ("audit", "watch")
    );
    let policy = wait_for("the counter", SETTLED, || {
        let policy = agent.policy("watch");
        (policy.audited > 0).then_some(policy)
    });
    assert_eq!((policy.denied, policy.audited), (0, 1));
}

#[test]
fn rules_hold_without_the_daemon_and_vanish_with_off() {
    if !live() {
        return;
    }
    let host = Host::start();
    let programs_before = kernel::programs();
    let mut agent = Agent::prepare(Default::default());
    agent.restart();
    let mut open = host.client();
    assert_eq!(exchange(&mut open), 200);
    agent.apply("deny", &deny_port("closed"));
    assert!(!host.curl_passes());

    agent.kill();
    let (output, time) = host.curl("127.0.0.1");
    assert_eq!(output.status.code(), Some(7), "still refused after kill -9");
    assert!(time < AT_ONCE, "refused after {time:?}");
    assert_eq!(exchange(&mut open), 200, "an open connection lives on");

    agent.restart();
    assert!(!host.curl_passes(), "still refused after the restart");
    wait_for("counters that continue", SETTLED, || {
        (agent.policy("closed").denied == 3).then_some(())
    });
    assert_eq!(exchange(&mut open), 200);

    agent.stop();
    assert!(!host.curl_passes(), "a stopped daemon leaves the rules too");
    agent.off();
    assert!(host.curl_passes(), "off removes the rules");
    assert_eq!(exchange(&mut open), 200);
    assert_eq!(kernel::pins(), Vec::<String>::new(), "pins");
    // The kernel frees programs a moment after their last reference is gone.
    wait_for("a kernel without weir's programs", SETTLED, || {
        kernel::programs()
            .keys()
            .all(|id| programs_before.contains_key(id))
            .then_some(())
    });
}

#[test]
fn a_bad_policy_is_refused_and_the_old_set_stays() {
    if !live() {
        return;
    }
    let host = Host::start();
    let agent = Agent::start();
    agent.apply("deny", &deny_port("closed"));
    let bad = deny_port("worse").replace("action: deny", "action: destroy");
    let file = agent.folder().join("bad.yaml");
    std::fs::write(&file, &bad).expect("write a policy");
    let output = agent.weir(["policy", "apply", &file.to_string_lossy()]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("bad.yaml:8"), "file and line in {words:?}");
    assert!(
        words.contains("destroy") && words.contains("allow"),
        "{words:?}"
    );
    assert_eq!(agent.status().policies, 1);
    assert!(!host.curl_passes(), "the old set stays");
}
