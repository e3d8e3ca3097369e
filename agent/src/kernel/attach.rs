//! The table of hooks: hook → program → kernel that has it → what is lost without it.

use std::{fs::File, os::fd::AsFd as _, path::Path};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock,
        CgroupSockAddr, Program, SockOps, links::FdLink,
    },
};

use weir_common::flow::protocol;

use super::{
    bpffs::Pins,
    feature::{Release, release},
    readers, sys,
};

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sockops` on the cgroup root.
    SockOps,
    /// `cgroup_skb` on the cgroup root.
    Ingress,
    /// `cgroup_skb` on the cgroup root.
    Egress,
    /// `connect` or `sendmsg` on the cgroup root.
    SockAddr,
    /// `post_bind` on the cgroup root.
    Sock,
    /// BTF tracepoint of this name.
    Tracepoint(&'static str),
    /// Program that the `cgroup_skb` hooks jump to for this protocol.
    Reader(u8),
    /// Not attached: the agent runs it.
    Run,
}

/// One hook.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Name in `weir status`, and of its pin.
    pub name: &'static str,
    /// Program in the kernel object.
    pub program: &'static str,
    /// How it is attached.
    pub kind: Kind,
    /// First kernel that has all it needs.
    pub since: Release,
    /// What is missing without it.
    pub lost_without: &'static str,
}

const fn hook(
    name: &'static str,
    program: &'static str,
    kind: Kind,
    since: Release,
    lost_without: &'static str,
) -> Hook {
    Hook {
        name,
        program,
        kind,
        since,
        lost_without,
    }
}

/// Name of the hook that gives up what was not answered in time.
pub const SWEEP: &str = "dns_sweep";

/// Name of the hook that sees what applications read.
pub const RECV: &str = "recv";

/// All hooks, in the order in which they are attached: owners are noted before connections are
/// seen, and connections before their packets.
pub const HOOKS: &[Hook] = &[
    hook(
        "post_bind4",
        "weir_post_bind4",
        Kind::Sock,
        release(5, 10),
        "owners of new IPv4 listeners",
    ),
    hook(
        "post_bind6",
        "weir_post_bind6",
        Kind::Sock,
        release(5, 10),
        "owners of new IPv6 listeners",
    ),
    hook(
        "connect4",
        "weir_connect4",
        Kind::SockAddr,
        release(5, 10),
        "callers and outbound policy over IPv4",
    ),
    hook(
        "connect6",
        "weir_connect6",
        Kind::SockAddr,
        release(5, 10),
        "callers and outbound policy over IPv6",
    ),
    hook(
        "sendmsg4",
        "weir_sendmsg4",
        Kind::SockAddr,
        release(5, 10),
        "outbound policy for IPv4 datagrams, their senders",
    ),
    hook(
        "sendmsg6",
        "weir_sendmsg6",
        Kind::SockAddr,
        release(5, 10),
        "outbound policy for IPv6 datagrams, their senders",
    ),
    hook(
        "sockops",
        "weir_sockops",
        Kind::SockOps,
        release(5, 10),
        "connections, bandwidth limits",
    ),
    hook(
        "ingress",
        "weir_ingress",
        Kind::Ingress,
        release(5, 10),
        "exchanges, inbound policy",
    ),
    hook(
        "egress",
        "weir_egress",
        Kind::Egress,
        release(5, 10),
        "exchanges",
    ),
    hook(
        "dns",
        "weir_r_dns",
        Kind::Reader(protocol::DNS),
        release(5, 10),
        "exchanges of DNS over TCP",
    ),
    hook(
        "dns_datagrams",
        "weir_r_datagram",
        Kind::Reader(protocol::DATAGRAMS),
        release(5, 10),
        "exchanges of DNS over UDP, names of peers by DNS",
    ),
    hook(
        SWEEP,
        "weir_sweep",
        Kind::Run,
        release(5, 10),
        "counts of DNS queries without an answer",
    ),
    hook(
        "recognise",
        "weir_r_recognise",
        Kind::Reader(protocol::UNKNOWN),
        release(5, 10),
        "exchanges of all protocols but HTTP/1",
    ),
    hook(
        "bodies",
        "weir_r_bodies",
        Kind::Reader(protocol::HTTP1),
        release(5, 10),
        "events within responses of HTTP/1",
    ),
    hook(
        "graphql",
        "weir_r_graphql",
        Kind::Reader(protocol::GRAPHQL),
        release(5, 10),
        "operations and errors of GraphQL",
    ),
    hook(
        "http2",
        "weir_r_http2",
        Kind::Reader(protocol::HTTP2),
        release(5, 10),
        "exchanges of HTTP/2 and gRPC",
    ),
    hook(
        "memcached",
        "weir_r_memcached",
        Kind::Reader(protocol::MEMCACHED),
        release(5, 10),
        "exchanges of Memcached",
    ),
    hook(
        "mongodb",
        "weir_r_mongodb",
        Kind::Reader(protocol::MONGODB),
        release(5, 10),
        "exchanges of MongoDB",
    ),
    hook(
        "mysql",
        "weir_r_mysql",
        Kind::Reader(protocol::MYSQL),
        release(5, 10),
        "exchanges of MySQL and MariaDB",
    ),
    hook(
        "postgresql",
        "weir_r_postgres",
        Kind::Reader(protocol::POSTGRES),
        release(5, 10),
        "exchanges of PostgreSQL",
    ),
    hook(
        "redis",
        "weir_r_redis",
        Kind::Reader(protocol::REDIS),
        release(5, 10),
        "exchanges of Redis",
    ),
    hook(
        "tls",
        "weir_r_tls",
        Kind::Reader(protocol::TLS),
        release(5, 10),
        "handshakes of TLS",
    ),
    hook(
        "zookeeper",
        "weir_r_zookeeper",
        Kind::Reader(protocol::ZOOKEEPER),
        release(5, 10),
        "exchanges of ZooKeeper",
    ),
    hook(
        "websocket",
        "weir_r_websocket",
        Kind::Reader(protocol::WEBSOCKET),
        release(5, 10),
        "exchanges of WebSocket",
    ),
    hook(
        RECV,
        "weir_recv",
        Kind::Tracepoint("sock_recv_length"),
        release(6, 3),
        "queue times: how long requests wait until the server reads them",
    ),
    hook(
        "exec",
        "weir_exec",
        Kind::Tracepoint("sched_process_exec"),
        release(5, 10),
        "names of short-lived processes",
    ),
    hook(
        "exit",
        "weir_exit",
        Kind::Tracepoint("sched_process_exit"),
        release(5, 10),
        "quick clean-up after processes",
    ),
];

fn program<'a>(hook: &Hook, ebpf: &'a mut Ebpf) -> Result<&'a mut Program> {
    ebpf.program_mut(hook.program)
        .with_context(|| format!("the kernel object has no program {}", hook.program))
}

/// Attaches a loaded program for good. Where an older run's link is pinned, the program behind
/// it is replaced without a gap.
pub fn attach(hook: &Hook, ebpf: &mut Ebpf, cgroup: &Path, pins: &Pins) -> Result<()> {
    if let Kind::Reader(protocol) = hook.kind {
        return readers::attach(hook, protocol, ebpf, pins);
    }
    let pin = pins.link(hook.name);
    if hook.kind == Kind::Run {
        return pin_program(hook, ebpf, &pin);
    }
    if pin.exists() {
        if replace(hook, ebpf, &pin)? {
            return Ok(());
        }
        std::fs::remove_file(&pin).with_context(|| format!("remove {}", pin.display()))?;
    }
    let link = new_link(hook, ebpf, cgroup)?;
    link.pin(&pin)
        .with_context(|| format!("pin the link of {} at {}", hook.name, pin.display()))?;
    Ok(())
}

/// Pins a program that has no link.
fn pin_program(hook: &Hook, ebpf: &mut Ebpf, pin: &Path) -> Result<()> {
    if pin.exists() {
        std::fs::remove_file(pin).with_context(|| format!("remove {}", pin.display()))?;
    }
    let program = <&mut CgroupSkb>::try_from(program(hook, ebpf)?)?;
    program
        .pin(pin)
        .with_context(|| format!("pin {} at {}", hook.name, pin.display()))
}

/// False if links of this kind cannot be updated.
fn replace(hook: &Hook, ebpf: &mut Ebpf, pin: &Path) -> Result<bool> {
    if matches!(hook.kind, Kind::Tracepoint(_)) {
        return Ok(false);
    }
    let link = sys::open_pin(pin).with_context(|| format!("open {}", pin.display()))?;
    let program = program(hook, ebpf)?.fd()?;
    sys::update_link(link.as_fd(), program.as_fd())
        .with_context(|| format!("replace the program of {}", hook.name))?;
    Ok(true)
}

fn new_link(hook: &Hook, ebpf: &mut Ebpf, cgroup: &Path) -> Result<FdLink> {
    let root = File::open(cgroup).with_context(|| format!("open {}", cgroup.display()))?;
    let mode = CgroupAttachMode::default();
    let program = program(hook, ebpf)?;
    let link: FdLink = match hook.kind {
        Kind::SockOps => {
            let program = <&mut SockOps>::try_from(program)?;
            let id = program.attach(root, mode)?;
            program.take_link(id)?.try_into()?
        }
        Kind::Ingress | Kind::Egress => {
            let side = if hook.kind == Kind::Ingress {
                CgroupSkbAttachType::Ingress
            } else {
                CgroupSkbAttachType::Egress
            };
            let program = <&mut CgroupSkb>::try_from(program)?;
            let id = program.attach(root, side, mode)?;
            program.take_link(id)?.try_into()?
        }
        Kind::SockAddr => {
            let program = <&mut CgroupSockAddr>::try_from(program)?;
            let id = program.attach(root, mode)?;
            program.take_link(id)?.try_into()?
        }
        Kind::Sock => {
            let program = <&mut CgroupSock>::try_from(program)?;
            let id = program.attach(root, mode)?;
            program.take_link(id)?.try_into()?
        }
        Kind::Tracepoint(_) => {
            let program = <&mut BtfTracePoint>::try_from(program)?;
            let id = program.attach()?;
            program.take_link(id)?.into()
        }
        Kind::Reader(_) | Kind::Run => bail!("{} has no link", hook.name),
    };
    Ok(link)
}

/// The hook of a name.
pub fn by_name(name: &str) -> Result<&'static Hook> {
    match HOOKS.iter().find(|hook| hook.name == name) {
        Some(hook) => Ok(hook),
        None => bail!("there is no hook {name}"),
    }
}
