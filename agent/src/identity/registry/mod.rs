//! Everybody who is known: processes, cgroups, listening addresses, workloads. Answers names.

mod names;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use weir_common::flow::AddressKey;

use self::tables::{MAX_CONTAINERS, MAX_PROCESSES, MAX_WORKLOADS, Process, Tables};
use super::{
    cgroup::{CgroupIdentity, identify_proc_file},
    container::{ContainerInfo, ContainerState},
    naming::{Known, name_by_comm, name_process},
    procfs::{ProcessInfo, Procfs},
    rules::Rules,
};
use crate::observe::{model::Workload, parties::comm_text, protocol::dns::Addresses};

/// How long a process that ended is still known, ns: its last records are on their way.
const REMEMBER_NS: u64 = 60_000_000_000;

/// How far up a worker's parents are followed.
const MAX_PARENTS: usize = 4;

/// Names of everybody on this host, and of peers by rule. Shared between threads.
#[derive(Debug)]
pub struct Registry {
    procfs: Procfs,
    containers: ContainerState,
    rules: Rules,
    known: RwLock<Tables>,
    generation: AtomicU64,
}

/// What a record says of a process, for the case that it is gone before it can be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint {
    /// Command name, NUL padded.
    pub comm: [u8; 16],
    /// cgroup v2 id.
    pub cgroup_id: u64,
}

impl Registry {
    /// A registry that reads this host's `/proc`.
    pub fn new(rules: Rules) -> Self {
        Self::over(Procfs::default(), ContainerState::default(), rules)
    }

    /// A registry over other trees.
    pub fn over(procfs: Procfs, containers: ContainerState, rules: Rules) -> Self {
        Self {
            procfs,
            containers,
            rules,
            known: RwLock::new(Tables::default()),
            generation: AtomicU64::new(1),
        }
    }

    /// Naming rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The `/proc` that it reads.
    pub fn procfs(&self) -> &Procfs {
        &self.procfs
    }

    // Every write leaves the tables whole, so what a panicking writer left is still good.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The workload of a process: known, or read from `/proc` now. `None` for threads of the
    /// kernel, and for a process that is gone and of which the hint says nothing.
    pub fn resolve(&self, pid: u32, hint: &Hint, now_ns: u64) -> Option<Arc<Workload>> {
        let known = self.read().processes.get(&pid).cloned();
        if let Some(process) = known {
            // The id of a process that ended may be somebody else's by now.
            if process.ended_ns.is_none() || self.procfs.started_ticks(pid).is_none() {
                return Some(process.workload);
            }
        }
        self.learn(pid, hint, now_ns)
    }

    /// Reads a process from `/proc`, whatever was known of its id before.
    pub fn learn(&self, pid: u32, hint: &Hint, now_ns: u64) -> Option<Arc<Workload>> {
        let Ok(info) = self.procfs.process(pid) else {
            return self.learn_gone(pid, hint, now_ns);
        };
        if info.kernel_thread {
            return None;
        }
        let workload = self.name(&info, MAX_PARENTS);
        let process = Process {
            workload: Arc::clone(&workload),
            exe: info.exe,
            started_ticks: info.started_ticks,
            ended_ns: None,
        };
        let mut tables = self.write();
        tables.add_workload(&workload);
        // In the moment of exec there are no arguments yet: such a name is not kept.
        if !info.cmdline.is_empty() {
            tables.add_process(pid, process);
        }
        Some(workload)
    }

    fn learn_gone(&self, pid: u32, hint: &Hint, now_ns: u64) -> Option<Arc<Workload>> {
        let mut tables = self.write();
        let workload = match tables.cgroups.get(&hint.cgroup_id) {
            Some(workload) => Arc::clone(workload),
            None if hint.comm[0] != 0 => name_by_comm(&comm_text(&hint.comm)),
            None => return None,
        };
        tables.add_workload(&workload);
        let process = Process {
            workload: Arc::clone(&workload),
            exe: String::new(),
            started_ticks: 0,
            ended_ns: Some(now_ns),
        };
        tables.add_process(pid, process);
        Some(workload)
    }

    fn name(&self, info: &ProcessInfo, parents: usize) -> Arc<Workload> {
        let cgroup = identify_proc_file(&info.cgroup_file);
        let container = self.container(&cgroup);
        let parent = info
            .forked_no_exec
            .then(|| self.same_program_parent(info, parents))
            .flatten();
        let known = Known {
            process: info,
            cgroup: &cgroup,
            container: container.as_ref(),
            parent: parent.as_ref(),
        };
        name_process(&known, &self.rules)
    }

    /// The workload of the parent, if it runs the same program.
    fn same_program_parent(&self, info: &ProcessInfo, parents: usize) -> Option<Arc<Workload>> {
        if parents == 0 || info.parent <= 1 {
            return None;
        }
        if let Some(known) = self.read().processes.get(&info.parent) {
            return (known.exe == info.exe).then(|| Arc::clone(&known.workload));
        }
        let parent = self.procfs.process(info.parent).ok()?;
        (parent.exe == info.exe && !parent.exe.is_empty()).then(|| self.name(&parent, parents - 1))
    }

