//! The loaded programs as the daemon sees them.

use std::{
    collections::BTreeMap,
    os::fd::AsFd as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use tracing::debug;
use weir_common::{
    event::Control,
    flow::{AddressKey, EdgeKey, Owner},
    limit::Rate,
};

use super::{attach::SWEEP, bpffs::Pins, load::Loaded, maps::Maps, sys};
use crate::{
    daemon::port::{KernelPort, OldConnection},
    enforce::{
        compiled::CompiledRules,
        diff::{Step, diff},
    },
    observe::snapshot::KernelSnapshot,
};

/// Loaded programs and their maps.
pub struct Room {
    maps: Mutex<Maps>,
    /// What the maps hold; unknown until the first rules of this run were written.
    rules: Mutex<Option<CompiledRules>>,
    hooks: Vec<String>,
    missing: Vec<String>,
}

/// Monotonic time, ns: the clock of the kernel programs.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Room {
    /// Takes over what was loaded.
    pub fn new(loaded: Loaded) -> Self {
        Self {
            maps: Mutex::new(loaded.maps),
            rules: Mutex::new(None),
            hooks: loaded.hooks,
            missing: loaded.missing,
        }
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the kernel count the queries that were not answered in time. Each is a program run.
fn give_up_queries(maps: &Maps) {
    let overdue = maps.overdue_queries(monotonic_ns());
    if overdue.is_empty() {
        return;
    }
    let done = sys::open_pin(&Pins::default().link(SWEEP)).and_then(|program| {
        overdue
            .iter()
            .try_for_each(|key| sys::run_program(program.as_fd(), bytemuck::bytes_of(key)))
    });
    if let Err(error) = done {
        // They stay in the map, and are tried again with the next snapshot.
        debug!("queries without an answer cannot be counted: {error}");
    }
}

fn take_step(maps: &mut Maps, step: &Step) -> Result<()> {
    match step {
        Step::ResetCounter { slot } => maps.clear_rule(*slot),
        Step::SetBudget {
            slot,
            bytes_per_second,
        } => maps.set_budget(*slot, *bytes_per_second),
        Step::SetRate { slot, rate } => {
            maps.set_rate(*slot, Rate::new(rate.per_second, rate.burst))
        }
        Step::RemoveRate { slot } => maps.set_rate(*slot, Rate::default()),
        Step::RemoveBudget { slot } => maps.set_budget(*slot, 0),
        Step::SetEntry { key, value } => maps.set_entry(key, value),
        Step::RemoveEntry { key } => maps.remove_entry(key),
        Step::SetRange {
            prefix,
            network,
            class,
        } => maps.set_range(*prefix, network, *class),
        Step::RemoveRange { prefix, network } => maps.remove_range(*prefix, network),
    }
}

impl KernelPort for Room {
    fn snapshot(&self) -> Result<KernelSnapshot> {
        let mut maps = self.maps();
        give_up_queries(&maps);
        maps.empty_spare_operations();
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let edges = maps.edges();
        let operations = maps.operations();
        let rules = maps
            .rule_names()
            .into_values()
            .filter_map(|slot| maps.rule(slot).ok().map(|counter| (slot, counter)))
            .collect();
        let map_fill = maps.fill(edges.len() as u64, operations.len() as u64);
        Ok(KernelSnapshot {
            monotonic_ns: monotonic_ns(),
            unix_ns: unix.as_nanos() as u64,
            stats: maps.stats(),
            lost: maps.lost(),
            edges,
            operations,
            rules,
            map_fill,
            program_stats: Vec::new(),
        })
    }

    fn set_control(&self, control: &Control) -> Result<()> {
        self.maps().set_control(control)
    }

    fn set_process(&self, tgid: u32, workload: u64) -> Result<()> {
        self.maps().set_process(tgid, workload)
    }

    fn remove_process(&self, tgid: u32) -> Result<()> {
        self.maps().remove_process(tgid);
        Ok(())
    }

    fn set_cgroup(&self, cgroup_id: u64, workload: u64) -> Result<()> {
        self.maps().set_cgroup(cgroup_id, workload)
    }

    fn remove_cgroup(&self, cgroup_id: u64) -> Result<()> {
        self.maps().remove_cgroup(cgroup_id);
        Ok(())
    }

    fn set_addresses(&self, addresses: &[(AddressKey, u64)]) -> Result<()> {
        self.maps().set_addresses(addresses)
    }

    fn apply_rules(&self, rules: &CompiledRules) -> Result<()> {
        let mut installed = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut maps = self.maps();
        maps.set_rule_names(&rules.slots)?;
        match &*installed {
            Some(old) => {
                for step in diff(old, rules) {
                    take_step(&mut maps, &step)?;
                }
            }
            None => {
                for (slot, rate) in &rules.budgets {
                    maps.set_budget(*slot, *rate)?;
                }
                for (slot, rate) in &rules.rates {
                    maps.set_rate(*slot, Rate::new(rate.per_second, rate.burst))?;
                }
                maps.set_rules(&rules.cidrs, &rules.entries)?;
            }
        }
        let mut control = maps.control()?;
        control.policy_active = u32::from(rules.has_access_rules());
        control.bandwidth_active = u32::from(rules.has_bandwidth_rules());
        control.limits_active = u32::from(rules.has_connection_limits());
        maps.set_control(&control)?;
        *installed = Some(rules.clone());
        Ok(())
    }

    fn rule_slots(&self) -> BTreeMap<String, u32> {
        self.maps().rule_names()
    }

    fn remember_workload(&self, id: u64, json: &str) -> Result<()> {
        self.maps().remember_workload(id, json)
    }

    fn workloads(&self) -> Vec<(u64, String)> {
        self.maps().workloads()
    }

    fn adopt_listener(&self, pid: u32, fd: i32, owner: &Owner) -> Result<()> {
        self.maps().adopt_listener(pid, fd, owner)
    }

    fn adopt_connection(&self, pid: u32, fd: i32, facts: &OldConnection) -> Result<()> {
        self.maps().adopt_connection(pid, fd, facts, monotonic_ns())
    }

    fn forget_edge(&self, key: &EdgeKey) -> Result<()> {
        self.maps().forget_edge(key);
        Ok(())
    }

    fn missing(&self) -> Vec<String> {
        self.missing.clone()
    }

    fn hooks(&self) -> Vec<String> {
        self.hooks.clone()
    }
}
