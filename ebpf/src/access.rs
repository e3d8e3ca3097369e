//! Policy lookups: the maps as `weir_common::policy::Rules`, counters and verdict records.

use aya_ebpf::maps::lpm_trie::Key;
use weir_common::{
    event::{VerdictRecord, kind},
    flow::{Addr, AddressKey, Owner, is_loopback},
    policy::{
        ANY, Decision, Flow, NO_RULE, PolicyKey, PolicyValue, Rules, UNRESOLVED, comm_key, decide,
        verdict,
    },
};

use crate::{
    atomic,
    emit::{header, now, reserve, submit},
    maps::{ADDRESSES, CIDRS, POLICY, RULE_COUNTERS},
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

/// Selectors of a process on this host, most specific first.
#[inline(always)]
pub fn selectors_of(owner: &Owner) -> [u64; 4] {
    let by_cgroup = workload_of_cgroup(owner.cgroup_id);
    let workload = if owner.workload == 0 {
        UNRESOLVED
    } else {
        owner.workload
    };
    [workload, by_cgroup, comm_key(&owner.comm), ANY]
}

/// Selectors of a peer that is known by its address only.
#[inline(always)]
pub fn selectors_at(addr: &Addr, port: u16, netns_cookie: u64) -> [u64; 4] {
    [
        workload_at(addr, port, netns_cookie),
        0,
        cidr_class(addr),
        ANY,
    ]
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
    let decision = decide(question.flow, &KernelRules);
    if decision.rule != NO_RULE {
        count(&decision);
    }
    if decision.verdict != verdict::ALLOW {
        tell(question, &decision);
    }
    decision
}

#[inline(always)]
fn count(decision: &Decision) {
    let Some(counter) = RULE_COUNTERS.get_ptr_mut(decision.rule) else {
        return;
    };
    // SAFETY: the pointer is this CPU's slot.
    let counter = unsafe { &mut *counter };
    match decision.verdict {
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
