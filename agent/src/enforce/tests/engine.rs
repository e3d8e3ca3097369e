//! The loaded set: all or nothing, slots that stay, items and warnings.

use std::collections::BTreeMap;

use weir_common::policy::{MAX_RULES, RuleCounter};

use super::{
    super::{compiled::CompiledRules, engine::PolicySet},
    document, file, traffic, workload,
};
use crate::{
    control::api::PolicyFile,
    observe::model::{Workload, WorkloadKind},
};

fn host() -> Vec<Workload> {
    vec![
        workload(10, WorkloadKind::Unit, "checkout"),
        workload(11, WorkloadKind::Unit, "payments"),
    ]
}

fn deny(name: &str) -> String {
    traffic(
        name,
        "from: { service: checkout }\nto: { service: payments }\naction: deny",
    )
}

fn applied(set: &mut PolicySet, text: &str) -> Vec<String> {
    set.apply(&[file(text)], &host())
        .unwrap_or_else(|refusals| panic!("{refusals:#?}"))
}

fn named(name: &str, text: String) -> PolicyFile {
    PolicyFile {
        name: name.to_owned(),
        text,
    }
}

#[test]
fn one_refusal_keeps_the_old_set() {
    let mut set = PolicySet::default();
    assert_eq!(applied(&mut set, &deny("a")), ["a"]);
    let before = set.clone();
    let good = named("good.yaml", deny("b"));
    let bad = named("bad.yaml", deny("c").replace("deny", "drop"));
    for files in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
        let refusals = set.apply(&files, &host()).expect_err("refused");
        assert_eq!(refusals.len(), 1);
        assert_eq!(
            (refusals[0].file.as_str(), refusals[0].line),
            ("bad.yaml", 7)
        );
        assert!(set.load(&files, &host()).is_err());
        assert!(set.check(&files, &host()).is_err());
    }
    assert_eq!(set.rules(), before.rules());
    assert_eq!(set.policies(), before.policies());
}

#[test]
fn a_check_changes_nothing() {
    let mut set = PolicySet::default();
    applied(&mut set, &deny("a"));
    let before = set.rules().clone();
    let (names, warnings) = set.check(&[file(&deny("b"))], &host()).expect("fine");
    assert_eq!(names, ["b"]);
    assert_eq!(warnings.len(), 1, "b says the same as a: {warnings:?}");
    assert_eq!(set.rules(), &before);
}

#[test]
fn a_name_is_given_once() {
    let mut set = PolicySet::default();
    let files = [
        named("one.yaml", deny("a")),
        named("two.yaml", format!("# words\n{}", deny("a"))),
    ];
    let refusals = set.load(&files, &host()).expect_err("refused");
    assert_eq!(
        (refusals[0].file.as_str(), refusals[0].line),
        ("two.yaml", 4)
    );
    assert_eq!(
        refusals[0].reason,
        "metadata.name: `a` is already the name of the policy at one.yaml:3"
    );
    // The same name in another namespace is another policy.
    let text = deny("a").replace("name: a", "name: a, namespace: shop");
    applied(&mut set, &format!("{}---\n{text}", deny("a")));
    assert_eq!(set.policies().len(), 2);
    assert_eq!(
        set.delete("a", &host()),
        Ok(true),
        "the one without a namespace"
    );
    assert_eq!(
        set.delete("a", &host()),
        Ok(true),
        "the only one left of that name"
    );
    assert_eq!(set.delete("a", &host()), Ok(false));
    assert_eq!(set.rules(), &CompiledRules::default());
}

#[test]
fn slots_stay_with_their_names() {
    let mut set = PolicySet::new(BTreeMap::from([
        ("b".to_owned(), 5),
        ("gone".to_owned(), 0),
    ]));
    assert_eq!(set.recompile(&host()), Ok(false), "nothing is loaded yet");
    let slots = |set: &PolicySet| -> Vec<(String, u32)> {
        set.rules()
            .slots
            .iter()
            .map(|(name, slot)| (name.clone(), *slot))
            .collect()
    };
    let pair = |name: &str, slot: u32| (name.to_owned(), slot);
    applied(&mut set, &[deny("a"), deny("b")].join("---\n"));
    assert_eq!(
        slots(&set),
        [pair("a", 1), pair("b", 5)],
        "0 was in use until now"
    );
    applied(&mut set, &deny("c"));
    assert_eq!(slots(&set), [pair("a", 1), pair("b", 5), pair("c", 0)]);
    set.delete("a", &host()).expect("deleted");
    applied(&mut set, &[deny("a"), deny("b")].join("---\n"));
    assert_eq!(slots(&set), [pair("a", 1), pair("b", 5), pair("c", 0)]);
    set.recompile(&[]).expect("recompiled");
    assert_eq!(slots(&set), [pair("a", 1), pair("b", 5), pair("c", 0)]);
}

#[test]
fn a_freed_slot_is_given_away_only_after_it_is_gone() {
    let mut set = PolicySet::default();
    applied(&mut set, &deny("a"));
    set.load(&[file(&deny("b"))], &host()).expect("loaded");
    assert_eq!(set.rules().slots, BTreeMap::from([("b".to_owned(), 1)]));
    set.load(&[file(&deny("c"))], &host()).expect("loaded");
    assert_eq!(set.rules().slots, BTreeMap::from([("c".to_owned(), 0)]));
}

#[test]
fn a_damaged_slot_table_does_not_mix_rules() {
    let table = BTreeMap::from([
        ("a".to_owned(), 3),
        ("b".to_owned(), 3),
        ("c".to_owned(), MAX_RULES + 7),
    ]);
    let mut set = PolicySet::new(table);
    applied(&mut set, &[deny("a"), deny("b"), deny("c")].join("---\n"));
    let mut slots: Vec<u32> = set.rules().slots.values().copied().collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 3]);
}

