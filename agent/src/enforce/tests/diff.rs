//! Every flow is decided by the old or by the new rules at every step from one to the other.

use weir_common::policy::{decide, verdict};

use super::{
    super::{
        compile::compile,
        compiled::CompiledRules,
        diff::{Step, diff},
        parse::parse,
    },
    file, traffic,
    world::{Caller, Random, Rule, Scene, rules, scene, workloads},
};

fn compiled(text: &str, previous: &CompiledRules) -> CompiledRules {
    let mut policies = parse(&file(text)).unwrap_or_else(|e| panic!("{e:#?}\n{text}"));
    policies.sort_by_key(|policy| policy.key());
    compile(&policies, &workloads(), &previous.slots)
        .expect("compiles")
        .rules
}

fn random_set(random: &mut Random) -> String {
    let rules: Vec<String> = rules(random, 8).iter().map(Rule::yaml).collect();
    rules.join("---\n")
}

fn take(rules: &mut CompiledRules, step: Step) {
    match step {
        Step::SetEntry { key, value } => {
            rules.entries.insert(key, value);
        }
        Step::RemoveEntry { key } => {
            assert!(
                rules.entries.remove(&key).is_some(),
                "removed twice: {key:?}"
            );
        }
        Step::SetRange {
            prefix,
            network,
            class,
        } => {
            rules.cidrs.insert((prefix, network), class);
        }
        Step::RemoveRange { prefix, network } => {
            assert!(rules.cidrs.remove(&(prefix, network)).is_some());
        }
        Step::SetBudget {
            slot,
            bytes_per_second,
        } => {
            rules.budgets.insert(slot, bytes_per_second);
        }
        Step::RemoveBudget { slot } => {
            rules.budgets.remove(&slot);
        }
        Step::SetRate { slot, rate } => {
            rules.rates.insert(slot, rate);
        }
        Step::RemoveRate { slot } => {
            rules.rates.remove(&slot);
        }
        Step::ResetCounter { .. } => {}
    }
}

/// Flows whose two ends have at most one workload each: see the module's last words.
fn simple_scene(random: &mut Random) -> Scene {
    let mut scene = scene(random);
    if scene.callee_process.is_some() {
        scene.callee_cgroup = None;
    }
    if let Caller::Local {
        process: Some(_),
        cgroup,
        ..
    } = &mut scene.caller
    {
        *cgroup = None;
    }
    scene
}

#[test]
fn no_flow_passes_through_a_third_state() {
    let mut random = Random(7);
    let mut steps_taken = 0;
    for round in 0..400 {
        let (old_text, new_text) = (random_set(&mut random), random_set(&mut random));
        let old = compiled(&old_text, &CompiledRules::default());
        let new = compiled(&new_text, &old);
        let scenes: Vec<Scene> = (0..12).map(|_| simple_scene(&mut random)).collect();
        let denies = |rules: &CompiledRules, scene: &Scene| {
            decide(&scene.flow(rules), rules).verdict == verdict::DENY
        };
        let ends: Vec<[bool; 2]> = scenes
            .iter()
            .map(|scene| [denies(&old, scene), denies(&new, scene)])
            .collect();
        let mut live = old.clone();
        for step in diff(&old, &new) {
            take(&mut live, step);
            steps_taken += 1;
            for (scene, ends) in scenes.iter().zip(&ends) {
                let now = denies(&live, scene);
                assert!(
                    ends.contains(&now),
                    "round {round}: {scene:?} is {now} after {step:?}\nfrom\n{old_text}\nto\n{new_text}"
                );
            }
        }
        assert_eq!(live.entries, new.entries, "round {round}");
        assert_eq!(live.cidrs, new.cidrs, "round {round}");
        assert_eq!(live.budgets, new.budgets, "round {round}");
        assert_eq!(live.rates, new.rates, "round {round}");
        assert_eq!(diff(&new, &new), []);
    }
    assert!(steps_taken > 10_000, "only {steps_taken} steps");
}

#[test]
fn a_small_change_is_a_small_update() {
    let rule = |port: u16| {
        traffic(
            "a",
            &format!("to: {{ cidr: 10.0.0.0/8, port: {port}, protocol: tcp }}\naction: deny"),
        )
    };
    let old = compiled(&rule(80), &CompiledRules::default());
    let new = compiled(&rule(81), &old);
    let steps = diff(&old, &new);
    assert!(
        matches!(steps.as_slice(), [Step::SetEntry { key: set, .. }, Step::RemoveEntry { key: gone }]
            if set.port == 81 && gone.port == 80),
        "{steps:?}"
    );
    let limit = |rate: &str| {
        traffic(
            "l",
            &format!("to: {{ any: true }}\nlimits: {{ bandwidth: {rate} }}"),
        )
    };
    let old = compiled(&limit("1Mbit/s"), &CompiledRules::default());
    let new = compiled(&limit("2Mbit/s"), &old);
    assert_eq!(
        diff(&old, &new),
        [Step::SetBudget {
            slot: 0,
            bytes_per_second: 250_000
        }]
    );
}

#[test]
fn a_rule_that_is_replaced_takes_another_slot_whose_counters_are_zeroed() {
    let old = compiled(
        &traffic("a", "to: { any: true }\naction: deny"),
        &CompiledRules::default(),
    );
    let new = compiled(&traffic("b", "to: { any: true }\naction: deny"), &old);
    assert_eq!((old.slots["a"], new.slots["b"]), (0, 1));
    assert!(diff(&old, &new).contains(&Step::ResetCounter { slot: 1 }));
}
