//! Names for processes and cgroups, brought into the kernel's maps as they come.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Daemon, listening::Listening, locked, port::WORKLOAD_JSON_BYTES, time};
use crate::{
    identity::{cgroupfs, registry::Hint},
    observe::model::Workload,
};

/// Processes that may wait for their names; more are found by the next scan.
const MAX_PENDING: usize = 8_192;

/// How often what came up without an event is looked for, ns.
const SCAN_NS: u64 = 2_000_000_000;
const CGROUPS_NS: u64 = 10_000_000_000;
const SWEEP_NS: u64 = 30_000_000_000;

/// Processes that wait for their names.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Hint by process id, and whether it executed a new program.
    processes: HashMap<u32, (Hint, bool)>,
    /// How many did not fit.
    overflow: u64,
}

impl Pending {
    /// How many did not fit and had to wait for the next scan.
    pub(super) fn overflow(&self) -> u64 {
        self.overflow
    }
}

/// What is remembered between two rounds.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// Names that the kernel's cgroup map holds.
    cgroups: HashMap<u64, u64>,
    pub(super) listening: Listening,
    /// Threads of the kernel, which are nobody; looked at again at each sweep.
    nobody: HashSet<u32>,
    /// cgroup directories that were too many to look at.
    pub(super) left_out_cgroups: u64,
    scanned_ns: u64,
    cgroups_ns: u64,
    swept_ns: u64,
}

impl Daemon {
    /// Asks for a process's name; the thread that reads `/proc` is woken.
    pub(super) fn queue_process(&self, pid: u32, hint: Hint, executed: bool) {
        let mut pending = locked(&self.pending);
        if pending.processes.len() >= MAX_PENDING && !pending.processes.contains_key(&pid) {
            pending.overflow += 1;
            return;
        }
        let entry = pending.processes.entry(pid).or_insert((hint, executed));
        entry.1 |= executed;
        drop(pending);
        self.bell.notify_one();
    }

    /// Waits until a process wants its name, or for `longest`.
    pub(super) fn wait_for_processes(&self, longest: Duration) {
        let pending = locked(&self.pending);
        if pending.processes.is_empty() {
            // Woken early is as good as woken in time: the round looks for itself.
            drop(self.bell.wait_timeout(pending, longest));
        }
    }

    /// One round: names those who wait, and looks from time to time for what came up without an
    /// event. Call it whenever [`Daemon::ingest`] may have queued somebody, and every second or
    /// two.
    pub fn tick_identity(&self) {
        let now_ns = time::monotonic_ns();
        self.name_pending(now_ns);
        let mut identities = locked(&self.identities);
        if is_due(&mut identities.cgroups_ns, now_ns, CGROUPS_NS) {
            self.scan_cgroups(&mut identities);
        }
        if is_due(&mut identities.scanned_ns, now_ns, SCAN_NS) {
            self.scan_processes(&mut identities, now_ns);
            self.scan_listeners(&mut identities.listening, now_ns);
        }
        if is_due(&mut identities.swept_ns, now_ns, SWEEP_NS) {
            identities.nobody.clear();
            for pid in self.registry.sweep(now_ns) {
                self.write("a process", self.kernel.remove_process(pid));
            }
        }
        drop(identities);
        self.publish_workloads();
    }

    fn name_pending(&self, now_ns: u64) {
        let waiting = std::mem::take(&mut locked(&self.pending).processes);
        for (pid, (hint, executed)) in waiting {
            let workload = if executed {
                self.registry.learn(pid, &hint, now_ns)
            } else {
                self.registry.resolve(pid, &hint, now_ns)
            };
            self.name_in_kernel(pid, workload.as_ref());
        }
    }

    /// The workload of a process; one that was not known before is named in the kernel as well.
    pub(super) fn resolve(&self, pid: u32, hint: &Hint, now_ns: u64) -> Option<Arc<Workload>> {
        let was_known = self.registry.knows(pid);
        let workload = self.registry.resolve(pid, hint, now_ns);
        if !was_known {
            self.name_in_kernel(pid, workload.as_ref());
        }
        workload
    }

    fn name_in_kernel(&self, pid: u32, workload: Option<&Arc<Workload>>) {
        // A process that is gone has nobody to be named for in the kernel.
        if let Some(workload) = workload
            && self.registry.knows(pid)
        {
            self.write("a process", self.kernel.set_process(pid, workload.id));
        }
    }

