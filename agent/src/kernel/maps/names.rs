//! Who is who: workloads of processes, cgroups and addresses, and the protocols of given ports.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use weir_common::flow::AddressKey;

use super::{Maps, padded, unpadded};
use crate::kernel::wire::Wire;

impl Maps {
    /// Names a process.
    pub fn set_process(&mut self, tgid: u32, workload: u64) -> Result<()> {
        self.processes
            .insert(tgid, workload, 0)
            .context("write PROCESSES")
    }

    /// Forgets a process.
    pub fn remove_process(&mut self, tgid: u32) {
        // It may be gone already: the exit hook removes it too.
        let _ = self.processes.remove(&tgid);
    }

    /// Names a cgroup.
    pub fn set_cgroup(&mut self, cgroup_id: u64, workload: u64) -> Result<()> {
        self.cgroups
            .insert(cgroup_id, workload, 0)
            .context("write CGROUPS")
    }

    /// Forgets a cgroup.
    pub fn remove_cgroup(&mut self, cgroup_id: u64) {
        let _ = self.cgroups.remove(&cgroup_id);
    }

    /// Makes the listening addresses exactly `wanted`.
    pub fn set_addresses(&mut self, wanted: &[(AddressKey, u64)]) -> Result<()> {
        let wanted: BTreeMap<AddressKey, u64> = wanted.iter().copied().collect();
        let there: BTreeMap<AddressKey, u64> = self
            .addresses
            .iter()
            .filter_map(Result::ok)
            .map(|(key, id)| (key.0, id))
            .collect();
        for (key, workload) in wanted.iter().filter(|(key, id)| there.get(key) != Some(id)) {
            self.addresses
                .insert(Wire(*key), workload, 0)
                .context("write ADDRESSES")?;
        }
        for key in there.keys().filter(|key| !wanted.contains_key(key)) {
            let _ = self.addresses.remove(&Wire(*key));
        }
        Ok(())
    }

    /// Makes the protocols that are given by server port exactly these.
    pub(in crate::kernel) fn set_ports(&mut self, wanted: &BTreeMap<u16, u8>) -> Result<()> {
        let there: Vec<u16> = self.ports.keys().filter_map(Result::ok).collect();
        for port in there.iter().filter(|port| !wanted.contains_key(port)) {
            self.ports.remove(port).context("clear PORTS")?;
        }
        for (port, protocol) in wanted {
            self.ports
                .insert(port, protocol, 0)
                .context("write PORTS")?;
        }
        Ok(())
    }

    /// The protocol that is given for a server port.
    pub(in crate::kernel) fn given_protocol(&self, port: u16) -> Option<u8> {
        self.ports.get(&port, 0).ok()
    }

    /// Remembers what a workload id stands for, beyond this process (JSON, up to 512 bytes).
    pub fn remember_workload(&mut self, id: u64, json: &str) -> Result<()> {
        self.workloads
            .insert(id, padded::<512>(json), 0)
            .context("write WORKLOADS")
    }

    /// What was remembered.
    pub fn workloads(&self) -> Vec<(u64, String)> {
        self.workloads
            .iter()
            .filter_map(Result::ok)
            .map(|(id, text)| (id, unpadded(&text)))
            .collect()
    }
}
