//! Listening sockets → the addresses at which others reach them. Pure.

use std::collections::BTreeMap;

use weir_common::flow::{Addr, AddressKey, is_loopback, v4_mapped};

use super::{
    sockdiag::{Socket, Transport, state},
    sockets::NetNsSockets,
};

/// Ports from here on are drawn for clients (the kernel's default range): a UDP socket bound
/// there is most likely one that only asks.
const EPHEMERAL_PORTS: u16 = 32_768;

/// True for sockets that others can reach without having been called.
pub fn is_listening(socket: &Socket) -> bool {
    match socket.transport {
        Transport::Tcp => socket.state == state::LISTEN,
        Transport::Udp => {
            socket.state == state::CLOSE
                && socket.remote_port == 0
                && (1..EPHEMERAL_PORTS).contains(&socket.local_port)
        }
    }
}

/// The addresses at which a listening socket is reached: its own, or for a wildcard every
/// address of its namespace. Loopback addresses hold the namespace's cookie, because every
/// namespace has them.
pub fn reached_at(socket: &Socket, namespace: &NetNsSockets) -> Vec<AddressKey> {
    let is_v4 = |addr: &Addr| addr[..12] == v4_mapped([0; 4])[..12];
    let any_v4 = socket.local_addr == v4_mapped([0; 4]);
    let any_v6 = socket.local_addr == [0; 16];
    let reached = |addr: &&Addr| match is_v4(addr) {
        true => any_v4 || (any_v6 && !socket.v6_only),
        false => any_v6,
    };
    let addresses: Vec<Addr> = if any_v4 || any_v6 {
        let own = namespace.addresses.iter();
        own.filter(reached).copied().collect()
    } else {
        vec![socket.local_addr]
    };
    addresses
        .into_iter()
        .map(|addr| AddressKey {
            netns_cookie: if is_loopback(&addr) {
                namespace.cookie
            } else {
                0
            },
            addr,
            port: socket.local_port,
            _pad: [0; 6],
        })
        .collect()
}

/// Addresses of all listening sockets whose owner is known. `owner` gives the workload id of a
/// socket. Where TCP and UDP share a port the TCP server is meant.
pub fn table(
    namespaces: &[NetNsSockets],
    owner: impl Fn(&Socket) -> Option<u64>,
) -> BTreeMap<AddressKey, u64> {
    let mut table = BTreeMap::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        for namespace in namespaces {
            let sockets = namespace.sockets.iter();
            for socket in sockets.filter(|s| s.transport == transport && is_listening(s)) {
                if let Some(workload) = owner(socket) {
                    let keys = reached_at(socket, namespace);
                    table.extend(keys.into_iter().map(|key| (key, workload)));
                }
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::netns::NetNs, observe::model::ip_of};

    fn namespace() -> NetNsSockets {
        let six = "2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets();
        let loopback6 = std::net::Ipv6Addr::LOCALHOST.octets();
        NetNsSockets {
            netns: NetNs { inode: 1, pid: 1 },
            cookie: 42,
            addresses: vec![
                v4_mapped([127, 0, 0, 1]),
                v4_mapped([10, 0, 0, 1]),
                loopback6,
                six,
            ],
            sockets: Vec::new(),
        }
    }

    fn socket(local_addr: Addr, v6_only: bool) -> Socket {
        Socket {
            transport: Transport::Tcp,
            state: state::LISTEN,
            local_addr,
            local_port: 80,
            remote_addr: [0; 16],
            remote_port: 0,
            inode: 1,
            cookie: 1,
            cgroup_id: 0,
            v6_only,
        }
    }

    #[test]
    fn wildcards_are_expanded_by_family() {
        for (addr, v6_only, expected) in [
            (v4_mapped([0; 4]), false, vec!["127.0.0.1@42", "10.0.0.1@0"]),
            (
                [0; 16],
                false,
                vec!["127.0.0.1@42", "10.0.0.1@0", "::1@42", "2001:db8::1@0"],
            ),
            ([0; 16], true, vec!["::1@42", "2001:db8::1@0"]),
            (v4_mapped([10, 9, 9, 9]), false, vec!["10.9.9.9@0"]),
            (v4_mapped([127, 0, 0, 53]), false, vec!["127.0.0.53@42"]),
        ] {
            let keys = reached_at(&socket(addr, v6_only), &namespace());
            let texts: Vec<String> = keys
                .iter()
                .map(|key| format!("{}@{}", ip_of(&key.addr), key.netns_cookie))
                .collect();
            assert_eq!(texts, expected);
        }
    }

    #[test]
    fn tcp_goes_before_udp_and_unknown_owners_are_left_out() {
        let mut namespace = namespace();
        let tcp = socket(v4_mapped([10, 0, 0, 1]), false);
        let mut udp = tcp;
        (udp.transport, udp.state, udp.inode) = (Transport::Udp, state::CLOSE, 2);
        let mut other = tcp;
        (other.local_port, other.inode) = (81, 3);
        let mut asking = udp;
        (asking.local_port, asking.inode) = (50_000, 4);
        namespace.sockets = vec![tcp, udp, other, asking];
        let table = table(&[namespace], |socket| {
            (socket.inode != 3).then_some(socket.inode)
        });
        let ports: Vec<(u16, u64)> = table.iter().map(|(key, id)| (key.port, *id)).collect();
        assert_eq!(ports, [(80, 1)]);
    }
}
