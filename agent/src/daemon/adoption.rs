//! Which sockets that are older than weir are taken up, and as what. Pure.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};

use weir_common::flow::{Addr, is_loopback, role, v4_mapped};

use crate::identity::{
    sockdiag::{Socket, Transport, state},
    sockets::NetNsSockets,
};

/// What is to be done about one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adoption<'a> {
    /// The socket.
    pub socket: &'a Socket,
    /// `None` for a listener or UDP socket, else [`role`] of this end.
    pub role: Option<u8>,
    /// The other end, when it is on this host.
    pub peer: Option<&'a Socket>,
}

/// Address and port of both ends, from one end's view.
type Tuple = (Addr, u16, Addr, u16);

/// Plans what to take up, listeners first, so that nothing is accepted meanwhile without an
/// owner.
///
/// A connection is the server's end if something listens on its local port in its namespace,
/// else the client's. Of a pair on this host one end is the server's: if listening does not say
/// which (both ports are listened on, or the listener is gone), the lower port is. Ends are
/// paired by their addresses, those on loopback only within one namespace; where addresses are
/// translated in between the ends stay unpaired.
pub fn plan(namespaces: &[NetNsSockets]) -> Vec<Adoption<'_>> {
    let mut listeners = Vec::new();
    let mut connections = Vec::new();
    let ends = Ends::of(namespaces);
    let ports: Vec<ListeningPorts> = namespaces.iter().map(ListeningPorts::of).collect();
    for (index, namespace) in namespaces.iter().enumerate() {
        for socket in namespace.sockets.iter().filter(|socket| socket.inode != 0) {
            // A UDP socket that is not connected may serve.
            let serves = socket.transport == Transport::Udp || socket.state == state::LISTEN;
            if serves {
                listeners.push(Adoption {
                    socket,
                    role: None,
                    peer: None,
                });
            } else if state::OPEN.contains(&socket.state) {
                let peer = ends.peer(index, socket);
                let listened_on = ports[index].holds(socket);
                let is_server = match peer {
                    None => listened_on,
                    Some((at, peer)) => match (listened_on, ports[at].holds(peer)) {
                        (true, false) => true,
                        (false, true) => false,
                        _ => socket.local_port < socket.remote_port,
                    },
                };
                connections.push(Adoption {
                    socket,
                    role: Some(if is_server {
                        role::SERVER
                    } else {
                        role::CLIENT
                    }),
                    peer: peer.map(|(_, peer)| peer),
                });
            }
        }
    }
    listeners.extend(connections);
    listeners
}

/// Ports that are listened on in a namespace, with the addresses.
struct ListeningPorts(BTreeMap<u16, Vec<Addr>>);

impl ListeningPorts {
    fn of(namespace: &NetNsSockets) -> Self {
        let mut ports: BTreeMap<u16, Vec<Addr>> = BTreeMap::new();
        for socket in &namespace.sockets {
            if socket.transport == Transport::Tcp && socket.state == state::LISTEN {
                let addresses = ports.entry(socket.local_port).or_default();
                addresses.push(socket.local_addr);
            }
        }
        Self(ports)
    }

    fn holds(&self, socket: &Socket) -> bool {
        let any = [[0; 16], v4_mapped([0; 4])];
        self.0.get(&socket.local_port).is_some_and(|addresses| {
            addresses
                .iter()
                .any(|addr| any.contains(addr) || *addr == socket.local_addr)
        })
    }
}

/// Open connections by their addresses, each with the index of its namespace.
struct Ends<'a>(HashMap<Tuple, Vec<(usize, &'a Socket)>>);

impl<'a> Ends<'a> {
    fn of(namespaces: &'a [NetNsSockets]) -> Self {
        let mut ends: HashMap<Tuple, Vec<(usize, &Socket)>> = HashMap::new();
        for (index, namespace) in namespaces.iter().enumerate() {
            for socket in &namespace.sockets {
                if socket.transport == Transport::Tcp && state::OPEN.contains(&socket.state) {
                    let tuple = (
                        socket.local_addr,
                        socket.local_port,
                        socket.remote_addr,
                        socket.remote_port,
                    );
                    ends.entry(tuple).or_default().push((index, socket));
                }
            }
        }
        Self(ends)
    }

