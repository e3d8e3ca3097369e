//! The binary from outside: exit codes, what goes to stdout and what to stderr, closed pipes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use weir::observe::model::EdgeItem;

mod host;

use host::{Ended, Host, is_root, wait_until};

#[test]
fn without_a_daemon_the_exit_code_is_3_and_the_remedy_is_named() {
    let host = Host::empty("nobody");
    for args in [
        &["status"][..],
        &["services"],
        &["edges", "-o", "json"],
        &["graph", "-o", "svg"],
        &["tap"],
        &["flows", "-f"],
        &["tcp"],
        &["verdicts"],
        &["policy", "list"],
        &["policy", "delete", "x"],
        &["policy", "explain", "--from", "a", "--to", "b"],
    ] {
        let ended = host.run(args);
        ended.check(3, "start it with `sudo weir run`");
        assert_eq!(ended.out, "", "{}", ended.what);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    // A stale socket file is as good as none.
    drop(std::os::unix::net::UnixListener::bind(host.socket()).unwrap());
    host.run(&["status"]).check(3, "nobody listens");
}

#[test]
fn usage_errors_are_2_and_help_is_0() {
    let host = Host::empty("usage");
    for (args, words) in [
        (&[][..], "Usage"),
        (&["frobnicate"], "frobnicate"),
        (&["edges", "--colour"], "--colour"),
        (&["edges", "--since", "yesterday"], "write it like 10s"),
        (&["edges", "--status", "6xx"], "a class like 5xx"),
        (&["edges", "-o", "yaml"], "possible values"),
        (&["tap", "-f", "-o", "json"], "use -o jsonl"),
        (&["tap", "-n", "0"], "0"),
        (&["policy", "apply"], "FILE"),
    ] {
        host.run(args).check(2, words);
    }
    for args in [
        &["--help"][..],
        &["tap", "-h"],
        &["policy", "help"],
        &["--version"],
    ] {
        let ended = host.run(args);
        ended.check(0, "");
        assert!(ended.out.contains("weir"), "{}", ended.out);
    }
}

#[test]
fn without_rights_the_exit_code_is_4_in_one_sentence() {
    let host = Host::serving("rights", 1);
    for args in [&["run"][..], &["off"]] {
        let output = host.weir_as_nobody(args).output().unwrap();
        let ended = Ended::of(args, output);
        ended.check(4, "needs root");
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    if !is_root() {
        println!("skipped: a socket of another user needs root");
        return;
    }
    let output = host.weir_as_nobody(&["edges"]).output().unwrap();
    Ended::of(&["edges"], output).check(4, "run with sudo");
}

#[test]
fn data_is_on_stdout_and_loss_on_stderr() {
    let host = Host::serving("forms", 2);
    let loss = "completeness 99.2 %: 12 lost (ring_full 10, segment_gap 2)";
    let table = host.run(&["edges"]);
    table.check(0, loss);
    assert!(
        table.out.starts_with("CLIENT  SERVER  PROTOCOL"),
        "{}",
        table.out
    );
    assert_eq!(table.out.lines().count(), 3);
    let bare = host.run(&["edges", "--no-headers"]);
    assert_eq!(bare.out.lines().count(), 2);
    let json = host.run(&["edges", "-o", "json"]);
    json.check(0, "");
    assert_eq!(json.err, "", "the document says it itself");
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&value["v"], &value["completeness"]),
        (&1.into(), &0.992.into())
    );
    assert_eq!(value["lost"]["ring_full"], 10);
    assert_eq!(value["items"][1]["server"]["service"], "api-1");
    let lines = host.run(&["edges", "-o", "jsonl"]);
    lines.check(0, loss);
    assert!(
        lines
            .out
            .lines()
            .all(|line| serde_json::from_str::<EdgeItem>(line).is_ok())
    );
    let csv = host.run(&["edges", "-o", "csv"]);
    csv.check(0, loss);
    assert!(
        csv.out.starts_with("client.service,client.namespace"),
        "{}",
        csv.out
    );
    let status = host.run(&["status", "-o", "json"]);
    status.check(0, "");
    let value: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(value["items"][0]["version"], "0.1.0");
    host.run(&["services"]).check(0, "nothing matches");
}

#[test]
fn graphs_come_in_every_form() {
    let host = Host::serving("graph", 3);
    for (form, begin) in [
        ("table", "web  unit\n├─▶ api-0"),
        ("dot", "digraph weir {"),
        ("mermaid", "flowchart LR"),
        ("svg", "<svg xmlns="),
        ("csv", "client.service,"),
        ("json", "{\n  \"v\": 1,"),
    ] {
        let ended = host.run(&["graph", "-o", form]);
        ended.check(0, "");
        assert!(ended.out.starts_with(begin), "{form}: {}", ended.out);
    }
    let json = host.run(&["graph", "-o", "json"]).out;
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["items"].as_array().unwrap().len(), 3);
    assert_eq!(value["nodes"].as_array().unwrap().len(), 4);
}

#[test]
fn a_closed_pipe_is_a_graceful_end() {
    let host = Host::serving("pipe", 20_000);
    for args in [
        &["edges"][..],
        &["edges", "-o", "jsonl"],
        &["edges", "-f", "-o", "csv"],
    ] {
        let mut child = host
            .weir(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut [0; 64])
            .unwrap();
        let ended = Ended::of(args, child.wait_with_output().unwrap());
        assert_eq!(
            (ended.code, ended.err.as_str()),
            (Some(0), ""),
            "{}",
            ended.what
        );
    }
}

