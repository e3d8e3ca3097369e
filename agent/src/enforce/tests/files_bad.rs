//! Files that are refused: each with its line, what is wrong, and what to do.

use super::{
    super::{parse::parse, yaml},
    document, file, traffic,
};
use crate::control::api::Refusal;

fn refusals(text: &str) -> Vec<Refusal> {
    parse(&file(text)).expect_err(text)
}

/// The only refusal of a text stands on `line` and has these words.
fn check(text: &str, line: u32, reason: &str, remedy: &str) {
    let refusals = refusals(text);
    let [refusal] = refusals.as_slice() else {
        panic!("one refusal expected, found {refusals:#?}\n{text}");
    };
    assert_eq!(refusal.file, "test.yaml");
    assert_eq!(refusal.line, line, "{refusal:?}\n{text}");
    assert_eq!(refusal.reason, reason, "{text}");
    assert!(refusal.remedy.contains(remedy), "{refusal:?}\n{text}");
}

/// As [`check`], for a traffic policy whose `spec` begins on line 5.
fn check_spec(spec: &str, line: u32, reason: &str, remedy: &str) {
    check(&traffic("p", spec), line, reason, remedy);
}

#[test]
#[rustfmt::skip] // One case, one line.
fn selectors_that_cannot_be() {
    for (from, reason, remedy) in [
        ("{}", "spec.from: selects nobody", "everybody is `any: true`"),
        ("", "spec.from: selects nobody", "everybody is `any: true`"),
        ("checkout", "spec.from: needs fields (`name: value`), this is a single value", "example"),
        ("[a]", "spec.from: needs fields (`name: value`), this is a list", "example"),
        ("{ svc: a }", "spec.from.svc: unknown field", "known here"),
        ("{ servce: a }", "spec.from.servce: unknown field", "did you mean `service`?"),
        ("{ Service: a }", "spec.from.Service: unknown field", "did you mean `service`?"),
        ("{ service: }", "spec.from.service: needs a text, this is nothing", "write one value"),
        ("{ service: [a, b] }", "spec.from.service: needs a text, this is a list", "write one value"),
        ("{ any: false }", "spec.from: `any: false` selects nobody", "name somebody"),
        ("{ any: yes }", "spec.from.any: has to be `true` or `false`", "any: true"),
        ("{ any: true, unit: x }", "spec.from: `any: true` together with another selector", "keep"),
        ("{ cidr: 10.0.0.0/8, unit: x }", "spec.from: `cidr` together with a workload: a party is known by one or the other", "two policies"),
        ("{ cidr: 10.0.0.300 }", "spec.from.cidr: `10.0.0.300` is not an address range", "10.0.0.0/8"),
        ("{ cidr: 10.1.0.0/8 }", "spec.from.cidr: `10.1.0.0/8` has bits set after its prefix", "write `10.0.0.0/8`"),
        ("{ cidr: [] }", "spec.from.cidr: the list is empty", "10.0.0.0/8"),
        ("{ dns: example.com }", "spec.from.dns: not enforceable yet: use cidr", "cidr: [203.0.113.7"),
        ("{ process: /usr/bin/curl }", "spec.from.process: `/usr/bin/curl` is a path, not a command name", "process: curl"),
        ("{ container: web }", "spec.from.container: `web` is not a container id", "12 to 64 hex digits"),
        ("{ service: a, port: 80 }", "spec.from.port: belongs to the callee: a caller's port says nothing", "move `port` to `to`"),
    ] {
        let spec = format!("action: deny\nto: {{ any: true }}\nfrom: {from}");
        check_spec(&spec, 7, reason, remedy);
    }
}

