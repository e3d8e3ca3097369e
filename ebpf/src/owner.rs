//! Who makes a socket: read where the process itself runs.

use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, generated::bpf_get_current_cgroup_id,
};
use weir_common::flow::Owner;

use crate::maps::{CGROUPS, PROCESSES};

/// The running process as an owner.
#[inline(always)]
pub fn current() -> Owner {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: the helper only reads the current task.
    let cgroup_id = unsafe { bpf_get_current_cgroup_id() };
    let mut owner = Owner {
        workload: 0,
        cgroup_id,
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
        tgid,
        _pad: 0,
    };
    resolve(&mut owner);
    owner
}

/// Looks the workload up again if it is not known yet.
#[inline(always)]
pub fn resolve(owner: &mut Owner) {
    if owner.workload == 0 {
        owner.workload = workload_of_process(owner.tgid);
    }
    if owner.workload == 0 {
        owner.workload = workload_of_cgroup(owner.cgroup_id);
    }
}

/// Workload by process, 0 if unknown.
#[inline(always)]
pub fn workload_of_process(tgid: u32) -> u64 {
    // SAFETY: values are plain integers.
    unsafe { PROCESSES.get(tgid).copied().unwrap_or(0) }
}

/// Workload by cgroup, 0 if unknown.
#[inline(always)]
pub fn workload_of_cgroup(cgroup_id: u64) -> u64 {
    // SAFETY: values are plain integers.
    unsafe { CGROUPS.get(cgroup_id).copied().unwrap_or(0) }
}
