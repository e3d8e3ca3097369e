//! Verdict records → the items that `weir verdicts` prints.

use weir_common::{
    event::VerdictRecord,
    flow::Owner,
    policy::{NO_RULE, UNRESOLVED, direction, hook, mode, reason, transport, verdict},
};

use super::{
    clock::Clock,
    model::VerdictItem,
    parties::{Names, PartyFacts, facts_of_owner, is_owned},
};

/// Policy shown when no rule matched.
pub const DEFAULT_POLICY: &str = "default";

/// Makes an item of a record. `policy` names the policy that owns a rule slot.
pub fn verdict_of(
    record: &VerdictRecord,
    names: &dyn Names,
    policy: impl Fn(u32) -> Option<String>,
    clock: &Clock,
) -> VerdictItem {
    let (client, server) = facts(record);
    VerdictItem {
        ts: clock.unix_seconds(record.header.time_ns),
        verdict: verdict_name(record.verdict).into(),
        policy: policy_name(record.rule, policy),
        mode: mode_name(record.mode).into(),
        hook: hook_name(record.hook).into(),
        reason: reason_name(record.reason).into(),
        client: names.party(&client).endpoint,
        server: names.party(&server).endpoint,
        port: record.port,
        transport: transport_name(record.transport).into(),
    }
}

/// Who asked whom. Outbound the asking end is here; inbound the asked end is.
fn facts(record: &VerdictRecord) -> (PartyFacts, PartyFacts) {
    // Small numbers are selectors such as "anybody", not workloads.
    let asked = Owner {
        workload: if record.to_workload > UNRESOLVED {
            record.to_workload
        } else {
            0
        },
        ..Owner::default()
    };
    let (client_addr, server_addr) = if record.direction == direction::OUTBOUND {
        (record.local_addr, record.remote_addr)
    } else {
        (record.remote_addr, record.local_addr)
    };
    let asked_here = is_owned(&asked) || record.direction == direction::INBOUND;
    (
        facts_of_owner(&record.from, client_addr, 0, is_owned(&record.from)),
        facts_of_owner(&asked, server_addr, record.port, asked_here),
    )
}

fn policy_name(rule: u32, policy: impl Fn(u32) -> Option<String>) -> String {
    if rule == NO_RULE {
        return DEFAULT_POLICY.into();
    }
    // A policy that was removed since is still better known by its slot than not at all.
    policy(rule).unwrap_or_else(|| format!("rule {rule}"))
}

/// `allow`, `deny`, `audit`.
pub fn verdict_name(code: u8) -> &'static str {
    match code {
        verdict::ALLOW => "allow",
        verdict::AUDIT_DENY => "audit",
        _ => "deny",
    }
}

fn mode_name(code: u8) -> &'static str {
    if code == mode::AUDIT {
        "audit"
    } else {
        "enforce"
    }
}

fn hook_name(code: u8) -> &'static str {
    match code {
        hook::CONNECT => "connect",
        hook::SENDMSG => "sendmsg",
        hook::INGRESS => "ingress",
        _ => "unknown",
    }
}

fn reason_name(code: u8) -> &'static str {
    match code {
        reason::DEFAULT => "default",
        reason::UNRESOLVED => "unresolved",
        reason::LIMIT => "limit",
        _ => "rule",
    }
}

fn transport_name(code: u8) -> &'static str {
    if code == transport::UDP { "udp" } else { "tcp" }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use weir_common::flow::v4_mapped;

    use super::*;
    use crate::observe::parties::{Named, remote_endpoint};

    /// Calls everybody by address, or by workload id where there is one.
    struct Plain;

    impl Names for Plain {
        fn party(&self, facts: &PartyFacts) -> Named {
            let mut endpoint = remote_endpoint(&facts.addr, facts.port);
            if facts.workload != 0 || facts.tgid != 0 {
                endpoint.service = format!("w{}p{}", facts.workload, facts.tgid);
            }
            Named {
                endpoint,
                workload: None,
                settled: true,
            }
        }

        fn generation(&self) -> u64 {
            1
        }
    }

    fn record(direction: u8, from: u32, to: u64) -> VerdictRecord {
        VerdictRecord {
            from: Owner {
                tgid: from,
                ..Owner::default()
            },
            to_workload: to,
            remote_addr: v4_mapped([10, 0, 0, 2]),
            local_addr: v4_mapped([10, 0, 0, 1]),
            port: 80,
            transport: transport::TCP,
            direction,
            verdict: verdict::DENY,
            hook: hook::CONNECT,
            reason: reason::RULE,
            rule: 3,
            ..Zeroable::zeroed()
        }
    }

    #[test]
    fn who_asked_whom() {
        for (direction, from, to, client, server) in [
            (direction::OUTBOUND, 7, 0, "w0p7", "10.0.0.2"),
            (direction::OUTBOUND, 7, 9, "w0p7", "w9p0"),
            (direction::INBOUND, 0, 9, "10.0.0.2", "w9p0"),
            (direction::INBOUND, 0, 0, "10.0.0.2", "10.0.0.1"),
        ] {
            let record = record(direction, from, to);
            let item = verdict_of(&record, &Plain, |_| None, &Clock::default());
            assert_eq!(
                (item.client.service.as_str(), item.server.service.as_str()),
                (client, server)
            );
            assert_eq!((item.port, item.transport.as_str()), (80, "tcp"));
        }
    }

    #[test]
    fn the_policy_is_found_by_its_slot() {
        let lookup = |slot| (slot == 3).then(|| "no-web".to_owned());
        for (rule, code, expected, verdict) in [
            (3, verdict::DENY, "no-web", "deny"),
            (4, verdict::AUDIT_DENY, "rule 4", "audit"),
            (NO_RULE, verdict::ALLOW, "default", "allow"),
        ] {
            let mut record = record(direction::OUTBOUND, 7, 0);
            (record.rule, record.verdict) = (rule, code);
            let item = verdict_of(&record, &Plain, lookup, &Clock::default());
            assert_eq!(
                (item.policy.as_str(), item.verdict.as_str()),
                (expected, verdict)
            );
        }
    }
}
