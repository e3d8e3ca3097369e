//! What can be wrong at the start: each has one clear answer.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
    time::Duration,
};

use weir_tests::{
    agent::Agent,
    gate::{live, weir_binary},
    kernel,
    process::{must, output},
    scratch::Scratch,
};

/// Exit code and what was said.
fn told(output: &Output) -> (Option<i32>, String) {
    let words = String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned();
    (output.status.code(), words)
}

/// Fails unless the daemon ended with `code` and one line that holds all of `words`.
fn check(output: &Output, code: i32, words: &[&str]) {
    let (found, said) = told(output);
    assert_eq!(found, Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
}

/// Runs the daemon in a mount namespace of its own, after the shell lines of `change`.
fn run_after(agent: &Agent, change: &str) -> Output {
    let daemon = agent.command();
    let words: Vec<_> = std::iter::once(daemon.get_program())
        .chain(daemon.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let script = format!("set -e; {change}\nexec timeout 20 {}", words.join(" "));
    output(Command::new("unshare").args(["-m", "sh", "-c", &script]))
}

#[test]
fn not_root() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(Default::default());
    // The build folder may lie where nobody else may look.
    let folder = Scratch::new();
    let binary = folder.path().join("weir");
    fs::copy(weir_binary(), &binary).expect("copy the binary");
    for path in [folder.path(), &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("make it readable");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command
        .arg(&binary)
        .args(agent.command().get_args().filter(|word| {
            // A config file that nobody may read would be another error.
            !word.to_string_lossy().contains("weir.toml") && *word != "--config"
        }));
    let output = output(&mut command);
    check(&output, 4, &["root"]);
    assert_eq!(
        told(&output).1.lines().count(),
        1,
        "one sentence: {:?}",
        told(&output).1
    );
}

#[test]
fn a_second_daemon_is_refused() {
    if !live() {
        return;
    }
    let agent = Agent::start();
    let socket = agent.socket().display().to_string();
    check(&output(&mut agent.command()), 1, &["already", &socket]);
    assert!(
        agent.weir(["status"]).status.success(),
        "the first one lives on"
    );
}

#[test]
fn a_file_in_the_place_of_the_socket() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(Default::default());
    fs::write(agent.socket(), "precious").expect("write a file");
    let path = agent.socket().display().to_string();
    check(&output(&mut agent.command()), 1, &[&path, "socket"]);
    assert_eq!(
        fs::read_to_string(agent.socket()).ok().as_deref(),
        Some("precious")
    );
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_replaced() {
    if !live() {
        return;
    }
    let mut agent = Agent::start();
    agent.kill();
    assert!(agent.socket().exists(), "kill -9 leaves the socket");
    agent.restart();
}

#[test]
fn without_a_daemon_commands_say_so() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(Default::default());
    check(&agent.weir(["edges"]), 3, &["weir run"]);
}

#[test]
fn no_cgroup_v2() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(Default::default());
    let change = "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do \
                  umount -l $at; done";
    check(&run_after(&agent, change), 1, &["cgroup"]);
}

#[test]
fn no_btf() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(Default::default());
    let change = "mount -t tmpfs none /sys/kernel/btf";
    check(&run_after(&agent, change), 1, &["BTF"]);
}

#[test]
fn an_unmounted_bpffs_is_mounted() {
    if !live() {
        return;
    }
    let agent = Agent::prepare(Default::default());
    let weir = weir_binary().display().to_string();
    let socket = agent.socket().display().to_string();
    // All in one mount namespace: the pins live in the mount that the daemon makes there.
    let daemon = agent.command();
    let run: Vec<_> = daemon
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    let script = format!(
        "umount /sys/fs/bpf 2>/dev/null\n{weir} {} & daemon=$!\n\
         for _ in $(seq 100); do {weir} status --socket {socket} >/dev/null 2>&1 && break; \
         sleep 0.1; done\n\
         {weir} status --socket {socket} >/dev/null && grep -q ' /sys/fs/bpf bpf ' /proc/mounts; \
         code=$?\nkill $daemon; wait $daemon; {weir} off --socket {socket}; exit $code",
        run.join(" ")
    );
    must(Command::new("unshare").args(["-m", "sh", "-c", &script]));
}

#[test]
fn a_full_disk_under_the_store_stops_history_only() {
    if !live() {
        return;
    }
    let mut agent = Agent::prepare(Default::default());
    let state = agent.folder().join("state");
    let disk = TinyDisk::mount(&state);
    disk.fill();
    agent.restart();
    let answer = agent.weir(["edges", "-o", "json"]);
    assert!(answer.status.success(), "{}", told(&answer).1);
    let said = weir_tests::wait_for("a word about the disk", Duration::from_secs(20), || {
        let log = agent.log();
        log.to_lowercase().contains("no space").then_some(log)
    });
    assert!(
        said.contains(&*state.to_string_lossy()),
        "names the place: {said}"
    );
    agent.stop();
    agent.off();
    assert_eq!(kernel::pins(), Vec::<String>::new());
}

/// A file system of 256 KiB.
struct TinyDisk<'a>(&'a std::path::Path);

impl<'a> TinyDisk<'a> {
    fn mount(at: &'a std::path::Path) -> Self {
        must(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=256k", "none"])
                .arg(at),
        );
        Self(at)
    }

    fn fill(&self) {
        let full = fs::write(self.0.join("filler"), vec![0; 1 << 20]);
        assert!(full.is_err(), "the disk is full now");
    }
}

impl Drop for TinyDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}