#[test]
fn rules_follow_the_workloads() {
    let mut set = PolicySet::default();
    let text = traffic(
        "a",
        "from: { unit: x.service }\nto: { service: payments }\naction: deny",
    );
    applied(&mut set, &text);
    assert!(!set.rules().has_access_rules());
    assert_eq!(set.warnings().len(), 1);
    assert!(
        set.warnings()[0]
            .text
            .starts_with("`from` (unit=x.service) matches no workload")
    );
    let mut host = host();
    host[0].unit = Some("x.service".to_owned());
    assert_eq!(set.recompile(&host), Ok(true));
    assert_eq!(set.recompile(&host), Ok(false));
    // TCP and UDP, outbound only: the caller is on this host.
    assert_eq!(set.rules().entries.len(), 2);
    assert_eq!(set.warnings(), []);
}

#[test]
fn default_policies_warn_of_what_they_would_cut() {
    let mut set = PolicySet::default();
    let default = document("DefaultPolicy", "d", "action: deny\ndirection: both");
    let texts = |set: &PolicySet| -> Vec<String> {
        set.warnings()
            .iter()
            .map(|warning| warning.text.clone())
            .collect()
    };
    applied(&mut set, &default);
    assert_eq!(texts(&set).len(), 2);
    assert!(texts(&set)[0].contains("name lookups will be refused"));
    assert!(texts(&set)[1].contains("new SSH sessions will be refused"));
    applied(
        &mut set,
        &traffic("dns", "to: { any: true, port: 53 }\naction: allow"),
    );
    applied(
        &mut set,
        &traffic("ssh", "to: { any: true, port: 22 }\naction: allow"),
    );
    assert_eq!(texts(&set), [""; 0]);
    applied(&mut set, &default.replace("deny", "allow"));
    assert_eq!(texts(&set), [""; 0]);
}

#[test]
fn items_tell_rules_hooks_and_counters() {
    let mut set = PolicySet::default();
    let text = [
        traffic(
            "a",
            "from: { service: checkout }\nto: { service: payments, port: 80, protocol: tcp }\naction: allow\nlimits: { bandwidth: 2.5Gbit/s, connections: { perSecond: 9 } }",
        ),
        traffic("b", "to: { service: payments }\naction: deny\nmode: audit"),
        traffic("c", "to: { service: nowhere }\naction: deny"),
        document("DefaultPolicy", "d", "action: deny\ndirection: inbound"),
    ];
    applied(&mut set, &text.join("---\n"));
    let slot = set.rules().slots["b"];
    let counter = RuleCounter {
        allowed: 1,
        denied: 2,
        audited: 3,
        last_ns: 4,
    };
    let items = set.list(&[(slot, counter), (99, counter)]);
    let lines: Vec<String> = items
        .iter()
        .map(|i| {
            let hooks = i.hooks.join("+");
            format!(
                "{} {} | {} | {} > {} | {} | {hooks}",
                i.kind, i.name, i.action, i.from, i.to, i.mode
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "TrafficPolicy a | allow, limit 2.5Gbit/s, limit 9 connections/s, 1 at once | service=checkout > service=payments:80/tcp | enforce | connect+sockops",
            "TrafficPolicy b | deny | any > service=payments | audit | connect+ingress+sendmsg",
            "TrafficPolicy c | deny | any > service=nowhere | enforce | ",
            "DefaultPolicy d | deny | any > any (inbound) | enforce | ingress",
        ]
    );
    assert_eq!(
        (items[1].allowed, items[1].denied, items[1].audited),
        (1, 2, 3)
    );
    assert_eq!(items[0].denied, 0);
    // What is written can be loaded again, and means the same.
    let mut again = PolicySet::default();
    applied(&mut again, &set.yaml());
    assert_eq!(again.rules(), set.rules());
}

#[test]
fn a_set_that_does_not_fit_is_refused() {
    let ports: Vec<String> = (1..=256).map(|port| port.to_string()).collect();
    let ranges: Vec<String> = (0..=1023)
        .map(|net| format!("10.{}.{}.0/24", net / 4, net % 4))
        .collect();
    let spec = format!(
        "to: {{ cidr: [{}], ports: [{}] }}\naction: deny",
        ranges.join(", "),
        ports.join(", ")
    );
    let mut set = PolicySet::default();
    let refusals = set
        .apply(&[file(&traffic("big", &spec))], &[])
        .expect_err("too large");
    assert_eq!(refusals[0].line, 3);
    assert!(
        refusals[0].reason.contains("more than 262144 map entries"),
        "{refusals:?}"
    );
}

#[test]
fn ten_thousand_rules_compile_and_change_by_one() {
    let rule = |index: usize| {
        let net = format!("10.{}.{}.0/24", index / 256, index % 256);
        traffic(
            &format!("r{index}"),
            &format!("to: {{ cidr: {net}, port: 443 }}\naction: deny"),
        )
    };
    let text: Vec<String> = (0..10_000).map(rule).collect();
    let mut set = PolicySet::default();
    applied(&mut set, &text.join("---\n"));
    let before = set.rules().clone();
    assert_eq!(before.entries.len(), 20_000);
    applied(&mut set, &rule(10_000));
    // A fresh counter, the range, an entry for TCP and one for UDP.
    let steps = super::super::diff::diff(&before, set.rules());
    assert_eq!(steps.len(), 4, "{steps:?}");
}
