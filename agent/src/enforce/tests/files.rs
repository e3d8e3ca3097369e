//! Files that are accepted, and what they come to mean.

use super::{
    super::{
        emit::yaml,
        parse::parse,
        policy::{Action, DefaultDirection, Mode, OnFailure, Policy, Spec},
    },
    document, file, traffic,
};

fn good(text: &str) -> Vec<Policy> {
    parse(&file(text)).unwrap_or_else(|refusals| panic!("{refusals:#?}\n{text}"))
}

/// from, to, action, mode, limits of one traffic policy, in words.
fn words(policy: &Policy) -> String {
    let Spec::Traffic(spec) = &policy.spec else {
        panic!("not a traffic policy: {policy:?}");
    };
    let action = spec.action.map_or("-", Action::word);
    let bandwidth = spec.bandwidth.map(|rate| rate.to_string());
    let connections = spec.connections.map(|rate| rate.to_string());
    let limits: Vec<String> = bandwidth.into_iter().chain(connections).collect();
    let limits = if limits.is_empty() {
        "-".to_owned()
    } else {
        limits.join(" ")
    };
    format!(
        "{} > {} {action} {} {limits}",
        spec.from,
        spec.to,
        spec.mode.word()
    )
}

#[test]
fn specs_mean_what_they_say() {
    for (spec, meaning) in [
        (
            "from: { service: checkout }\nto: { service: payments, port: 8080 }\naction: deny",
            "service=checkout > service=payments:8080 deny enforce -",
        ),
        (
            "to: { any: true, ports: [443, 80, 443], protocol: TCP }\naction: allow\nmode: audit",
            "any > any:80,443/tcp allow audit -",
        ),
        (
            "from:\n  any: true\nto:\n  cidr: 10.0.0.0/8\naction: deny",
            "any > 10.0.0.0/8 deny enforce -",
        ),
        (
            "from: { cidr: [192.168.0.0/16, '2001:db8::/32'] }\nto: { unit: nginx.service }\naction: deny",
            "2001:db8::/32,192.168.0.0/16 > unit=nginx.service deny enforce -",
        ),
        (
            "from: { namespace: shop, process: node }\nto: { any: true, port: 53, protocol: udp }\naction: allow",
            "namespace=shop,process=node > any:53/udp allow enforce -",
        ),
        (
            "from: { container: 0123456789ab }\nto: { pod: web-0 }\nlimits: { bandwidth: 100Mbit/s }",
            "container=0123456789ab > pod=web-0 - enforce 12500000",
        ),
        (
            "to: { any: true }\nlimits: { connections: { perSecond: 5 } }",
            "any > any - enforce 5 connections/s, 1 at once",
        ),
        (
            "to: { any: true }\nlimits: { bandwidth: 1MB/s, connections: { perSecond: 500, burst: 7 } }",
            "any > any - enforce 1000000 500 connections/s, 7 at once",
        ),
        (
            "to: { any: true }\nlimits: { connections: { perSecond: 500 } }",
            "any > any - enforce 500 connections/s, 50 at once",
        ),
        (
            "from: { service: \"123\" }\nto: { any: true }\naction: allow\nlimits:\n  bandwidth: 1 Gbit/s",
            "service=123 > any allow enforce 125000000",
        ),
    ] {
        let text = traffic("p", spec);
        let policies = good(&text);
        assert_eq!(policies.len(), 1);
        assert_eq!(words(&policies[0]), meaning, "{text}");
        round_trip(&policies);
    }
}

/// What is written reads back as the same.
fn round_trip(policies: &[Policy]) {
    let plain = |policies: &[Policy]| -> Vec<Policy> {
        let at_home = |policy: &Policy| Policy {
            line: 0,
            ..policy.clone()
        };
        policies.iter().map(at_home).collect()
    };
    let text = yaml(policies);
    assert_eq!(plain(&good(&text)), plain(policies), "{text}");
}

#[test]
fn a_file_holds_several_documents_with_their_lines() {
    let text = format!(
        "# first\n---\n{}---\n---\n# nothing here\n---\n{}",
        traffic("a", "to: { any: true }\naction: deny"),
        document(
            "DefaultPolicy",
            "b",
            "action: deny\nmode: audit\ndirection: both"
        ),
    );
    let policies = good(&text);
    let places: Vec<(String, u32)> = policies.iter().map(|p| (p.key(), p.line)).collect();
    assert_eq!(places, [("a".to_owned(), 5), ("b".to_owned(), 15)]);
    let Spec::Default(spec) = &policies[1].spec else {
        panic!("not a default policy");
    };
    assert_eq!(
        (spec.action, spec.mode, spec.direction),
        (Action::Deny, Mode::Audit, DefaultDirection::Both)
    );
    round_trip(&policies);
}

#[test]
fn kubernetes_metadata_is_accepted() {
    let text = "\
apiVersion: weir.dev/v1
kind: TrafficPolicy
metadata:
  name: checkout-to-payments
  namespace: shop
  uid: 1-2-3
  resourceVersion: \"5\"
  labels: { team: a, tier: [x] }
  annotations:
    note: |
      anything: goes
spec:
  from: { service: checkout }
  to: { service: payments }
  action: allow
  onFailure: closed
status: { whatever: true }
";
    let policies = good(text);
    assert_eq!(policies[0].key(), "shop/checkout-to-payments");
    assert_eq!(policies[0].line, 4);
    let Spec::Traffic(spec) = &policies[0].spec else {
        panic!("not a traffic policy");
    };
    assert_eq!(spec.on_failure, Some(OnFailure::Closed));
    round_trip(&policies);
}

#[test]
fn odd_names_survive_the_way_through_yaml() {
    for name in [
        "true",
        "1.5",
        "a: b",
        "quo\"te\\",
        "ümlaut ☃",
        "tab\there",
        "-",
        "null",
        "a # b",
    ] {
        let quoted = serde_json::to_string(name).expect("a string is JSON");
        let spec = format!("from: {{ service: {quoted} }}\nto: {{ unit: {quoted} }}\naction: deny");
        let policies = good(&traffic("p", &spec));
        assert_eq!(
            words(&policies[0]),
            format!("service={name} > unit={name} deny enforce -")
        );
        round_trip(&policies);
    }
}

#[test]
fn files_without_content_hold_no_policy() {
    for text in [
        "",
        "\n\n",
        "---\n",
        "# only words\n",
        "---\n...\n---\n",
        "~",
    ] {
        assert_eq!(good(text), [], "{text:?}");
    }
}
