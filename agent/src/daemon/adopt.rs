//! Takes up the sockets that are older than weir, at start.

use std::collections::{HashMap, HashSet};

use weir_common::flow::Owner;

use super::{
    Daemon,
    adoption::{Adoption, plan},
    port::OldConnection,
    time,
};
use crate::identity::{
    sockdiag::Socket,
    sockets::{Holder, Scope, all, holders},
};

/// What was taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Listening sockets.
    pub listeners: u64,
    /// Open connections.
    pub connections: u64,
    /// Sockets that could not be taken up.
    pub failed: u64,
}

impl Daemon {
    /// Takes up every TCP socket of this host that is older than weir. Call it once, after the
    /// programs are attached: what begins in between they see themselves.
    pub fn adopt(&self) -> Adopted {
        let (namespaces, failed) = all(self.registry.procfs(), Scope::Everything);
        self.count_namespaces(failed.len());
        let wanted: HashSet<u64> = namespaces
            .iter()
            .flat_map(|namespace| &namespace.sockets)
            .map(|socket| socket.inode)
            .filter(|inode| *inode != 0)
            .collect();
        let held = holders(self.registry.procfs(), &wanted);
        let mut adopted = Adopted::default();
        for adoption in plan(&namespaces) {
            let Some(holder) = held.get(&adoption.socket.inode) else {
                // It was closed, or is not accepted yet: then its listener gives it its owner.
                continue;
            };
            match self.adopt_one(&adoption, *holder, &held) {
                Ok(()) if adoption.role.is_none() => adopted.listeners += 1,
                Ok(()) => adopted.connections += 1,
                Err(error) => {
                    adopted.failed += 1;
                    let what = "a socket cannot be taken up";
                    self.trouble(&self.troubles.adoptions, what, &error);
                }
            }
        }
        adopted
    }

    fn adopt_one(
        &self,
        adoption: &Adoption<'_>,
        holder: Holder,
        held: &HashMap<u64, Holder>,
    ) -> anyhow::Result<()> {
        let socket = adoption.socket;
        let owner = self.owner(socket, &holder);
        let Some(role) = adoption.role else {
            return self.kernel.adopt_listener(holder.pid, holder.fd, &owner);
        };
        // An end that nobody holds (not accepted yet) will not count, so this one has to.
        let peer = adoption
            .peer
            .and_then(|peer| Some((peer, held.get(&peer.inode)?)));
        let facts = OldConnection {
            cookie: socket.cookie,
            role,
            owner,
            peer: peer.map(|(peer, holder)| self.owner(peer, holder)),
            peer_cookie: peer.map(|(peer, _)| peer.cookie),
            local: (socket.local_addr, socket.local_port),
            remote: (socket.remote_addr, socket.remote_port),
        };
        self.kernel.adopt_connection(holder.pid, holder.fd, &facts)
    }

    fn owner(&self, socket: &Socket, holder: &Holder) -> Owner {
        let workload = self.owner_of(socket, Some(holder), time::monotonic_ns());
        Owner {
            workload: workload.map_or(0, |workload| workload.id),
            cgroup_id: socket.cgroup_id,
            comm: self.registry.procfs().comm(holder.pid),
            tgid: holder.pid,
            _pad: 0,
        }
    }
}
