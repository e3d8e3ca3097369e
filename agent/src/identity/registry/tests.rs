//! Who is known, for how long, and as whom.

use std::process::Command;

use weir_common::flow::v4_mapped;

use super::*;
use crate::{
    identity::rules::NameRule,
    observe::{
        model::WorkloadKind,
        parties::{Names, PartyFacts},
    },
};

fn hint(comm: &str) -> Hint {
    let mut hint = Hint::default();
    hint.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    hint
}

fn facts() -> PartyFacts {
    PartyFacts {
        addr: v4_mapped([10, 0, 0, 5]),
        port: 80,
        ..PartyFacts::default()
    }
}

#[test]
fn a_process_is_known_while_it_lives_and_a_while_after() {
    let registry = Registry::new(Rules::default());
    let mut child = Command::new("sleep").arg("30").spawn().expect("sleep");
    let workload = (0..100)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let named = registry.learn(child.id(), &Hint::default(), 1);
            named.filter(|_| registry.knows(child.id()))
        })
        .expect("the child is read");
    assert_eq!(workload.service, "sleep");
    let local = PartyFacts {
        tgid: child.id(),
        local: true,
        ..facts()
    };
    let named = registry.party(&local);
    assert_eq!(named.endpoint.service, "sleep");
    assert!(named.settled);
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert_eq!(registry.sweep(5), [child.id()]);
    assert!(!registry.knows(child.id()));
    assert_eq!(registry.party(&local).endpoint.service, "sleep");
    registry.sweep(5 + REMEMBER_NS);
    assert_eq!(registry.party(&local).endpoint.service, "unknown");
    assert!(registry.workload(workload.id).is_some());
}

#[test]
fn who_is_gone_is_named_by_what_its_records_say() {
    let registry = Registry::new(Rules::default());
    let gone = u32::MAX - 1;
    assert_eq!(registry.resolve(gone, &Hint::default(), 1), None);
    let workload = registry.resolve(gone, &hint("curl"), 1).expect("by comm");
    assert_eq!(
        (workload.service.as_str(), workload.kind),
        ("curl", WorkloadKind::Process)
    );
    assert_eq!(registry.take_fresh(), [workload]);
    assert!(registry.take_fresh().is_empty());
}

#[test]
fn parties_by_id_cgroup_command_and_not_at_all() {
    let registry = Registry::new(Rules::default());
    let web = name_by_comm("web");
    registry.restore(Workload::clone(&web));
    registry.set_cgroups(HashMap::from([(77, name_by_comm("unit"))]));
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"tool");
    let local = PartyFacts {
        local: true,
        ..facts()
    };
    for (asked, service, settled) in [
        (
            PartyFacts {
                workload: web.id,
                ..local
            },
            "web",
            true,
        ),
        (
            PartyFacts {
                cgroup_id: 77,
                comm,
                ..local
            },
            "unit",
            true,
        ),
        (PartyFacts { comm, ..local }, "tool", false),
        (local, "unknown", false),
    ] {
        let named = registry.party(&asked);
        assert_eq!(
            (named.endpoint.service.as_str(), named.settled),
            (service, settled)
        );
        assert_eq!(named.endpoint.addr, "10.0.0.5:80");
    }
}

#[test]
fn peers_by_listener_rule_and_address() {
    let rules = Rules::new(
        Vec::new(),
        &[NameRule {
            cidr: "10.0.0.0/24".into(),
            service: "lan".into(),
        }],
    );
    let registry = Registry::new(rules);
    let web = name_by_comm("web");
    registry.restore(Workload::clone(&web));
    let key = AddressKey {
        addr: v4_mapped([10, 0, 0, 5]),
        port: 80,
        ..AddressKey::default()
    };
    let before = registry.generation();
    assert!(registry.set_listeners(BTreeMap::from([(key, web.id)])));
    assert!(!registry.set_listeners(BTreeMap::from([(key, web.id)])));
    assert_eq!(registry.generation(), before + 1);
    let far = v4_mapped([8, 8, 8, 8]);
    for (asked, service, kind) in [
        (facts(), "web", WorkloadKind::Process),
        (
            PartyFacts {
                port: 81,
                ..facts()
            },
            "lan",
            WorkloadKind::Remote,
        ),
        (
            PartyFacts {
                addr: far,
                ..facts()
            },
            "8.8.8.8",
            WorkloadKind::Remote,
        ),
    ] {
        let endpoint = registry.party(&asked).endpoint;
        assert_eq!((endpoint.service.as_str(), endpoint.kind), (service, kind));
    }
}