    /// What the container manager says of a cgroup's container; asked once per container.
    pub fn container(&self, cgroup: &CgroupIdentity) -> Option<ContainerInfo> {
        let id = cgroup.container.as_ref()?;
        if let Some(known) = self.read().containers.get(id) {
            return known.clone();
        }
        let found = self.containers.find(id);
        let mut tables = self.write();
        if tables.containers.len() >= MAX_CONTAINERS {
            tables.containers.clear();
        }
        tables.containers.insert(id.clone(), found.clone());
        found
    }

    /// A process ended: it stays known for the records that are on their way.
    pub fn ended(&self, pid: u32, now_ns: u64) {
        if let Some(process) = self.write().processes.get_mut(&pid) {
            process.ended_ns.get_or_insert(now_ns);
        }
    }

    /// Forgets processes that ended a while ago, and finds those whose end was not told; returns
    /// the latter.
    pub fn sweep(&self, now_ns: u64) -> Vec<u32> {
        let living: Vec<(u32, u64)> = self
            .read()
            .processes
            .iter()
            .filter(|(_, process)| process.ended_ns.is_none())
            .map(|(pid, process)| (*pid, process.started_ticks))
            .collect();
        let gone: Vec<u32> = living
            .into_iter()
            .filter(|(pid, started)| self.procfs.started_ticks(*pid) != Some(*started))
            .map(|(pid, _)| pid)
            .collect();
        let mut tables = self.write();
        for pid in &gone {
            if let Some(process) = tables.processes.get_mut(pid) {
                process.ended_ns.get_or_insert(now_ns);
            }
        }
        tables.processes.retain(|_, process| {
            process
                .ended_ns
                .is_none_or(|ended| now_ns.saturating_sub(ended) < REMEMBER_NS)
        });
        if tables.resolved.expire(now_ns) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        gone
    }

    /// True if the process is known and lives, as far as was told.
    pub fn knows(&self, pid: u32) -> bool {
        let tables = self.read();
        let known = tables.processes.get(&pid);
        known.is_some_and(|process| process.ended_ns.is_none())
    }

    /// Takes the workloads of cgroups, by cgroup v2 id, in place of the former.
    pub fn set_cgroups(&self, cgroups: HashMap<u64, Arc<Workload>>) {
        let mut tables = self.write();
        for workload in cgroups.values() {
            tables.add_workload(workload);
        }
        tables.cgroups = cgroups;
    }

    /// Workload of a cgroup.
    pub fn cgroup(&self, cgroup_id: u64) -> Option<Arc<Workload>> {
        self.read().cgroups.get(&cgroup_id).cloned()
    }

    /// Takes the listening addresses of this host in place of the former. True if they changed.
    pub fn set_listeners(&self, listeners: BTreeMap<AddressKey, u64>) -> bool {
        let mut tables = self.write();
        if tables.listeners == listeners {
            return false;
        }
        tables.listeners = listeners;
        self.generation.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes up the addresses of a name, as a DNS answer told them.
    pub fn learn_addresses(&self, answer: &Addresses, now_ns: u64) {
        if self.write().resolved.learn(answer, now_ns) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Id of the workload that listens at an address of this host, in any network namespace.
    pub fn listener_at(&self, addr: std::net::IpAddr, port: u16) -> Option<u64> {
        let addr = match addr {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        let tables = self.read();
        tables
            .listeners
            .iter()
            .find(|(key, _)| key.addr == addr && key.port == port)
            .map(|(_, workload)| *workload)
    }

    /// Takes up a workload that an earlier run has named.
    pub fn restore(&self, workload: Workload) {
        let mut tables = self.write();
        if tables.workloads.len() < MAX_WORKLOADS {
            let id = workload.id;
            tables
                .workloads
                .entry(id)
                .or_insert_with(|| Arc::new(workload));
        }
    }

    /// A workload by its id.
    pub fn workload(&self, id: u64) -> Option<Arc<Workload>> {
        self.read().workloads.get(&id).cloned()
    }

    /// Every workload that is known.
    pub fn workloads(&self) -> Vec<Arc<Workload>> {
        self.read().workloads.values().cloned().collect()
    }

    /// Workloads that were new since the last call.
    pub fn take_fresh(&self) -> Vec<Arc<Workload>> {
        std::mem::take(&mut self.write().fresh)
    }

    /// Fill of each table: name, entries, capacity.
    pub fn fill(&self) -> [(&'static str, u64, u64); 3] {
        let tables = self.read();
        let fill = |entries: usize, capacity: usize| (entries as u64, capacity as u64);
        let (processes, process_room) = fill(tables.processes.len(), MAX_PROCESSES);
        let (workloads, workload_room) = fill(tables.workloads.len(), MAX_WORKLOADS);
        let (names, name_room) = tables.resolved.fill();
        [
            ("agent_processes", processes, process_room),
            ("agent_workloads", workloads, workload_room),
            ("agent_resolved", names, name_room),
        ]
    }

    /// Processes and workloads that had to go.
    pub fn evicted(&self) -> u64 {
        self.read().evicted
    }
}