#[test]
#[rustfmt::skip] // One case, one line.
fn targets_that_cannot_be() {
    for (to, reason, remedy) in [
        ("{}", "spec.to: selects nobody", "any: true"),
        ("{ port: 80 }", "spec.to: selects nobody", "any: true"),
        ("{ any: true, port: 0 }", "spec.to.port: 0 is out of range", "1 to 65535"),
        ("{ any: true, port: 65536 }", "spec.to.port: 65536 is out of range", "1 to 65535"),
        ("{ any: true, port: -1 }", "spec.to.port: `-1` is not a port number", "1 to 65535"),
        ("{ any: true, port: http }", "spec.to.port: `http` is not a port number", "names have to be written out"),
        ("{ any: true, port: \"80\" }", "spec.to.port: \"80\" is a text", "without quotes"),
        ("{ any: true, port: [80] }", "spec.to.port: needs one port, this is a list", "`ports:`"),
        ("{ any: true, ports: 80 }", "spec.to.ports: needs a list of 1 to 256 ports", "[80, 443]"),
        ("{ any: true, ports: [] }", "spec.to.ports: needs a list of 1 to 256 ports", "[80, 443]"),
        ("{ any: true, ports: [80, 99999] }", "spec.to.ports: 99999 is out of range", "1 to 65535"),
        ("{ any: true, ports: [80-90] }", "spec.to.ports: `80-90` is not a port number", "ranges"),
        ("{ any: true, port: 1, ports: [2] }", "spec.to.ports: `port` and `ports` are both given", "all of them"),
        ("{ any: true, protocol: http }", "spec.to.protocol: `http` is not enforceable yet: when a connection begins, only its transport is known", "protocol: tcp"),
        ("{ dns: example.com, port: 443 }", "spec.to.dns: not enforceable yet: use cidr", "cidr"),
        ("{ any: true, prot: 80 }", "spec.to.prot: unknown field", "did you mean `port`?"),
    ] {
        let spec = format!("action: deny\nfrom: {{ any: true }}\nto: {to}");
        check_spec(&spec, 7, reason, remedy);
    }
}

#[test]
#[rustfmt::skip] // One case, one line.
fn rules_that_cannot_be_held() {
    const ALLOW: &str = "to: { service: b }\naction: allow\n";
    for (spec, line, reason, remedy) in [
        (format!("{ALLOW}tls: required"), 7, "spec.tls: not enforceable yet: the first bytes of a connection are not judged", "remove `tls`"),
        (format!("{ALLOW}circuitBreaker: {{ window: 10s }}"), 7, "spec.circuitBreaker: not enforceable yet: failures of an edge do not open a breaker", "remove"),
        (format!("{ALLOW}limits:\n  connections: {{ max: 2 }}"), 8, "spec.limits.connections.max: not enforceable yet: open connections are not counted against a limit", "remove `max`"),
        (format!("{ALLOW}limits:\n  connections: {{ burst: 2 }}"), 8, "spec.limits.connections.perSecond: is missing", "perSecond: 50"),
        (format!("{ALLOW}limits:\n  connections: {{ perSecond: 0 }}"), 8, "spec.limits.connections.perSecond: `0` is no whole number from 1 to 1000000", "action: deny"),
        (format!("{ALLOW}limits:\n  connections: {{ perSecond: 2.5 }}"), 8, "spec.limits.connections.perSecond: `2.5` is no whole number from 1 to 1000000", "write a number"),
        (format!("{ALLOW}limits:\n  connections: {{ perSecond: 1000001 }}"), 8, "spec.limits.connections.perSecond: `1000001` is no whole number from 1 to 1000000", "write a number"),
        (format!("{ALLOW}limits:\n  connections: {{ perSecond: 5, burst: -1 }}"), 8, "spec.limits.connections.burst: `-1` is no whole number from 1 to 1000000", "burst: 50"),
        (format!("{ALLOW}limits:\n  connections: {{ persecond: 5 }}"), 8, "spec.limits.connections.persecond: unknown field", "did you mean `perSecond`?"),
        (format!("{ALLOW}limits:\n  connections: 50"), 8, "spec.limits.connections: needs fields (`name: value`), this is a single value", "example"),
        (format!("{ALLOW}mode: audit\nlimits: {{ connections: {{ perSecond: 5 }} }}"), 8, "spec.limits.connections: cannot be audited: what a limit would have held back is not measured", "policy of its own"),
        ("to: { service: b, protocol: udp }\nlimits: { connections: { perSecond: 5 } }".into(), 6, "spec.limits.connections: not enforceable for UDP: datagrams begin no connection", "protocol: udp"),
        (format!("{ALLOW}limits:\n  bandwidth: 1Mbit/s\n  requests: {{ burst: 2 }}"), 9, "spec.limits.requests: not enforceable yet: requests are not counted against a limit", "remove `requests`"),
        (format!("{ALLOW}limits: {{}}"), 7, "spec.limits: holds no limit", "bandwidth: 100Mbit/s"),
        (format!("{ALLOW}limits:"), 7, "spec.limits: holds no limit", "bandwidth: 100Mbit/s"),
        (format!("{ALLOW}limits:\n  bandwith: 1Mbit/s"), 8, "spec.limits.bandwith: unknown field", "did you mean `bandwidth`?"),
        (format!("{ALLOW}limits:\n  bandwidth: 100Mbps"), 8, "spec.limits.bandwidth: unknown unit `Mbps`", "Mbit/s"),
        (format!("{ALLOW}limits:\n  bandwidth: 100"), 8, "spec.limits.bandwidth: the rate has no unit", "Mbit/s"),
        (format!("{ALLOW}limits:\n  bandwidth: [1]"), 8, "spec.limits.bandwidth: needs a text, this is a list", "one value"),
        (format!("{ALLOW}mode: audit\nlimits:\n  bandwidth: 1Mbit/s"), 8, "spec.limits.bandwidth: cannot be audited: what a limit would have held back is not measured", "policy of its own"),
        ("to: { service: b }\naction: deny\nlimits: { bandwidth: 1Mbit/s }".into(), 7, "spec.limits: nothing is left to limit where `action` is `deny`", "action: allow"),
        ("to: { service: b, protocol: udp }\nlimits: { bandwidth: 1Mbit/s }".into(), 6, "spec.limits.bandwidth: not enforceable for UDP: only TCP sockets are paced", "protocol: udp"),
        ("to: { cidr: 10.0.0.0/8 }\nfrom: { cidr: 10.0.0.0/8 }\naction: deny".into(), 6, "spec.from.cidr: `from` and `to` are both CIDRs, but one end has to be on this host", "name the end"),
        ("to: { any: true }\nfrom: { any: true }".into(), 4, "spec: neither `action` nor `limits`: the policy asks for nothing", "add `action: allow`"),
        ("from: { any: true }\naction: deny".into(), 4, "spec.to: is missing", "to: { any: true }"),
        (format!("{ALLOW}mode: warn"), 7, "spec.mode: `warn` is not known", "`enforce` or `audit`"),
        (format!("{ALLOW}onFailure: shut"), 7, "spec.onFailure: `shut` is not known", "`open` or `closed`"),
        ("to: { any: true }\naction: drop".into(), 6, "spec.action: `drop` is not known", "`allow` or `deny`"),
        (format!("{ALLOW}acton: deny"), 7, "spec.acton: unknown field", "did you mean `action`?"),
        (format!("{ALLOW}onfailure: open"), 7, "spec.onfailure: unknown field", "did you mean `onFailure`?"),
    ] {
        check_spec(&spec, line, reason, remedy);
    }
}

