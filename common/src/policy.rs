//! Rule keys and the one decision function, run by the kernel hooks, by `weir policy explain`,
//! by audit and by tests.
//!
//! # Precedence
//! A flow is compared with the rules in this order; the first that matches decides:
//! 1. the callee: its workload by process, by cgroup, its CIDR, anybody;
//! 2. within that the caller: workload by process, by cgroup, command, CIDR, not named, anybody;
//! 3. within that the exact port before every port;
//! 4. within that (resolved by the compiler) the longest prefix, then deny before allow;
//! 5. last, when no such rule matches, the default policies ([`kind::DEFAULT`]); then allow.
//!
//! A rule in audit mode never changes what happens. It takes its place in the order only for the
//! question "what would be refused if every audit rule were enforced".
//!
//! A limit of connections is asked last, of what is let through: [`admit`].
//!
//! An outbound decision covers every caller on this host, an inbound decision only callers that
//! are not on this host: the kernel hook asks [`decide`] neither about a caller whose outbound
//! decision was taken here, nor about answers to a socket that called first. Otherwise an inbound
//! rule for anybody would refuse what an outbound rule for one caller allows.

use bytemuck::{Pod, Zeroable};

/// Values of [`PolicyKey::kind`].
pub mod kind {
    /// Allow or deny.
    pub const ACCESS: u8 = 0;
    /// Bandwidth limit.
    pub const BANDWIDTH: u8 = 1;
    /// Allow or deny of a default policy: asked only when no [`ACCESS`] rule matches.
    pub const DEFAULT: u8 = 2;
    /// Limit of connections that begin per second.
    pub const CONNECTIONS: u8 = 3;
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
    /// No rule matched; [`super::Decision::rule`] is the default policy, or [`super::NO_RULE`].
    pub const DEFAULT: u8 = 0;
    /// The rule in [`super::Decision::rule`] matched.
    pub const RULE: u8 = 1;
    /// The caller has no name yet and a rule says `onFailure: closed`.
    pub const UNRESOLVED: u8 = 2;
    /// The rule in [`super::Decision::rule`] would have allowed it, but limits how often.
    pub const LIMIT: u8 = 3;
}

/// Rule slot that means "no rule".
pub const NO_RULE: u32 = u32::MAX;

/// Selector key that matches everybody.
pub const ANY: u64 = 1;

/// Selector key of a caller that the agent has not named (rules with `onFailure: closed`).
pub const UNRESOLVED: u64 = 2;

/// How many rules may be loaded.
pub const MAX_RULES: u32 = 16_384;

/// How many entries the `POLICY` map holds.
pub const MAX_ENTRIES: u32 = 262_144;

/// How many ranges the `CIDRS` trie holds.
pub const MAX_CIDRS: u32 = 16_384;

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
    /// Slot of the rule: index of `RULE_COUNTERS`, and of `BANDWIDTH` or `LIMITS` for rules that
    /// limit.
    pub rule: u32,
    /// [`verdict::ALLOW`] or [`verdict::DENY`].
    pub verdict: u8,
    /// One of [`mode`].
    pub mode: u8,
    /// Slot + 1 of a rule in audit mode that would refuse what this enforced entry allows;
    /// 0 = none.
    pub audit_rule: u16,
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
/// A value of 0 means that the address is in no range of any rule (it keeps IPv4 addresses out of
/// IPv6 ranges such as `::/0`, which contain their v4-mapped form).
pub type CidrKey = crate::flow::Addr;

/// How many selector candidates a side of a flow can have.
pub const CANDIDATES: usize = 4;

/// Default policies are compiled for the CIDR class of a callee and for [`ANY`] only: the last two
/// candidates.
const FIRST_DEFAULT_CANDIDATE: usize = CANDIDATES - 2;

/// What is known of a flow when it is decided. Candidates stand most specific first;
/// 0 means absent. The last one is [`ANY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The caller's selectors, from [`local_caller`] or [`remote_caller`].
    pub from: [u64; CANDIDATES],
    /// The callee's selectors, from [`callee`].
    pub to: [u64; CANDIDATES],
    /// Server port, host order.
    pub port: u16,
    /// One of [`transport`].
    pub transport: u8,
    /// One of [`direction`].
    pub direction: u8,
}

/// Candidates of a caller on this host: workload of its process, workload of its cgroup (0 = the
/// agent has not named it) and [`comm_key`] of its command.
///
/// A caller that has neither name stands as [`UNRESOLVED`]; rules that name its command come
/// first, because by them it can be told.
#[inline(always)]
pub fn local_caller(process: u64, cgroup: u64, command: u64) -> [u64; CANDIDATES] {
    if process == 0 && cgroup == 0 {
        return [0, command, UNRESOLVED, ANY];
    }
    [process, cgroup, command, ANY]
}

/// Candidates of a caller on another host: the class of its address (0 = in no CIDR of any rule).
#[inline(always)]
pub fn remote_caller(class: u64) -> [u64; CANDIDATES] {
    [0, 0, class, ANY]
}

/// Candidates of a callee: workload of the listening process, workload of its cgroup, and class
/// of its address; each 0 when unknown.
#[inline(always)]
pub fn callee(process: u64, cgroup: u64, class: u64) -> [u64; CANDIDATES] {
    [process, cgroup, class, ANY]
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
    /// With [`verdict::AUDIT_DENY`]: slot of the rule in force that lets the flow through, so that
    /// it counts too. With [`verdict::ALLOW`]: of the rule within whose limit it is. Else
    /// [`NO_RULE`].
    pub in_force: u32,
}

