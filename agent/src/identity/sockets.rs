//! Which process holds which socket, and all sockets of all network namespaces.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use weir_common::flow::Addr;

use super::{
    interfaces,
    netns::{self, NetNs},
    procfs::Procfs,
    sockdiag::{self, Socket, Transport, state},
};

/// A process that holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Its file descriptor.
    pub fd: i32,
}

/// Holders of the wanted sockets, by inode number. A socket that several processes share (a
/// listener of a master and its workers) belongs to the oldest of them, the lowest pid.
pub fn holders(procfs: &Procfs, wanted: &HashSet<u64>) -> HashMap<u64, Holder> {
    let mut found = HashMap::new();
    for pid in procfs.pids() {
        if found.len() == wanted.len() {
            break;
        }
        // A process that ends meanwhile holds nothing any more.
        for (fd, inode) in procfs.sockets(pid).unwrap_or_default() {
            if wanted.contains(&inode) {
                found.entry(inode).or_insert(Holder { pid, fd });
            }
        }
    }
    found
}

/// Sockets and addresses of one network namespace.
#[derive(Clone, Debug)]
pub struct NetNsSockets {
    /// Where.
    pub netns: NetNs,
    /// Its cookie; 0 if the kernel does not tell.
    pub cookie: u64,
    /// Addresses of its interfaces.
    pub addresses: Vec<Addr>,
    /// Sockets in the states asked for.
    pub sockets: Vec<Socket>,
}

/// What is dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Listening TCP sockets and bound UDP sockets.
    Listeners,
    /// Also open TCP connections.
    Everything,
}

/// Dumps every network namespace. A namespace that cannot be entered is left out and named in
/// the second list.
pub fn all(procfs: &Procfs, scope: Scope) -> (Vec<NetNsSockets>, Vec<(NetNs, io::Error)>) {
    let mut dumped = Vec::new();
    let mut failed = Vec::new();
    for netns in netns::namespaces(procfs) {
        match netns::within(procfs, netns, || dump(netns, scope)) {
            Ok(sockets) => dumped.push(sockets),
            Err(error) => failed.push((netns, error)),
        }
    }
    (dumped, failed)
}

fn dump(netns: NetNs, scope: Scope) -> io::Result<NetNsSockets> {
    let mut states = vec![state::LISTEN];
    if scope == Scope::Everything {
        states.extend(state::OPEN);
    }
    let mut sockets = sockdiag::dump(Transport::Tcp, &states)?;
    // A kernel without udp_diag still has its TCP sockets.
    sockets.extend(sockdiag::dump(Transport::Udp, &[state::CLOSE]).unwrap_or_default());
    Ok(NetNsSockets {
        netns,
        cookie: netns::cookie(),
        addresses: interfaces::addresses()?,
        sockets,
    })
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd};

    use super::*;

    #[test]
    fn this_process_holds_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().unwrap().port();
        let procfs = Procfs::default();
        let (dumped, _) = all(&procfs, Scope::Everything);
        let own = procfs.netns(std::process::id()).expect("own namespace");
        let here = dumped
            .iter()
            .find(|dumped| dumped.netns.inode == own)
            .expect("own namespace");
        let socket = here
            .sockets
            .iter()
            .find(|socket| socket.local_port == port && socket.state == state::LISTEN)
            .expect("listener");
        let held = holders(&procfs, &HashSet::from([socket.inode]));
        let expected = Holder {
            pid: std::process::id(),
            fd: listener.as_raw_fd(),
        };
        assert_eq!(held.get(&socket.inode), Some(&expected));
    }
}
