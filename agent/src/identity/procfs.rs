//! What `/proc` says of a process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

/// Longest environment or command line that is read, bytes.
const MAX_BYTES: u64 = 128 * 1024;

/// `PF_FORKNOEXEC` of the kernel's task flags: forked, never executed a program of its own.
const FORKED_NO_EXEC: u64 = 0x40;

/// `PF_KTHREAD`: a thread of the kernel.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent: u32,
    /// Command name, up to 15 bytes.
    pub comm: String,
    /// Start time, clock ticks since boot: tells a reused pid.
    pub started_ticks: u64,
    /// Runs its parent's program: forked and never executed another.
    pub forked_no_exec: bool,
    /// A thread of the kernel.
    pub kernel_thread: bool,
    /// Path of the executable, empty if it cannot be read.
    pub exe: String,
    /// Arguments.
    pub cmdline: Vec<String>,
    /// The few environment variables that say who it is.
    pub environment: Environment,
    /// `/proc/PID/cgroup`.
    pub cgroup_file: String,
}

/// Environment variables that say who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, decoded.
    pub attributes: BTreeMap<String, String>,
    /// `HOSTNAME`: the name of a pod, inside one.
    pub hostname: Option<String>,
}

/// A `/proc` tree.
#[derive(Clone, Debug)]
pub struct Procfs {
    root: PathBuf,
}

impl Default for Procfs {
    fn default() -> Self {
        Self::at("/proc")
    }
}

impl Procfs {
    /// The tree mounted at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Path of a file of a process.
    pub fn path(&self, pid: u32, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    /// Reads a process. Errors: `NotFound` once it is gone; what it may not read stays empty.
    pub fn process(&self, pid: u32) -> io::Result<ProcessInfo> {
        let mut info = parse_stat(&self.text(pid, "stat")?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "stat of a process"))?;
        info.pid = pid;
        if info.kernel_thread {
            return Ok(info);
        }
        info.exe = fs::read_link(self.path(pid, "exe"))
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default();
        info.cmdline = parse_cmdline(&self.bytes(pid, "cmdline").unwrap_or_default());
        info.environment = parse_environ(&self.bytes(pid, "environ").unwrap_or_default());
        info.cgroup_file = self.text(pid, "cgroup").unwrap_or_default();
        Ok(info)
    }

    /// Start time of a process, clock ticks since boot; `None` once it is gone.
    pub fn started_ticks(&self, pid: u32) -> Option<u64> {
        parse_stat(&self.text(pid, "stat").ok()?).map(|info| info.started_ticks)
    }

    /// Command name of a process as the kernel keeps it, NUL padded; zero once it is gone.
    pub fn comm(&self, pid: u32) -> [u8; 16] {
        let mut comm = [0; 16];
        let text = self.bytes(pid, "comm").unwrap_or_default();
        // Fifteen bytes at most; the file ends in a line feed.
        let name = text.strip_suffix(b"\n").unwrap_or(&text);
        for (byte, letter) in comm.iter_mut().take(15).zip(name) {
            *byte = *letter;
        }
        comm
    }

