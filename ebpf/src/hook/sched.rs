//! `tp_btf/sched_process_exec` and `_exit`: a process has a new name, or is gone.

use aya_ebpf::{
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, generated::bpf_get_current_cgroup_id,
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use weir_common::event::{ProcessRecord, kind, process_event};

use crate::{
    emit::{header, now, reserve, submit},
    maps::PROCESSES,
};

#[btf_tracepoint(function = "sched_process_exec")]
pub fn weir_exec(_ctx: BtfTracePointContext) -> i32 {
    // A new program is a new workload until the agent has looked at it.
    tell(process_event::EXEC);
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn weir_exit(_ctx: BtfTracePointContext) -> i32 {
    let id = bpf_get_current_pid_tgid();
    if (id >> 32) as u32 == id as u32 {
        tell(process_event::EXIT);
    }
    0
}

#[inline(always)]
fn tell(event: u32) {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let _ = PROCESSES.remove(tgid);
    let Some(mut entry) = reserve::<ProcessRecord>() else {
        return;
    };
    entry.write(ProcessRecord {
        header: header(kind::PROCESS, now()),
        // SAFETY: the helper only reads the current task.
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
        tgid,
        event,
    });
    submit(entry);
}
