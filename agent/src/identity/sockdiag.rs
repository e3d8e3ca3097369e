//! Sockets of a network namespace, from `sock_diag`.

use std::io;

use weir_common::flow::{Addr, v4_mapped};

use super::netlink::{Family, Netlink, attributes, u32_at};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_CGROUP_ID: u16 = 21;
/// Bytes of `struct inet_diag_msg`.
const MESSAGE_BYTES: usize = 72;

/// Which sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// TCP states, as the kernel numbers them.
pub mod state {
    /// Open.
    pub const ESTABLISHED: u8 = 1;
    /// This end has closed, the peer has not acknowledged.
    pub const FIN_WAIT1: u8 = 4;
    /// This end has closed, the peer still sends.
    pub const FIN_WAIT2: u8 = 5;
    /// Not connected: what every UDP server is.
    pub const CLOSE: u8 = 7;
    /// The peer has closed, this end still sends.
    pub const CLOSE_WAIT: u8 = 8;
    /// Listens.
    pub const LISTEN: u8 = 10;

    /// States in which a connection may still carry data.
    pub const OPEN: [u8; 4] = [ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT];
}

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Transport.
    pub transport: Transport,
    /// One of [`state`].
    pub state: u8,
    /// Own address; zero (`::`) for every address of both families, or `::ffff:0.0.0.0` for
    /// every IPv4 address.
    pub local_addr: Addr,
    /// Own port.
    pub local_port: u16,
    /// The peer's address, zero if none.
    pub remote_addr: Addr,
    /// The peer's port, 0 if none.
    pub remote_port: u16,
    /// Inode number, as in `/proc/PID/fd`; 0 for a socket that no process holds.
    pub inode: u64,
    /// Socket cookie, as the kernel programs see it.
    pub cookie: u64,
    /// cgroup v2 id of its creator; 0 if the kernel does not say (before 5.7).
    pub cgroup_id: u64,
    /// An IPv6 socket that takes no IPv4.
    pub v6_only: bool,
}

/// Dumps the IPv4 and IPv6 sockets in the given states, in the calling thread's network
/// namespace. Errors: netlink is refused, or the kernel lacks `inet_diag`.
pub fn dump(transport: Transport, states: &[u8]) -> io::Result<Vec<Socket>> {
    let netlink = Netlink::open(Family::SockDiag)?;
    let mut sockets = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let request = request(family, transport, states);
        netlink.dump(SOCK_DIAG_BY_FAMILY, &request, |_, payload| {
            sockets.extend(parse(transport, payload));
        })?;
    }
    Ok(sockets)
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, socket id.
fn request(family: u8, transport: Transport, states: &[u8]) -> [u8; 56] {
    let mut request = [0; 56];
    request[0] = family;
    request[1] = match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    let mask = states.iter().fold(0_u32, |mask, state| mask | 1 << state);
    request[4..8].copy_from_slice(&mask.to_ne_bytes());
    request
}

/// Reads `struct inet_diag_msg` and the attributes behind it.
fn parse(transport: Transport, bytes: &[u8]) -> Option<Socket> {
    let (message, rest) = bytes.split_at_checked(MESSAGE_BYTES)?;
    let port = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let mut socket = Socket {
        transport,
        state: message[1],
        local_addr: addr(message[0], &message[8..24])?,
        local_port: port(4),
        remote_addr: addr(message[0], &message[24..40])?,
        remote_port: port(6),
        inode: u64::from(u32_at(message, 68)),
        cookie: u64::from(u32_at(message, 44)) | u64::from(u32_at(message, 48)) << 32,
        cgroup_id: 0,
        v6_only: false,
    };
    for (kind, value) in attributes(rest) {
        match (kind, value) {
            (INET_DIAG_SKV6ONLY, [flag, ..]) => socket.v6_only = *flag != 0,
            (INET_DIAG_CGROUP_ID, value) => {
                socket.cgroup_id = value.try_into().map_or(0, u64::from_ne_bytes);
            }
            _ => {}
        }
    }
    Some(socket)
}

fn addr(family: u8, bytes: &[u8]) -> Option<Addr> {
    match family {
        AF_INET => Some(v4_mapped([bytes[0], bytes[1], bytes[2], bytes[3]])),
        AF_INET6 => bytes.try_into().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
        os::fd::AsFd,
    };

    use rustix::net::sockopt;

    use super::*;
    use crate::observe::model::ip_of;

    fn find(sockets: &[Socket], local: SocketAddr, state: u8) -> Socket {
        *sockets
            .iter()
            .find(|socket| {
                socket.local_port == local.port()
                    && ip_of(&socket.local_addr) == local.ip()
                    && socket.state == state
            })
            .unwrap_or_else(|| panic!("no socket at {local} in state {state}"))
    }

    #[test]
    fn own_connection_is_seen_from_both_ends() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(loopback).expect("bind");
            let server = listener.local_addr().unwrap();
            let stream = TcpStream::connect(server).expect("connect");
            let (_accepted, client) = listener.accept().expect("accept");
            let sockets = dump(Transport::Tcp, &[state::ESTABLISHED, state::LISTEN]).expect("dump");
            let listening = find(&sockets, server, state::LISTEN);
            let near = find(&sockets, client, state::ESTABLISHED);
            let far = find(&sockets, server, state::ESTABLISHED);
            assert_eq!(listening.remote_port, 0);
            assert_eq!(near.remote_port, server.port());
            assert_eq!(far.remote_port, client.port());
            let cookie = sockopt::socket_cookie(stream.as_fd()).expect("cookie");
            assert_eq!(
                near.cookie, cookie,
                "the cookie that the kernel programs see"
            );
            let inodes = [listening.inode, near.inode, far.inode];
            assert!(inodes.iter().all(|inode| *inode != 0));
        }
    }

    #[test]
    fn wildcards_say_which_families_they_take() {
        let v4 = TcpListener::bind("0.0.0.0:0").expect("bind");
        let v6 = TcpListener::bind("[::]:0").expect("bind");
        let sockets = dump(Transport::Tcp, &[state::LISTEN]).expect("dump");
        let v4 = find(&sockets, v4.local_addr().unwrap(), state::LISTEN);
        let v6 = find(&sockets, v6.local_addr().unwrap(), state::LISTEN);
        assert_eq!(v4.local_addr, v4_mapped([0; 4]));
        assert_eq!(v6.local_addr, [0; 16]);
        assert!(!v6.v6_only);
    }

    #[test]
    fn bound_udp_sockets_are_seen() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let sockets = dump(Transport::Udp, &[state::CLOSE]).expect("dump");
        find(&sockets, socket.local_addr().unwrap(), state::CLOSE);
    }

    #[test]
    fn short_messages_are_left_out() {
        assert_eq!(parse(Transport::Tcp, &[AF_INET; MESSAGE_BYTES - 1]), None);
        assert_eq!(parse(Transport::Tcp, &[99; MESSAGE_BYTES]), None);
    }
}
