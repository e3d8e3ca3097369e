//! A kernel room and policies that only remember.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use anyhow::{Result, bail};
use weir_common::{
    event::Control,
    flow::{AddressKey, EdgeKey, Owner},
    policy::RuleCounter,
};

use crate::{
    control::api::{ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal},
    daemon::{
        Daemon, Settings,
        policy::{Active, Install, PolicyEngine},
        port::{KernelPort, OldConnection},
        time,
    },
    enforce::compiled::CompiledRules,
    observe::{model::Workload, snapshot::KernelSnapshot},
};

/// What the daemon has written, and what it will read.
#[derive(Default)]
pub(super) struct FakeKernel {
    pub(super) next: Mutex<KernelSnapshot>,
    pub(super) fails: Mutex<bool>,
    pub(super) control: Mutex<Option<Control>>,
    pub(super) processes: Mutex<HashMap<u32, u64>>,
    pub(super) addresses: Mutex<Vec<(AddressKey, u64)>>,
    pub(super) remembered: Mutex<HashMap<u64, String>>,
    pub(super) listeners: Mutex<Vec<(u32, i32, Owner)>>,
    pub(super) connections: Mutex<Vec<(u32, i32, OldConnection)>>,
    pub(super) forgotten: Mutex<Vec<EdgeKey>>,
    pub(super) rules_installed: Mutex<u32>,
}

impl KernelPort for FakeKernel {
    fn snapshot(&self) -> Result<KernelSnapshot> {
        if *self.fails.lock().unwrap() {
            bail!("the map is gone");
        }
        let mut snapshot = self.next.lock().unwrap().clone();
        snapshot.unix_ns = time::unix_ns();
        if snapshot.monotonic_ns == 0 {
            snapshot.monotonic_ns = time::monotonic_ns();
        }
        Ok(snapshot)
    }

    fn set_control(&self, control: &Control) -> Result<()> {
        *self.control.lock().unwrap() = Some(*control);
        Ok(())
    }

    fn set_process(&self, tgid: u32, workload: u64) -> Result<()> {
        self.processes.lock().unwrap().insert(tgid, workload);
        Ok(())
    }

    fn remove_process(&self, tgid: u32) -> Result<()> {
        self.processes.lock().unwrap().remove(&tgid);
        Ok(())
    }

    fn set_cgroup(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn remove_cgroup(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn set_addresses(&self, addresses: &[(AddressKey, u64)]) -> Result<()> {
        *self.addresses.lock().unwrap() = addresses.to_vec();
        Ok(())
    }

    fn apply_rules(&self, _: &CompiledRules) -> Result<()> {
        *self.rules_installed.lock().unwrap() += 1;
        Ok(())
    }

    fn rule_slots(&self) -> BTreeMap<String, u32> {
        BTreeMap::new()
    }

    fn remember_workload(&self, id: u64, json: &str) -> Result<()> {
        self.remembered.lock().unwrap().insert(id, json.to_owned());
        Ok(())
    }

    fn workloads(&self) -> Vec<(u64, String)> {
        let remembered = self.remembered.lock().unwrap();
        remembered
            .iter()
            .map(|(id, json)| (*id, json.clone()))
            .collect()
    }

    fn adopt_listener(&self, pid: u32, fd: i32, owner: &Owner) -> Result<()> {
        self.listeners.lock().unwrap().push((pid, fd, *owner));
        Ok(())
    }

    fn adopt_connection(&self, pid: u32, fd: i32, facts: &OldConnection) -> Result<()> {
        self.connections.lock().unwrap().push((pid, fd, *facts));
        Ok(())
    }

    fn forget_edge(&self, key: &EdgeKey) -> Result<()> {
        self.forgotten.lock().unwrap().push(*key);
        Ok(())
    }

    fn missing(&self) -> Vec<String> {
        vec!["thread causality: needs Linux 6.3".into()]
    }

    fn hooks(&self) -> Vec<String> {
        vec!["sockops".into()]
    }
}

/// One policy in slot 3, named `no-web`.
#[derive(Default)]
pub(super) struct FakePolicies {
    pub(super) compiled_over: Mutex<Vec<String>>,
}

impl PolicyEngine for FakePolicies {
    fn apply(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
        install: Install<'_>,
    ) -> Result<Vec<String>, Vec<Refusal>> {
        let names = self.check(files, workloads)?;
        install(&CompiledRules::default()).map_err(|_| Vec::new())?;
        Ok(names)
    }

    fn check(&self, files: &[PolicyFile], _: &[Workload]) -> Result<Vec<String>, Vec<Refusal>> {
        Ok(files.iter().map(|file| file.name.clone()).collect())
    }

    fn delete(&self, name: &str, _: &[Workload], _: Install<'_>) -> Result<bool> {
        Ok(name == "no-web")
    }

    fn recompile(&self, workloads: &[Workload], install: Install<'_>) -> Result<()> {
        let services = workloads.iter().map(|workload| workload.service.clone());
        *self.compiled_over.lock().unwrap() = services.collect();
        install(&CompiledRules::default())
    }

    fn active(&self) -> Active {
        Active {
            access: true,
            bandwidth: false,
            connections: false,
        }
    }

    fn list(&self, counters: &[(u32, RuleCounter)]) -> Vec<PolicyItem> {
        let counter = counters.iter().find(|(slot, _)| *slot == 3);
        vec![PolicyItem {
            name: "no-web".into(),
            denied: counter.map_or(0, |(_, counter)| counter.denied),
            ..PolicyItem::default()
        }]
    }

    fn yaml(&self) -> String {
        String::new()
    }

    fn explain(&self, query: &ExplainQuery, _: &[Workload]) -> Result<Explanation> {
        bail!("nobody is called {}", query.to)
    }

    fn policy_of(&self, slot: u32) -> Option<String> {
        (slot == 3).then(|| "no-web".into())
    }
}

pub(super) fn daemon() -> (Arc<Daemon>, Arc<FakeKernel>) {
    daemon_with(Settings::default())
}

pub(super) fn daemon_with(settings: Settings) -> (Arc<Daemon>, Arc<FakeKernel>) {
    let kernel = Arc::new(FakeKernel::default());
    let daemon = Daemon::new(kernel.clone(), Arc::new(FakePolicies::default()), settings);
    (daemon, kernel)
}
