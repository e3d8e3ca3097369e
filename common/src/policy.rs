//! Rule keys and the one decision function, run by the kernel hooks, by `weir policy explain`,
//! by audit and by tests.

use bytemuck::{Pod, Zeroable};

/// Values of [`PolicyKey::kind`].
pub mod kind {
    /// Allow or deny.
    pub const ACCESS: u8 = 0;
    /// Bandwidth limit.
    pub const BANDWIDTH: u8 = 1;
}

/// Values of [`PolicyKey::transport`].
pub mod transport {
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
}

/// Values of [`PolicyKey::direction`].
pub mod direction {
    /// Decided where the caller is: connect, sendmsg.
    pub const OUTBOUND: u8 = 0;
    /// Decided where the callee is: SYN or first datagram.
    pub const INBOUND: u8 = 1;
}

/// What was decided.
pub mod verdict {
    /// Let through.
    pub const ALLOW: u8 = 0;
    /// Refused.
    pub const DENY: u8 = 1;
    /// Would have been refused; the rule is in audit mode.
    pub const AUDIT_DENY: u8 = 2;
}

/// How a rule is applied.
pub mod mode {
    /// Refuse what it denies.
    pub const ENFORCE: u8 = 0;
    /// Only tell what it would refuse.
    pub const AUDIT: u8 = 1;
}

/// Where a decision was made.
pub mod hook {
    /// `cgroup/connect4`, `cgroup/connect6`.
    pub const CONNECT: u8 = 1;
    /// `cgroup/sendmsg4`, `cgroup/sendmsg6`.
    pub const SENDMSG: u8 = 2;
    /// `cgroup_skb/ingress`.
    pub const INGRESS: u8 = 3;
}

/// Why a decision came out as it did.
pub mod reason {
    /// No rule matched.
    pub const DEFAULT: u8 = 0;
    /// The rule in [`super::Decision::rule`] matched.
    pub const RULE: u8 = 1;
    /// The caller has no name yet and a rule says `onFailure: closed`.
    pub const UNRESOLVED: u8 = 2;
}

/// Rule slot that means "no rule".
pub const NO_RULE: u32 = u32::MAX;

/// Selector key that matches everybody.
pub const ANY: u64 = 1;

/// Selector key of a caller that the agent has not named (rules with `onFailure: closed`).
pub const UNRESOLVED: u64 = 2;

/// How many rules may be loaded.
pub const MAX_RULES: u32 = 16_384;

/// Key of the `POLICY` hash map. User space compiles every rule into one or more of these.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct PolicyKey {
    /// Selector of the caller: workload id, command hash, CIDR class, [`ANY`] or [`UNRESOLVED`].
    pub from: u64,
    /// Selector of the callee: workload id, CIDR class, or [`ANY`].
    pub to: u64,
    /// Server port, host order; 0 = every port.
    pub port: u16,
    /// One of [`transport`].
    pub transport: u8,
    /// One of [`direction`].
    pub direction: u8,
    /// One of [`kind`].
    pub kind: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
}

/// Value of the `POLICY` hash map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct PolicyValue {
    /// Slot of the rule: index of `RULE_COUNTERS`, and of `BANDWIDTH` for bandwidth rules.
    pub rule: u32,
    /// [`verdict::ALLOW`] or [`verdict::DENY`].
    pub verdict: u8,
    /// One of [`mode`].
    pub mode: u8,
    /// Explicit padding.
    pub _pad: [u8; 2],
}

/// Value of the `RULE_COUNTERS` per-CPU array, by rule slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct RuleCounter {
    /// Flows the rule let through.
    pub allowed: u64,
    /// Flows the rule refused.
    pub denied: u64,
    /// Flows the rule would have refused in enforce mode.
    pub audited: u64,
    /// Monotonic time of the latest match, ns.
    pub last_ns: u64,
}

/// Key of the `CIDRS` LPM trie, without the prefix length that the map type adds: the address.
pub type CidrKey = crate::flow::Addr;

/// How many selector candidates a side of a flow can have.
pub const CANDIDATES: usize = 4;

/// What is known of a flow when it is decided. Candidates stand most specific first;
/// 0 means absent. The last one is [`ANY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The caller's selectors: workload by process, workload by cgroup, command hash or
    /// CIDR class, [`ANY`].
    pub from: [u64; CANDIDATES],
    /// The callee's selectors: workload by process, workload by cgroup, CIDR class, [`ANY`].
    pub to: [u64; CANDIDATES],
    /// Server port, host order.
    pub port: u16,
    /// One of [`transport`].
    pub transport: u8,
    /// One of [`direction`].
    pub direction: u8,
}

/// What [`decide`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// One of [`verdict`].
    pub verdict: u8,
    /// One of [`mode`]; meaningful when a rule matched.
    pub mode: u8,
    /// One of [`reason`].
    pub reason: u8,
    /// Rule slot, or [`NO_RULE`].
    pub rule: u32,
}

/// Where rules are looked up: the kernel map, or a `HashMap` in user space.
pub trait Rules {
    /// The value stored for exactly `key`.
    fn get(&self, key: &PolicyKey) -> Option<PolicyValue>;
}

/// Finds the most specific rule of `kind` for a flow.
///
/// Order: the callee's selectors most specific first; within one the caller's; within that the
/// exact port before every port. The compiler has already resolved several rules on one key
/// (deny wins). At most 32 exact lookups, whatever the number of rules.
#[inline(always)]
pub fn find<R: Rules>(flow: &Flow, kind: u8, rules: &R) -> Option<PolicyValue> {
    for to in flow.to {
        if to == 0 {
            continue;
        }
        for from in flow.from {
            if from == 0 {
                continue;
            }
            let mut key = PolicyKey {
                from,
                to,
                port: flow.port,
                transport: flow.transport,
                direction: flow.direction,
                kind,
                _pad: [0; 3],
            };
            if let Some(value) = rules.get(&key) {
                return Some(value);
            }
            key.port = 0;
            if let Some(value) = rules.get(&key) {
                return Some(value);
            }
        }
    }
    None
}

/// Decides access for a flow: the most specific rule, or allow when none matches.
#[inline(always)]
pub fn decide<R: Rules>(flow: &Flow, rules: &R) -> Decision {
    let Some(value) = find(flow, kind::ACCESS, rules) else {
        return Decision {
            verdict: verdict::ALLOW,
            mode: mode::ENFORCE,
            reason: reason::DEFAULT,
            rule: NO_RULE,
        };
    };
    let verdict = match (value.verdict, value.mode) {
        (verdict::ALLOW, _) => verdict::ALLOW,
        (_, mode::AUDIT) => verdict::AUDIT_DENY,
        _ => verdict::DENY,
    };
    Decision {
        verdict,
        mode: value.mode,
        reason: reason::RULE,
        rule: value.rule,
    }
}

/// Selector key of a command name, as the kernel sees it: up to 15 bytes, NUL padded.
#[inline(always)]
pub fn comm_key(comm: &[u8; 16]) -> u64 {
    let mut hash = crate::fnv1a_step(crate::FNV_OFFSET, b'c');
    let mut i = 0;
    while i < 16 {
        if comm[i] == 0 {
            break;
        }
        hash = crate::fnv1a_step(hash, comm[i]);
        i += 1;
    }
    hash
}

const _: () = assert!(size_of::<PolicyKey>() == 24);
const _: () = assert!(size_of::<PolicyValue>() == 8);
