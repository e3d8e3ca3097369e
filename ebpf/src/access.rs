//! Policy lookups: the maps as `weir_common::policy::Rules`, counters and verdict records.

use aya_ebpf::{
    helpers::generated::{bpf_spin_lock, bpf_spin_unlock},
    maps::lpm_trie::Key,
};
use weir_common::{
    event::{VerdictRecord, kind},
    flow::{Addr, AddressKey, Owner, is_loopback},
    policy::{
        CANDIDATES, Decision, Flow, Limits, NO_RULE, PolicyKey, PolicyValue, Rules, admit, callee,
        comm_key, decide, local_caller, remote_caller, verdict,
    },
};

use crate::{
    atomic,
    emit::{control, header, now, reserve, submit},
    maps::{ADDRESSES, CIDRS, LIMITS, POLICY, RULE_COUNTERS},
    owner::workload_of_cgroup,
};

/// The `POLICY` map.
pub struct KernelRules;

impl Rules for KernelRules {
    #[inline(always)]
    fn get(&self, key: &PolicyKey) -> Option<PolicyValue> {
        // SAFETY: values are replaced whole.
        unsafe { POLICY.get(key).copied() }
    }
}

/// The `LIMITS` map.
pub struct KernelLimits;

impl Limits for KernelLimits {
    #[inline(always)]
    fn admits(&self, rule: u32) -> bool {
        let Some(limit) = LIMITS.get_ptr_mut(rule) else {
            return true;
        };
        let now_ns = now();
        // SAFETY: the pointer is a live map value, and its lock is held where it is changed.
        unsafe {
            bpf_spin_lock(&raw mut (*limit).lock);
            let admitted = (*limit).rate.admits(now_ns);
            bpf_spin_unlock(&raw mut (*limit).lock);
            admitted
        }
    }
}

/// Class of the longest rule CIDR that holds `addr`, 0 if none.
#[inline(always)]
pub fn cidr_class(addr: &Addr) -> u64 {
    CIDRS.get(Key::new(128, *addr)).copied().unwrap_or(0)
}

/// Workload that listens on a local address, 0 if none is known.
#[inline(always)]
pub fn workload_at(addr: &Addr, port: u16, netns_cookie: u64) -> u64 {
    let netns_cookie = if is_loopback(addr) { netns_cookie } else { 0 };
    let key = AddressKey {
        netns_cookie,
        addr: *addr,
        port,
        _pad: [0; 6],
    };
    // SAFETY: values are plain integers.
    unsafe { ADDRESSES.get(&key).copied().unwrap_or(0) }
}

/// Selectors of a caller on this host.
#[inline(always)]
pub fn caller_of(owner: &Owner) -> [u64; CANDIDATES] {
    local_caller(
        owner.workload,
        workload_of_cgroup(owner.cgroup_id),
        comm_key(&owner.comm),
    )
}

/// Selectors of a caller on another host.
#[inline(always)]
pub fn caller_at(addr: &Addr) -> [u64; CANDIDATES] {
    remote_caller(cidr_class(addr))
}

/// Selectors of a callee whose process is known.
#[inline(always)]
pub fn callee_of(owner: &Owner, addr: &Addr) -> [u64; CANDIDATES] {
    callee(
        owner.workload,
        workload_of_cgroup(owner.cgroup_id),
        cidr_class(addr),
    )
}

/// Selectors of a callee that is known by its address only.
#[inline(always)]
pub fn callee_at(addr: &Addr, port: u16, netns_cookie: u64) -> [u64; CANDIDATES] {
    callee(workload_at(addr, port, netns_cookie), 0, cidr_class(addr))
}

/// What a decision is about, for its record.
pub struct Question<'a> {
    /// The flow as the rules see it.
    pub flow: &'a Flow,
    /// Local process, if one asks.
    pub from: Option<&'a Owner>,
    /// The other address.
    pub remote_addr: &'a Addr,
    /// [`weir_common::policy::hook`]
    pub hook: u8,
}

/// Decides, counts, and tells what was refused or would have been.
#[inline(always)]
pub fn judge(question: &Question) -> Decision {
    let mut decision = decide(question.flow, &KernelRules);
    if control().is_some_and(|control| control.limits_active != 0) {
        decision = admit(question.flow, decision, &KernelRules, &KernelLimits);
    }
    if decision.rule != NO_RULE {
        count(decision.rule, decision.verdict);
    }
    if decision.in_force != NO_RULE {
        count(decision.in_force, verdict::ALLOW);
    }
    if decision.verdict != verdict::ALLOW {
        tell(question, &decision);
    }
    decision
}

#[inline(always)]
fn count(rule: u32, outcome: u8) {
    let Some(counter) = RULE_COUNTERS.get_ptr_mut(rule) else {
        return;
    };
    // SAFETY: the pointer is this CPU's slot.
    let counter = unsafe { &mut *counter };
    match outcome {
        verdict::ALLOW => atomic::add(&mut counter.allowed, 1),
        verdict::DENY => atomic::add(&mut counter.denied, 1),
        _ => atomic::add(&mut counter.audited, 1),
    }
    counter.last_ns = now();
}

#[inline(always)]
fn tell(question: &Question, decision: &Decision) {
    let Some(mut entry) = reserve::<VerdictRecord>() else {
        return;
    };
    entry.write(VerdictRecord {
        header: header(kind::VERDICT, now()),
        from: question.from.copied().unwrap_or_default(),
        remote_addr: *question.remote_addr,
        local_addr: [0; 16],
        to_workload: question.flow.to[0],
        port: question.flow.port,
        transport: question.flow.transport,
        direction: question.flow.direction,
        verdict: decision.verdict,
        mode: decision.mode,
        hook: question.hook,
        reason: decision.reason,
        rule: decision.rule,
        _pad: 0,
    });
    submit(entry);
}