    fn peer(&self, index: usize, socket: &Socket) -> Option<(usize, &'a Socket)> {
        let mirrored = (
            socket.remote_addr,
            socket.remote_port,
            socket.local_addr,
            socket.local_port,
        );
        let found = self.0.get(&mirrored)?;
        let is_within = is_loopback(&socket.local_addr) || is_loopback(&socket.remote_addr);
        let near = found.iter().find(|(at, _)| *at == index);
        let far = || (!is_within).then(|| found.first()).flatten();
        near.or_else(far).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::netns::NetNs;

    fn socket(local: (u8, u16), remote: (u8, u16), state: u8) -> Socket {
        let addr = |last: u8| match last {
            0 => v4_mapped([0; 4]),
            127 => v4_mapped([127, 0, 0, 1]),
            last => v4_mapped([10, 0, 0, last]),
        };
        Socket {
            transport: Transport::Tcp,
            state,
            local_addr: addr(local.0),
            local_port: local.1,
            remote_addr: addr(remote.0),
            remote_port: remote.1,
            inode: 1,
            cookie: u64::from(local.1),
            cgroup_id: 0,
            v6_only: false,
        }
    }

    fn listener(local: (u8, u16)) -> Socket {
        socket(local, (0, 0), state::LISTEN)
    }

    fn open(local: (u8, u16), remote: (u8, u16)) -> Socket {
        socket(local, remote, state::ESTABLISHED)
    }

    fn namespaces(sockets: &[&[Socket]]) -> Vec<NetNsSockets> {
        sockets
            .iter()
            .enumerate()
            .map(|(index, sockets)| NetNsSockets {
                netns: NetNs {
                    inode: index as u64,
                    pid: 1,
                },
                cookie: 1,
                addresses: Vec::new(),
                sockets: sockets.to_vec(),
            })
            .collect()
    }

    /// `local port, role letter, whether paired` of each, in order.
    fn check(sockets: &[&[Socket]], expected: &[(u16, char, bool)]) {
        let namespaces = namespaces(sockets);
        let planned: Vec<(u16, char, bool)> = plan(&namespaces)
            .iter()
            .map(|adoption| {
                let letter = match adoption.role {
                    None => 'L',
                    Some(role::SERVER) => 'S',
                    _ => 'C',
                };
                let paired = adoption.peer.is_some();
                (adoption.socket.local_port, letter, paired)
            })
            .collect();
        assert_eq!(planned, expected);
    }

    #[test]
    fn listeners_come_first_and_tell_the_role() {
        check(
            &[&[
                open((1, 80), (9, 4000)),
                open((1, 5000), (9, 443)),
                listener((0, 80)),
            ]],
            &[(80, 'L', false), (80, 'S', false), (5000, 'C', false)],
        );
        check(
            &[&[listener((127, 80)), open((1, 80), (9, 4000))]],
            &[(80, 'L', false), (80, 'C', false)],
        );
    }

    #[test]
    fn both_ends_on_this_host_are_paired() {
        let loopback: &[Socket] = &[
            listener((127, 80)),
            open((127, 80), (127, 4000)),
            open((127, 4000), (127, 80)),
        ];
        let expected = [(80, 'L', false), (80, 'S', true), (4000, 'C', true)];
        check(&[loopback], &expected);
        // Across namespaces by address, but never on loopback.
        check(
            &[
                &[listener((0, 80)), open((1, 80), (2, 4000))],
                &[open((2, 4000), (1, 80))],
            ],
            &expected,
        );
        check(
            &[
                &[listener((0, 80)), open((127, 80), (127, 4000))],
                &[open((127, 4000), (127, 80))],
            ],
            &[(80, 'L', false), (80, 'S', false), (4000, 'C', false)],
        );
    }

    #[test]
    fn a_pair_has_one_server_also_when_listening_does_not_tell() {
        let ends = [open((1, 80), (1, 4000)), open((1, 4000), (1, 80))];
        check(&[&ends], &[(80, 'S', true), (4000, 'C', true)]);
        let both = [ends[0], ends[1], listener((0, 80)), listener((0, 4000))];
        check(
            &[&both],
            &[
                (80, 'L', false),
                (4000, 'L', false),
                (80, 'S', true),
                (4000, 'C', true),
            ],
        );
    }

    #[test]
    fn what_nobody_holds_or_is_over_is_left() {
        let mut orphan = open((1, 80), (9, 4000));
        orphan.inode = 0;
        let closing = socket((1, 81), (9, 4000), 6);
        check(&[&[orphan, closing]], &[]);
    }
}