#[test]
fn a_tap_ends_after_so_many_or_so_long() {
    let host = Host::serving("tap", 1);
    let child = host.stream(&["tap", "-n", "2", "-o", "jsonl"]);
    host.send(0..5);
    let ended = Ended::of(&["tap"], child.wait_with_output().unwrap());
    ended.check(0, "");
    assert_eq!(ended.out.lines().count(), 2);
    wait_until(|| host.answers.exchanges.receiver_count() == 0);

    let child = host.stream(&["tap", "--for", "1s"]);
    host.send(0..5);
    host.answers.lost.store(7, Ordering::Relaxed);
    let ended = Ended::of(&["tap"], child.wait_with_output().unwrap());
    ended.check(
        0,
        "since this stream began: 7 lost in the kernel (ring_full 7)",
    );
    assert_eq!(
        ended.out.lines().count(),
        6,
        "a heading and five rows: {}",
        ended.out
    );

    let past = host.run(&["tap", "--since", "5m", "-n", "2", "-o", "jsonl"]);
    past.check(0, "completeness 99.2 %");
    assert_eq!(past.out.lines().count(), 2);
}

#[test]
fn an_interrupt_ends_a_tap_with_all_that_was_seen() {
    let host = Host::serving("interrupt", 1);
    let mut child = host.stream(&["tap", "-o", "jsonl"]);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    host.send(0..1);
    reader.read_line(&mut String::new()).unwrap();
    host.send(1..4);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let rest: Vec<String> = reader.lines().map(Result::unwrap).collect();
    assert_eq!(rest.len(), 3);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_daemon_that_goes_ends_a_tap_with_3() {
    let mut host = Host::serving("gone", 1);
    let child = host.stream(&["tap"]);
    host.stop();
    let ended = Ended::of(&["tap"], child.wait_with_output().unwrap());
    ended.check(3, "it closed the connection");
}

#[test]
fn policies_are_applied_and_refused() {
    let host = Host::serving("policy", 1);
    let file = |name: &str, text: &str| {
        let path = host.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (good, bad) = (file("a.yaml", "fine"), file("b.yaml", "nonsense"));
    host.run(&["policy", "apply", &good]).check(0, "applied");
    host.run(&["policy", "check", &good]).check(0, "ok:");
    let refused = host.run(&["policy", "apply", &good, &bad]);
    refused.check(1, "b.yaml:3: unknown action `nonsense`");
    refused.check(1, "remedy: use allow or deny");
    host.run(&["policy", "apply", "/nonexistent.yaml"])
        .check(1, "/nonexistent.yaml");
    host.run(&["policy", "delete", "x"])
        .check(1, "there is no policy `x`");
    let list = host.run(&["policy", "list", "-o", "yaml"]);
    list.check(0, "");
    assert!(list.out == "kind: TrafficPolicy\n", "{}", list.out);
    let said = host.run(&["policy", "explain", "--from", "a", "--to", "b"]);
    assert_eq!(said.check(0, "").out, "deny by no-egress\n");
}

#[test]
fn configuration_is_checked_without_a_daemon() {
    let host = Host::empty("config");
    let file = host.folder.join("weir.toml");
    let path = file.display().to_string();
    let text = r#"
state = "/srv/weir"
[[routes]]
templates = ["/users/{id}", "/files/{path...}"]
[[ports]]
port = 9000
protocol = "redis"
[[ports]]
port = 80
protocol = "opaque"
"#;
    std::fs::write(&file, text).unwrap();
    let good = host.run(&["check-config", &path]);
    good.check(0, "ok:");
    for shown in ["/srv/weir", "2 templates", "80 opaque, 9000 redis"] {
        assert!(good.out.contains(shown), "{}", good.out);
    }
    std::fs::write(&file, "[[ports]]\nport = 1\nprotocol = \"reddis\"\n").unwrap();
    host.run(&["check-config", &path])
        .check(
            1,
            "weir.toml:3: ports.protocol: weir reads no protocol `reddis`",
        )
        .check(1, "zookeeper and opaque");
    std::fs::write(&file, "\nsokcet = \"/x\"\n").unwrap();
    host.run(&["check-config", "--config", &path])
        .check(1, "weir.toml:2: sokcet: unknown field")
        .check(1, "did you mean `socket`?");
}

#[test]
fn completions_are_printed_for_each_shell() {
    let host = Host::empty("completion");
    for shell in ["bash", "zsh", "fish"] {
        let ended = host.run(&["completion", shell]);
        ended.check(0, "");
        assert!(ended.out.contains("check-config"), "{shell}");
    }
}

#[test]
fn a_daemon_that_hangs_does_not_hold_the_client() {
    let host = Host::empty("hangs");
    let listener = std::os::unix::net::UnixListener::bind(host.socket()).unwrap();
    let hanging = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let half = b"{\"v\":1,\"completeness\":1,\"lost\":{}}\n{\"ts\":1,";
        stream.write_all(half).unwrap();
        // It reads what comes, but says nothing more until the client is gone.
        let _ = stream.read_to_end(&mut Vec::new());
        std::thread::sleep(Duration::from_secs(8));
    });
    let began = Instant::now();
    host.run(&["tap", "--for", "100ms"]).check(0, "");
    assert!(
        began.elapsed() < Duration::from_secs(7),
        "{:?}",
        began.elapsed()
    );
    hanging.join().unwrap();
}