    /// Every process id, in ascending order.
    pub fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let mut pids: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        pids
    }

    /// Inode number of a process's network namespace.
    pub fn netns(&self, pid: u32) -> io::Result<u64> {
        let link = fs::read_link(self.path(pid, "ns/net"))?;
        bracketed(&link.to_string_lossy(), "net:")
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "link of a namespace"))
    }

    /// Sockets that a process holds: file descriptor and inode number.
    pub fn sockets(&self, pid: u32) -> io::Result<Vec<(i32, u64)>> {
        let mut sockets = Vec::new();
        for entry in fs::read_dir(self.path(pid, "fd"))?.flatten() {
            let Ok(link) = fs::read_link(entry.path()) else {
                continue;
            };
            let fd = entry.file_name().to_str().and_then(|fd| fd.parse().ok());
            let inode = link.to_str().and_then(|link| bracketed(link, "socket:"));
            if let (Some(fd), Some(inode)) = (fd, inode) {
                sockets.push((fd, inode));
            }
        }
        Ok(sockets)
    }

    /// Text of a file at the top of the tree, e.g. `mounts`.
    pub fn top(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.root.join(file))
    }

    fn bytes(&self, pid: u32, file: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(pid, file))?
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn text(&self, pid: u32, file: &str) -> io::Result<String> {
        let bytes = self.bytes(pid, file)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The number in `prefix[number]`.
fn bracketed(link: &str, prefix: &str) -> Option<u64> {
    link.strip_prefix(prefix)?
        .strip_prefix('[')?
        .strip_suffix(']')?
        .parse()
        .ok()
}

fn parse_stat(text: &str) -> Option<ProcessInfo> {
    // The name stands in parentheses and may hold any byte, so the last one closes it.
    let (head, rest) = text.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let flags = number(6)?;
    Some(ProcessInfo {
        parent: u32::try_from(number(1)?).ok()?,
        comm: comm.to_owned(),
        started_ticks: number(19)?,
        forked_no_exec: flags & FORKED_NO_EXEC != 0,
        kernel_thread: flags & KERNEL_THREAD != 0,
        ..ProcessInfo::default()
    })
}

fn parse_cmdline(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

fn parse_environ(bytes: &[u8]) -> Environment {
    let mut found = Environment::default();
    for variable in bytes.split(|byte| *byte == 0) {
        let Ok(variable) = std::str::from_utf8(variable) else {
            continue;
        };
        match variable.split_once('=') {
            Some((_, "")) | None => {}
            Some(("OTEL_SERVICE_NAME", value)) => found.service_name = Some(value.into()),
            Some(("HOSTNAME", value)) => found.hostname = Some(value.into()),
            Some(("OTEL_RESOURCE_ATTRIBUTES", value)) => {
                found.attributes = parse_attributes(value);
            }
            Some(_) => {}
        }
    }
    found
}

/// Most attributes that are kept of a process.
const MAX_ATTRIBUTES: usize = 32;

/// Reads `key=value,key=value` with percent-encoded values. As the OpenTelemetry specification
/// asks, one malformed pair makes the whole variable void.
pub fn parse_attributes(text: &str) -> BTreeMap<String, String> {
    let pairs = text
        .split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = percent_decoded(key.trim())?;
            (!key.is_empty()).then_some((key, percent_decoded(value.trim())?))
        });
    let all: Option<BTreeMap<String, String>> = pairs.take(MAX_ATTRIBUTES).collect();
    all.unwrap_or_default()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd, process::Command};

    use super::*;

    #[test]
    fn stat_lines_with_hostile_names() {
        let tail = "S 7 1 1 0 -1 4194368 1 0 0 0 1 1 0 0 20 0 1 0 4711 9 9";
        for (comm, expected) in [("nginx", "nginx"), ("a) S 9 (b", "a) S 9 (b"), ("", "")] {
            let info = parse_stat(&format!("12 ({comm}) {tail}")).expect("stat");
            assert_eq!(info.comm, expected);
            assert_eq!((info.parent, info.started_ticks), (7, 4711));
            assert!(info.forked_no_exec && !info.kernel_thread);
        }
        for broken in ["", "12", "12 (x", "12 (x)", "12 (x) S 1"] {
            assert_eq!(parse_stat(broken), None);
        }
    }

    #[test]
    fn resource_attributes_as_specified() {
        let table: [(&str, &[(&str, &str)]); 6] = [
            ("", &[]),
            ("a=b", &[("a", "b")]),
            ("a=b, c = d ,", &[("a", "b"), ("c", "d")]),
            ("a=x%2Cy%3Dz", &[("a", "x,y=z")]),
            ("a=b,broken", &[]),
            ("a=%zz", &[]),
        ];
        for (text, expected) in table {
            let expected = expected
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect();
            assert_eq!(parse_attributes(text), expected, "{text}");
        }
    }

    #[test]
    fn this_process_and_a_child_are_read() {
        let procfs = Procfs::default();
        let own = procfs.process(std::process::id()).expect("own process");
        assert_eq!(own.exe, std::env::current_exe().unwrap().to_string_lossy());
        assert!(!own.cmdline.is_empty() && own.started_ticks > 0);
        assert!(
            procfs
                .comm(std::process::id())
                .starts_with(own.comm.as_bytes())
        );
        assert_eq!(procfs.comm(u32::MAX), [0; 16]);
        let mut child = Command::new("sleep")
            .arg("30")
            .env("OTEL_SERVICE_NAME", "sleeper")
            .env("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=night")
            .spawn()
            .expect("sleep");
        // The arguments appear a moment after the new program does.
        let info = (0..100)
            .map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(5));
                procfs.process(child.id()).expect("child")
            })
            .find(|info| !info.cmdline.is_empty())
            .expect("arguments");
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert_eq!(info.parent, std::process::id());
        assert_eq!(info.environment.service_name.as_deref(), Some("sleeper"));
        assert_eq!(
            info.environment
                .attributes
                .get("service.namespace")
                .map(String::as_str),
            Some("night")
        );
        let gone = procfs.process(child.id()).map_err(|error| error.kind());
        assert_eq!(gone, Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn own_sockets_and_namespace_are_found() {
        let procfs = Procfs::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let sockets = procfs.sockets(std::process::id()).expect("fds");
        assert!(sockets.iter().any(|(fd, _)| *fd == listener.as_raw_fd()));
        assert!(procfs.netns(std::process::id()).expect("netns") > 0);
        assert!(procfs.pids().contains(&std::process::id()));
    }
}