#[test]
#[rustfmt::skip] // One case, one line.
fn default_policies_that_cannot_be() {
    for (spec, line, reason, remedy) in [
        ("mode: audit", 4, "spec.action: is missing", "action: deny"),
        ("action: deny\ndirection: in", 6, "spec.direction: `in` is not known", "`outbound`, `inbound` or `both`"),
        ("action: deny\nfrom: { cidr: 10.0.0.0/8 }", 6, "spec.from.cidr: callers on this host are known by workload, not by address", "direction: inbound"),
        ("action: deny\ndirection: both\nfrom: { service: a }", 7, "spec.from: callers on other hosts are known by address, not by workload", "direction: outbound"),
        ("action: deny\nto: { service: a }", 6, "spec.to: unknown field", "known here: action, mode, direction, from"),
        ("action: deny\nlimits: { bandwidth: 1Mbit/s }", 6, "spec.limits: unknown field", "known here"),
    ] {
        check(&document("DefaultPolicy", "d", spec), line, reason, remedy);
    }
}

#[test]
#[rustfmt::skip] // One case, one line.
fn documents_that_are_not_policies() {
    let spec = "spec: { to: { any: true }, action: deny }\n";
    let head = "apiVersion: weir.dev/v1\nkind: TrafficPolicy\n";
    for (text, line, reason, remedy) in [
        (format!("kind: TrafficPolicy\nmetadata: {{ name: a }}\n{spec}"), 1, "apiVersion: is missing", "weir.dev/v1"),
        (format!("apiVersion: v1\nkind: TrafficPolicy\nmetadata: {{ name: a }}\n{spec}"), 1, "apiVersion: `v1` is not known", "weir.dev/v1"),
        (format!("apiVersion: weir.dev/v1\nmetadata: {{ name: a }}\n{spec}"), 1, "kind: is missing", "kind: TrafficPolicy"),
        (format!( "apiVersion: weir.dev/v1\nkind: NetworkPolicy\nmetadata: {{ name: a }}\n{spec}" ), 2, "kind: `NetworkPolicy` is not known", "kind: TrafficPolicy"),
        (format!( "apiVersion: weir.dev/v1\nkind: VirtualService\nmetadata: {{ name: a }}\n{spec}" ), 2, "kind: `VirtualService` is not enforceable yet", "take this document out"),
        (format!("{head}{spec}"), 1, "metadata.name: is missing", "metadata: { name"),
        (format!("{head}metadata: {{ labels: {{}} }}\n{spec}"), 3, "metadata.name: is missing", "metadata: { name"),
        (format!("{head}metadata:\n  name: Not A Name\n{spec}"), 4, "metadata.name: `Not A Name` is not a name", "lower-case"),
        (format!("{head}metadata:\n  name: -a\n{spec}"), 4, "metadata.name: `-a` is not a name", "lower-case"),
        (format!("{head}metadata:\n  namespace: {n}\n  name: {n}\n{spec}", n = "n".repeat(200)), 5, "metadata.name: has 401 characters together with its namespace", "at most 255"),
        (format!("{head}metadata:\n  name: a\n  nmespace: b\n{spec}"), 5, "metadata.nmespace: unknown field", "did you mean `namespace`?"),
        (format!("{head}metadata: {{ name: a }}\n"), 1, "spec: is missing", "under `spec:`"),
        (format!("{head}metadata: {{ name: a }}\n{spec}extra: 1\n"), 5, "extra: unknown field", "known here"),
        ("just words".to_owned(), 1, "needs fields (`name: value`), this is a single value", "example"),
        ("- a\n- b\n".to_owned(), 1, "needs fields (`name: value`), this is a list", "example"),
    ] {
        check(&text, line, reason, remedy);
    }
}

