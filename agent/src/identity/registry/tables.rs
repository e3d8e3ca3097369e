//! What the registry holds, within bounds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use weir_common::flow::{AddressKey, is_loopback};

use crate::{
    identity::{container::ContainerInfo, naming::name_by_comm, resolved::Resolved},
    observe::{
        model::Workload,
        parties::{PartyFacts, comm_text},
    },
};

/// How much may be known at once. What has to go is counted and learned again when it is needed.
pub(super) const MAX_PROCESSES: usize = 65_536;
pub(super) const MAX_WORKLOADS: usize = 16_384;
pub(super) const MAX_CONTAINERS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) processes: HashMap<u32, Process>,
    pub(super) workloads: HashMap<u64, Arc<Workload>>,
    pub(super) fresh: Vec<Arc<Workload>>,
    pub(super) cgroups: HashMap<u64, Arc<Workload>>,
    pub(super) listeners: BTreeMap<AddressKey, u64>,
    pub(super) containers: HashMap<String, Option<ContainerInfo>>,
    pub(super) resolved: Resolved,
    pub(super) evicted: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) workload: Arc<Workload>,
    pub(super) exe: String,
    pub(super) started_ticks: u64,
    /// Monotonic time of its end, ns; `None` while it lives.
    pub(super) ended_ns: Option<u64>,
}

impl Tables {
    pub(super) fn add_workload(&mut self, workload: &Arc<Workload>) {
        if self.workloads.contains_key(&workload.id) {
            return;
        }
        if self.workloads.len() >= MAX_WORKLOADS {
            self.drop_unused_workloads();
        }
        self.workloads.insert(workload.id, Arc::clone(workload));
        if self.fresh.len() < MAX_WORKLOADS {
            self.fresh.push(Arc::clone(workload));
        }
    }

    /// Drops the workloads that no process and no cgroup has; if all are in use, any sixteenth.
    fn drop_unused_workloads(&mut self) {
        let before = self.workloads.len();
        let used: std::collections::HashSet<u64> = self
            .processes
            .values()
            .map(|process| process.workload.id)
            .chain(self.cgroups.values().map(|workload| workload.id))
            .collect();
        self.workloads.retain(|id, _| used.contains(id));
        if self.workloads.len() >= MAX_WORKLOADS {
            let surplus: Vec<u64> = self
                .workloads
                .keys()
                .take(MAX_WORKLOADS / 16)
                .copied()
                .collect();
            for id in surplus {
                self.workloads.remove(&id);
            }
        }
        self.evicted += (before - self.workloads.len()) as u64;
    }

    pub(super) fn add_process(&mut self, pid: u32, process: Process) {
        if self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&pid) {
            let before = self.processes.len();
            self.processes
                .retain(|_, process| process.ended_ns.is_none());
            if self.processes.len() >= MAX_PROCESSES {
                let surplus: Vec<u32> = self
                    .processes
                    .keys()
                    .take(MAX_PROCESSES / 16)
                    .copied()
                    .collect();
                for pid in surplus {
                    self.processes.remove(&pid);
                }
            }
            self.evicted += (before - self.processes.len()) as u64;
        }
        self.processes.insert(pid, process);
    }

    pub(super) fn local(&self, facts: &PartyFacts) -> Option<(Arc<Workload>, bool)> {
        if let Some(workload) = self.workloads.get(&facts.workload) {
            return Some((Arc::clone(workload), true));
        }
        if let Some(process) = self.processes.get(&facts.tgid) {
            return Some((Arc::clone(&process.workload), true));
        }
        if let Some(workload) = self.cgroups.get(&facts.cgroup_id) {
            return Some((Arc::clone(workload), true));
        }
        (facts.comm[0] != 0).then(|| (name_by_comm(&comm_text(&facts.comm)), false))
    }

    pub(super) fn listener(&self, facts: &PartyFacts) -> Option<Arc<Workload>> {
        // Every namespace has the same loopback addresses, and the namespace is not told here.
        if facts.port == 0 || is_loopback(&facts.addr) {
            return None;
        }
        let key = AddressKey {
            netns_cookie: 0,
            addr: facts.addr,
            port: facts.port,
            _pad: [0; 6],
        };
        self.workloads.get(self.listeners.get(&key)?).cloned()
    }
}