/// Where rules are looked up: the kernel map, or a `HashMap` in user space.
pub trait Rules {
    /// The value stored for exactly `key`.
    fn get(&self, key: &PolicyKey) -> Option<PolicyValue>;
}

/// Where the limits of rules are kept.
pub trait Limits {
    /// True if one more connection is within the limit of the rule in a slot, which counts it.
    fn admits(&self, rule: u32) -> bool;
}

/// Finds the most specific rule of `kind` for a flow, whatever its mode (rules that limit).
///
/// The compiler has already resolved several rules on one key. At most 32 exact lookups, whatever
/// the number of rules.
#[inline(always)]
pub fn find<R: Rules>(flow: &Flow, kind: u8, rules: &R) -> Option<PolicyValue> {
    first(flow, kind, rules, false).map(|(value, _)| value)
}

/// The most specific entry of `kind`, with the caller's selector that it names; with `enforced_only` those that only
/// audit are passed by.
///
/// The loop carries no state from one lookup to the next, which keeps the verifier's work small.
#[inline(always)]
fn first<R: Rules>(
    flow: &Flow,
    kind: u8,
    rules: &R,
    enforced_only: bool,
) -> Option<(PolicyValue, u64)> {
    for (at, &to) in flow.to.iter().enumerate() {
        if to == 0 || (kind == kind::DEFAULT && at < FIRST_DEFAULT_CANDIDATE) {
            continue;
        }
        for &from in &flow.from {
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
            if let Some(value) = rules.get(&key)
                && (!enforced_only || value.mode == mode::ENFORCE)
            {
                return Some((value, from));
            }
            key.port = 0;
            if let Some(value) = rules.get(&key)
                && (!enforced_only || value.mode == mode::ENFORCE)
            {
                return Some((value, from));
            }
        }
    }
    None
}

/// The most specific entry of access rules, then of default policies, with why it decides.
#[inline(always)]
fn strongest<R: Rules>(flow: &Flow, rules: &R, enforced_only: bool) -> Option<(PolicyValue, u8)> {
    if let Some((value, from)) = first(flow, kind::ACCESS, rules, enforced_only) {
        let reason = match from {
            UNRESOLVED => reason::UNRESOLVED,
            _ => reason::RULE,
        };
        return Some((value, reason));
    }
    let (value, _) = first(flow, kind::DEFAULT, rules, enforced_only)?;
    Some((value, reason::DEFAULT))
}

/// Decides access for a flow by the precedence that the module describes.
///
/// At most 32 exact lookups, and 16 more when no rule but perhaps a default policy matches,
/// whatever the number of rules; as many again when the first match only audits.
#[inline(always)]
pub fn decide<R: Rules>(flow: &Flow, rules: &R) -> Decision {
    let Some((value, reason)) = strongest(flow, rules, false) else {
        return Decision {
            verdict: verdict::ALLOW,
            mode: mode::ENFORCE,
            reason: reason::DEFAULT,
            rule: NO_RULE,
            in_force: NO_RULE,
        };
    };
    if value.mode == mode::ENFORCE {
        return enforced(&value, reason);
    }
    let mut expected = Decision {
        verdict: match value.verdict {
            verdict::DENY => verdict::AUDIT_DENY,
            _ => verdict::ALLOW,
        },
        mode: mode::AUDIT,
        reason,
        rule: value.rule,
        in_force: NO_RULE,
    };
    match strongest(flow, rules, true) {
        Some((value, reason)) if value.verdict == verdict::DENY => enforced(&value, reason),
        Some((value, reason)) if expected.verdict == verdict::ALLOW => Decision {
            verdict: verdict::ALLOW,
            mode: mode::ENFORCE,
            reason,
            rule: value.rule,
            in_force: NO_RULE,
        },
        Some((value, _)) => {
            expected.in_force = value.rule;
            expected
        }
        None => expected,
    }
}

/// Takes a connection that `decision` lets through out of the limit on it, if there is one. It is
/// refused when nothing is left of that.
///
/// At most 32 exact lookups more, whatever the number of rules.
#[inline(always)]
pub fn admit<R: Rules, L: Limits>(
    flow: &Flow,
    decision: Decision,
    rules: &R,
    limits: &L,
) -> Decision {
    if decision.verdict == verdict::DENY || flow.transport != transport::TCP {
        return decision;
    }
    let Some(limit) = find(flow, kind::CONNECTIONS, rules) else {
        return decision;
    };
    if !limits.admits(limit.rule) {
        return Decision {
            verdict: verdict::DENY,
            mode: mode::ENFORCE,
            reason: reason::LIMIT,
            rule: limit.rule,
            in_force: NO_RULE,
        };
    }
    let counts = decision.verdict == verdict::ALLOW && decision.rule != limit.rule;
    Decision {
        in_force: if counts {
            limit.rule
        } else {
            decision.in_force
        },
        ..decision
    }
}

/// What an entry in force decides, unless a rule in audit mode on the same key would refuse.
#[inline(always)]
fn enforced(value: &PolicyValue, reason: u8) -> Decision {
    if value.audit_rule != 0 {
        return Decision {
            verdict: verdict::AUDIT_DENY,
            mode: mode::AUDIT,
            reason,
            rule: value.audit_rule as u32 - 1,
            in_force: value.rule,
        };
    }
    Decision {
        verdict: value.verdict,
        mode: mode::ENFORCE,
        reason,
        rule: value.rule,
        in_force: NO_RULE,
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