#[test]
fn text_that_is_not_yaml() {
    for (text, line, remedy) in [
        ("a: [1, 2\nb: 3\n", 2, "check the indentation"),
        ("a: 1\n\tb: 2\n", 2, "indent with spaces"),
        ("a: 1\n  b: 2\n", 2, "check the indentation"),
        ("a: \"open\n", 1, "check the indentation"),
        ("a: 1\nb: 2\na: 3\n", 3, "keep one of the two"),
        ("a: &x 1\nb: *x\n", 1, "write the value out"),
        ("a: *x\n", 1, "check the indentation"),
        ("a: !!int 3\n", 1, "leave the tag out"),
        ("? [a]\n: b\n", 1, "write `name: value`"),
    ] {
        let refusals = refusals(text);
        assert_eq!(refusals.len(), 1, "{text:?}: {refusals:?}");
        assert_eq!(refusals[0].line, line, "{text:?}: {refusals:?}");
        assert!(
            refusals[0].remedy.contains(remedy),
            "{text:?}: {refusals:?}"
        );
    }
}

#[test]
fn several_things_wrong_are_told_together_in_the_order_of_the_file() {
    let text = format!(
        "{}---\n{}",
        traffic(
            "a",
            "to: { port: 99999, service: }\ntls: required\naction: maybe"
        ),
        traffic(
            "b",
            "from: { cidr: x }\nto: { any: true }\naction: deny\nfoo: 1"
        ),
    );
    let lines: Vec<u32> = refusals(&text).iter().map(|refusal| refusal.line).collect();
    assert_eq!(lines, [5, 5, 6, 7, 13, 16]);
}

#[test]
fn hostile_text_is_refused_quickly() {
    let deep = "[".repeat(100_000);
    let wide = format!("a: [{}]", "1,".repeat(100_000));
    let nested_maps = "{a: ".repeat(10_000);
    for text in [deep.as_str(), nested_maps.as_str()] {
        assert!(yaml::documents(text).is_err());
    }
    assert!(yaml::documents(&wide).is_ok());
}
