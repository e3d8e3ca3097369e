//! Deny by who asks: a program, a systemd unit, a named service, or an address of another host.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use weir_tests::{
    agent::{Agent, SETTLED},
    client::Client,
    gate::{live, workspace},
    kernel,
    netns::{Link, Namespace},
    process::{Process, must, output},
    scratch::unique,
    server::{Place, dnsmasq::Dnsmasq, python::PythonService},
    wait_for,
};

const PORT: u16 = 8098;
const TARGET: &str = "target";

fn deny(from: &str) -> String {
    format!(
        "apiVersion: weir.dev/v1\nkind: TrafficPolicy\nmetadata: {{ name: who }}\nspec:\n  \
         from: {{ {from} }}\n  to: {{ any: true, port: {PORT} }}\n  action: deny\n"
    )
}

fn target(host: &Namespace) -> PythonService {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    PythonService::start(Place::In(host), TARGET, address, &[])
}

fn curl(host: &Namespace) -> Command {
    let mut curl = host.command("curl");
    curl.args([
        "-sS",
        "--max-time",
        "5",
        &format!("http://127.0.0.1:{PORT}/"),
    ]);
    curl
}

fn passes(mut command: Command) -> bool {
    output(&mut command).status.success()
}

#[test]
fn by_program() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let _target = target(&host);
    let agent = Agent::start();
    agent.apply("who", &deny("process: curl"));
    assert!(!passes(curl(&host)), "curl is denied");
    // Another program passes: this test itself.
    host.run(|| Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))));
}

/// A cgroup that looks like a systemd unit's, removed when dropped.
struct Unit {
    name: String,
    folder: PathBuf,
}

impl Unit {
    fn new() -> Self {
        let name = format!("weir-t-{}-{}.service", std::process::id(), unique());
        let folder = kernel::cgroup2().join("system.slice").join(&name);
        fs::create_dir_all(&folder).expect("make a cgroup");
        Self { name, folder }
    }

    /// Makes `command` move itself into the unit first.
    fn command(&self, command: &Command) -> Command {
        let script = format!(
            "echo $$ > {}/cgroup.procs; exec \"$@\"",
            self.folder.display()
        );
        let mut inside = Command::new("sh");
        inside
            .args(["-c", &script, "sh"])
            .arg(command.get_program());
        inside.args(command.get_args());
        inside
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // The kernel takes a moment until a cgroup without processes may go.
        for _ in 0..20 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn by_unit() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let _target = target(&host);
    let unit = Unit::new();
    let _anchor = Process::start(&mut unit.command(Command::new("sleep").arg("300")));
    let agent = Agent::start();
    assert!(passes(unit.command(&curl(&host))), "before the policy");
    agent.apply("who", &deny(&format!("unit: {}", unit.name)));
    wait_for("a denied unit", SETTLED, || {
        (!passes(unit.command(&curl(&host)))).then_some(())
    });
    assert!(passes(curl(&host)), "outside the unit");
}

#[test]
fn by_service() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let target = target(&host);
    let back = [format!("http=127.0.0.1:{}/", target.address.port())];
    let start = |service, port| {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        PythonService::start(Place::In(&host), service, listen, &back)
    };
    let (shop, bank) = (start("shop", 8110), start("bank", 8111));
    let agent = Agent::start();
    agent.apply("who", &deny("service: shop"));
    // A service that fails to reach its back end hangs up without an answer.
    let answers = |service: &PythonService| {
        let url = format!("http://{}/", service.address);
        let mut curl = host.command("curl");
        curl.args(["-sS", "--max-time", "5", &url]);
        passes(curl)
    };
    wait_for("a denied service", SETTLED, || {
        (!answers(&shop)).then_some(())
    });
    assert!(answers(&bank), "another service of the same program passes");
}

/// What a handmade packet from `far` to the target is met with.
fn knock(far: &Namespace, link: &Link, script: &str) -> String {
    let mut command = far.command("/usr/bin/python3");
    command.arg(workspace().join("tests/servers").join(script));
    command.args([
        link.first.to_string(),
        link.second.to_string(),
        PORT.to_string(),
    ]);
    must(&mut command).trim().to_owned()
}

#[test]
fn by_address_of_another_host() {
    if !live() {
        return;
    }
    let (far, here) = (Namespace::new(), Namespace::new());
    let link = Link::between(&far, &here, 4);
    let _target = target(&here);
    let knock = || knock(&far, &link, "syn.py");
    let agent = Agent::start();
    assert_eq!(knock(), "synack", "before the policy");
    agent.apply("who", &deny(&format!("cidr: {}/32", link.first)));
    assert_ne!(knock(), "synack", "the SYN is refused where it arrives");
    check_refusal_at_ingress(&agent);
}

#[test]
fn a_query_of_another_host() {
    if !live() {
        return;
    }
    let (far, here) = (Namespace::new(), Namespace::new());
    let link = Link::between(&far, &here, 4);
    let at = SocketAddr::new(link.second, PORT);
    let _server = Dnsmasq::start(Place::In(&here), at, &[("shop", "10.9.9.9")]);
    let knock = || knock(&far, &link, "raw_query.py");
    let agent = Agent::start();
    assert_eq!(knock(), "answer", "before the policy");
    agent.apply("who", &deny(&format!("cidr: {}/32", link.first)));
    assert_eq!(knock(), "silence", "the query is refused where it arrives");
    check_refusal_at_ingress(&agent);
}

fn check_refusal_at_ingress(agent: &Agent) {
    let verdict = wait_for("a verdict", SETTLED, || agent.verdicts(PORT).pop());
    assert_eq!(
        (verdict.verdict.as_str(), verdict.hook.as_str()),
        ("deny", "ingress")
    );
}