    /// Names processes that forked without executing a program, which no event tells.
    fn scan_processes(&self, identities: &mut Identities, now_ns: u64) {
        for pid in self.registry.procfs().pids() {
            if identities.nobody.contains(&pid) || self.registry.knows(pid) {
                continue;
            }
            if self.resolve(pid, &Hint::default(), now_ns).is_none() {
                identities.nobody.insert(pid);
            }
        }
    }

    fn scan_cgroups(&self, identities: &mut Identities) {
        let Some(mount) = cgroupfs::mount(&self.registry) else {
            return;
        };
        let (found, left_out) = cgroupfs::scan(&mount, &self.registry);
        identities.left_out_cgroups = left_out;
        let wanted: HashMap<u64, u64> = found.iter().map(|(id, w)| (*id, w.id)).collect();
        for (id, workload) in &wanted {
            if identities.cgroups.get(id) != Some(workload) {
                self.write("a cgroup", self.kernel.set_cgroup(*id, *workload));
            }
        }
        let gone = identities
            .cgroups
            .keys()
            .filter(|id| !wanted.contains_key(id));
        for id in gone {
            self.write("a cgroup", self.kernel.remove_cgroup(*id));
        }
        identities.cgroups = wanted;
        self.registry.set_cgroups(found);
    }

    /// Lets everybody know of workloads that are new: the pinned names, history, the rules.
    fn publish_workloads(&self) {
        let fresh = self.registry.take_fresh();
        if fresh.is_empty() {
            return;
        }
        for workload in &fresh {
            if let Some(json) = description(workload) {
                let written = self.kernel.remember_workload(workload.id, &json);
                self.write("a workload", written);
            }
        }
        locked(&self.keeper).add_workloads(&fresh);
        self.recompile();
    }

    /// Socket cookies of everything that is open, in all network namespaces; `None` if not all
    /// of them could be asked.
    pub(super) fn open_cookies(&self) -> Option<HashSet<u64>> {
        use crate::identity::sockets::{Scope, all};
        let (dumped, failed) = all(self.registry.procfs(), Scope::Everything);
        let sockets = dumped.iter().flat_map(|namespace| &namespace.sockets);
        failed
            .is_empty()
            .then(|| sockets.map(|socket| socket.cookie).collect())
    }

    pub(super) fn write(&self, what: &str, done: anyhow::Result<()>) {
        if let Err(error) = done {
            let what = format!("{what} cannot be named in the kernel");
            self.trouble(&self.troubles.writes, &what, &error);
        }
    }

    /// Counts namespaces that could not be entered.
    pub(super) fn count_namespaces(&self, failed: usize) {
        let counter = &self.troubles.namespaces;
        counter.store(failed as u64, Ordering::Relaxed);
    }
}

/// True if the period is over; begins the next one then.
fn is_due(last_ns: &mut u64, now_ns: u64, period_ns: u64) -> bool {
    let due = *last_ns == 0 || now_ns.saturating_sub(*last_ns) >= period_ns;
    if due {
        *last_ns = now_ns;
    }
    due
}

/// What is remembered of a workload in the kernel's map: attributes go first if it is too long.
fn description(workload: &Workload) -> Option<String> {
    let fits = |json: &String| json.len() <= WORKLOAD_JSON_BYTES;
    let full = serde_json::to_string(workload).ok();
    full.filter(fits).or_else(|| {
        let short = Workload {
            attributes: Default::default(),
            ..workload.clone()
        };
        serde_json::to_string(&short).ok().filter(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::naming::name_by_comm;

    #[test]
    fn descriptions_fit_their_slot() {
        let mut workload = name_by_comm("web").as_ref().clone();
        for (value, service, expected) in [
            ("small", "web", Some(true)),
            (&*"x".repeat(600), "web", Some(false)),
            ("small", &*"x".repeat(600), None),
        ] {
            workload.attributes = [("key".to_owned(), value.to_owned())].into();
            workload.service = service.into();
            let json = description(&workload);
            assert_eq!(json.as_ref().map(|json| json.contains("key")), expected);
            assert!(json.is_none_or(|json| json.len() <= WORKLOAD_JSON_BYTES));
        }
    }

    #[test]
    fn periods_begin_at_once() {
        let mut last = 0;
        for (now, expected) in [(5, true), (6, false), (14, false), (15, true), (16, false)] {
            assert_eq!(is_due(&mut last, now, 10), expected, "at {now}");
        }
    }
}
