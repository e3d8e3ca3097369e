//! Network namespaces joined by veth pairs, removed with their handle.

use std::{
    ffi::OsStr,
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsFd as _,
    path::PathBuf,
    process::Command,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{process::must, scratch::unique};

/// A network namespace with loopback up.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes `weir-t-<pid>-<n>`.
    ///
    /// # Panics
    /// If `ip` fails, e.g. without root.
    pub fn new() -> Self {
        let name = format!("weir-t-{}-{}", std::process::id(), unique());
        must(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// A command that runs inside. `nsenter` rather than `ip netns exec`, which mounts a fresh
    /// /sys and so hides the cgroup hierarchy from what it starts.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs `work` on a thread inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let door = File::open(self.path()).expect("open the namespace");
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("enter the namespace");
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `ip ARGUMENTS` on it.
    pub fn ip(&self, arguments: &[&str]) {
        must(Command::new("ip").args(["-n", &self.name]).args(arguments));
    }

    /// Sum of TCP segments that this namespace sent again so far.
    pub fn retransmitted_segments(&self) -> u64 {
        self.run(|| snmp_tcp("RetransSegs"))
    }

    /// Lets one CPU take in what comes over `device` (receive packet steering).
    ///
    /// A sender that moves between CPUs fills a queue of each, and veth then delivers segments out
    /// of order: TCP sends some again and falls short of its rate, with no weir at all.
    fn keep_order(&self, device: &str) {
        // A /sys of the namespace, mounted for this one command only.
        let script = format!(
            "mount -t sysfs none /sys && echo 1 > /sys/class/net/{device}/queues/rx-0/rps_cpus"
        );
        let net = format!("--net={}", self.path().display());
        must(Command::new("unshare").args(["--mount", "nsenter", &net, "sh", "-c", &script]));
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .output();
    }
}

/// A counter of the `Tcp:` lines of this thread's namespace.
fn snmp_tcp(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("read the counters");
    let mut rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("Tcp: "))
        .map(|line| line.split(' '));
    let (names, values) = (rows.next(), rows.next());
    let (Some(mut names), Some(mut values)) = (names, values) else {
        panic!("no Tcp lines in {text}");
    };
    let at = names.position(|found| found == name).expect(name);
    values
        .nth(at)
        .and_then(|value| value.parse().ok())
        .expect(name)
}

/// Two namespaces joined by a veth pair, each end with an IPv4 and an IPv6 address.
pub struct Link {
    /// Address of the first end.
    pub first: IpAddr,
    /// Address of the second end.
    pub second: IpAddr,
    /// IPv6 address of the first end.
    pub first_v6: IpAddr,
    /// IPv6 address of the second end.
    pub second_v6: IpAddr,
}

impl Link {
    /// Joins `first` and `second`; `subnet` tells several links of one test apart.
    pub fn between(first: &Namespace, second: &Namespace, subnet: u8) -> Self {
        let (near, far) = (format!("v{subnet}a"), format!("v{subnet}b"));
        let name = second.name.as_str();
        first.ip(&[
            "link", "add", &near, "type", "veth", "peer", "name", &far, "netns", name,
        ]);
        let link = Self {
            first: Ipv4Addr::new(10, 77, subnet, 1).into(),
            second: Ipv4Addr::new(10, 77, subnet, 2).into(),
            first_v6: Ipv6Addr::new(0xfd77, 0, 0, subnet.into(), 0, 0, 0, 1).into(),
            second_v6: Ipv6Addr::new(0xfd77, 0, 0, subnet.into(), 0, 0, 0, 2).into(),
        };
        for (namespace, device, v4, v6) in [
            (first, &near, link.first, link.first_v6),
            (second, &far, link.second, link.second_v6),
        ] {
            namespace.ip(&["addr", "add", &format!("{v4}/24"), "dev", device]);
            // Duplicate detection would keep the address unusable for a second.
            namespace.ip(&["addr", "add", &format!("{v6}/64"), "dev", device, "nodad"]);
            namespace.ip(&["link", "set", device, "up"]);
            namespace.keep_order(device);
        }
        link
    }
}
