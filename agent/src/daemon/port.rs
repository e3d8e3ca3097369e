//! What the daemon needs of the kernel room. `kernel` implements it; tests do too.

use std::collections::BTreeMap;

use anyhow::Result;
use weir_common::{
    event::Control,
    flow::{Addr, AddressKey, EdgeKey, Owner},
};

use crate::{enforce::compiled::CompiledRules, observe::snapshot::KernelSnapshot};

/// A connection that is older than weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldConnection {
    /// Socket cookie of this end.
    pub cookie: u64,
    /// [`weir_common::flow::role`] of this end.
    pub role: u8,
    /// Owner of this end.
    pub owner: Owner,
    /// Owner of the other end, when it is on this host.
    pub peer: Option<Owner>,
    /// Socket cookie of the other end, when it is on this host.
    pub peer_cookie: Option<u64>,
    /// This end's address and port.
    pub local: (Addr, u16),
    /// The other end's address and port.
    pub remote: (Addr, u16),
}

/// The kernel programs and their maps. Calls come from several threads.
pub trait KernelPort: Send + Sync + 'static {
    /// Reads the exact lane.
    fn snapshot(&self) -> Result<KernelSnapshot>;

    /// Steers the programs. Version and object of the running programs are kept as they are.
    fn set_control(&self, control: &Control) -> Result<()>;

    /// Names a process.
    fn set_process(&self, tgid: u32, workload: u64) -> Result<()>;

    /// Forgets a process.
    fn remove_process(&self, tgid: u32) -> Result<()>;

    /// Names a cgroup, by its v2 id.
    fn set_cgroup(&self, cgroup_id: u64, workload: u64) -> Result<()>;

    /// Forgets a cgroup.
    fn remove_cgroup(&self, cgroup_id: u64) -> Result<()>;

    /// Makes the listening addresses exactly these.
    fn set_addresses(&self, addresses: &[(AddressKey, u64)]) -> Result<()>;

    /// Makes the rules exactly these, in an order that never leaves a laxer set in between.
    fn apply_rules(&self, rules: &CompiledRules) -> Result<()>;

    /// Rule slots that an earlier run has given out, by rule name.
    fn rule_slots(&self) -> BTreeMap<String, u32>;

    /// Remembers beyond this process what a workload id stands for. At most
    /// [`WORKLOAD_JSON_BYTES`].
    fn remember_workload(&self, id: u64, json: &str) -> Result<()>;

    /// What was remembered.
    fn workloads(&self) -> Vec<(u64, String)>;

    /// Notes the owner of a listener that is older than weir: what it accepts inherits it.
    fn adopt_listener(&self, pid: u32, fd: i32, owner: &Owner) -> Result<()>;

    /// Takes up a connection that is older than weir; one that the programs saw begin stays as
    /// it is.
    fn adopt_connection(&self, pid: u32, fd: i32, facts: &OldConnection) -> Result<()>;

    /// Removes an edge with its totals and operations.
    fn forget_edge(&self, key: &EdgeKey) -> Result<()>;

    /// Capabilities that this kernel lacks, with what is lost without them.
    fn missing(&self) -> Vec<String>;

    /// Hooks in force, by name.
    fn hooks(&self) -> Vec<String>;
}

/// Room for one workload's description in [`KernelPort::remember_workload`].
pub const WORKLOAD_JSON_BYTES: usize = 512;
