//! Local listening addresses → workloads, for the kernel's map and for peers.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use weir_common::flow::AddressKey;

use super::Daemon;
use crate::{
    identity::{
        listeners::{is_listening, table},
        registry::Hint,
        sockdiag::Socket,
        sockets::{Holder, NetNsSockets, Scope, all, holders},
    },
    observe::model::Workload,
};

/// A socket whose holder was not found is looked for again only after a while, ns: looking means
/// reading the descriptors of every process.
const RETRY_NS: u64 = 30_000_000_000;

/// What is remembered between two scans.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// Holders of listening sockets, by inode number.
    held: HashMap<u64, Holder>,
    /// Sockets without a holder, and when they were last looked for, ns.
    orphans: HashMap<u64, u64>,
    /// What the kernel's map holds.
    written: BTreeMap<AddressKey, u64>,
}

impl Daemon {
    /// Finds the listening sockets of all network namespaces and who they belong to.
    pub(super) fn scan_listeners(&self, listening: &mut Listening, now_ns: u64) {
        let (dumped, failed) = all(self.registry.procfs(), Scope::Listeners);
        self.count_namespaces(failed.len());
        self.find_holders(listening, &dumped, now_ns);
        let addresses = table(&dumped, |socket| {
            let owner = self.owner_of(socket, listening.held.get(&socket.inode), now_ns);
            owner.map(|workload| workload.id)
        });
        self.registry.set_listeners(addresses.clone());
        if addresses != listening.written {
            let all: Vec<(AddressKey, u64)> = addresses.iter().map(|(k, v)| (*k, *v)).collect();
            self.write("an address", self.kernel.set_addresses(&all));
            listening.written = addresses;
        }
    }

    fn find_holders(&self, listening: &mut Listening, dumped: &[NetNsSockets], now_ns: u64) {
        let inodes: HashSet<u64> = dumped
            .iter()
            .flat_map(|namespace| &namespace.sockets)
            .filter(|socket| is_listening(socket) && socket.inode != 0)
            .map(|socket| socket.inode)
            .collect();
        listening
            .held
            .retain(|inode, holder| inodes.contains(inode) && self.registry.knows(holder.pid));
        listening.orphans.retain(|inode, looked_ns| {
            inodes.contains(inode) && now_ns.saturating_sub(*looked_ns) < RETRY_NS
        });
        let wanted: HashSet<u64> = inodes
            .into_iter()
            .filter(|inode| {
                !listening.held.contains_key(inode) && !listening.orphans.contains_key(inode)
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        let found = holders(self.registry.procfs(), &wanted);
        let orphans = wanted.iter().filter(|inode| !found.contains_key(inode));
        listening
            .orphans
            .extend(orphans.map(|inode| (*inode, now_ns)));
        listening.held.extend(found);
    }

    /// The workload that a socket belongs to: its holder's, else its cgroup's.
    pub(super) fn owner_of(
        &self,
        socket: &Socket,
        holder: Option<&Holder>,
        now_ns: u64,
    ) -> Option<Arc<Workload>> {
        let by_process =
            holder.and_then(|holder| self.registry.resolve(holder.pid, &Hint::default(), now_ns));
        by_process.or_else(|| self.registry.cgroup(socket.cgroup_id))
    }
}
