//! What `weir policy explain` answers.

use std::net::IpAddr;

use super::{
    super::{
        engine::PolicySet,
        explain::{ExplainError, Host},
    },
    document, file, traffic, workload,
};
use crate::{
    control::api::{ExplainQuery, Explanation},
    observe::model::{Workload, WorkloadKind},
};

fn host() -> Vec<Workload> {
    let mut host = vec![
        workload(10, WorkloadKind::Unit, "checkout"),
        workload(11, WorkloadKind::Unit, "payments"),
        workload(12, WorkloadKind::Process, "report"),
        workload(13, WorkloadKind::Container, "twin"),
        workload(14, WorkloadKind::Container, "twin"),
    ];
    host[0].unit = Some("checkout.service".to_owned());
    host[2].unit = Some("checkout.service".to_owned());
    host[2].process = Some("python3".to_owned());
    host[3].namespace = Some("one".to_owned());
    host[4].namespace = Some("two".to_owned());
    host
}

fn set() -> PolicySet {
    let text = [
        traffic("any-to-payments", "to: { service: payments }\naction: deny"),
        traffic(
            "checkout-pays",
            "from: { service: checkout }\nto: { service: payments, port: 8080 }\naction: allow\nlimits: { bandwidth: 10Mbit/s, connections: { perSecond: 30 } }",
        ),
        traffic(
            "checkout-audit",
            "from: { service: checkout }\nto: { service: payments, port: 8080 }\naction: deny\nmode: audit",
        ),
        traffic("net", "to: { cidr: 10.0.0.0/8, port: 25 }\naction: deny"),
        traffic("subnet", "to: { cidr: 10.1.0.0/16 }\naction: allow"),
        traffic(
            "strict",
            "from: { service: checkout }\nto: { service: report, protocol: udp }\naction: deny\nonFailure: closed",
        ),
        traffic(
            "ns",
            "from: { namespace: one }\nto: { service: report }\naction: deny",
        ),
        document(
            "DefaultPolicy",
            "quiet",
            "action: deny\nfrom: { service: twin }\nmode: audit",
        ),
    ];
    let mut set = PolicySet::default();
    set.apply(&[file(&text.join("---\n"))], &host())
        .unwrap_or_else(|e| panic!("{e:#?}"));
    set
}

fn ask(from: &str, to: &str, port: u16, udp: bool) -> Result<Explanation, ExplainError> {
    let query = ExplainQuery {
        from: from.to_owned(),
        to: to.to_owned(),
        port,
        udp,
    };
    let here: IpAddr = "10.9.9.9".parse().expect("an address");
    let workloads = host();
    let host = Host {
        workloads: &workloads,
        listener: &|address, port| (address == here && port == 8080).then_some(11),
    };
    set().explain(&query, host)
}

/// The answer has this head, and among its sentences one with each of `words`.
fn check(question: (&str, &str, u16, bool), head: &str, words: &[&str]) {
    let (from, to, port, udp) = question;
    let found = ask(from, to, port, udp).unwrap_or_else(|e| panic!("{question:?}: {e}"));
    let line = format!("{} by {} at {}", found.verdict, found.policy, found.hook);
    assert_eq!(line, head, "{question:?}: {found:#?}");
    for word in words {
        let told = found.because.iter().any(|sentence| sentence.contains(word));
        assert!(told, "{question:?}: `{word}` is not in {found:#?}");
    }
}

#[test]
#[rustfmt::skip] // One case, one paragraph.
fn decisions_come_with_their_reasons() {
    check(("twin", "payments", 80, false), "deny by any-to-payments at connect", &[
        "The TrafficPolicy any-to-payments (test.yaml:3) refuses: from any, to service=payments.",
        "ECONNREFUSED (connection refused) at once",
        "quiet also matches and does not decide: it is a default policy",
        "connections that are already established stay",
    ]);
    check(("payments", "payments", 80, true), "deny by any-to-payments at sendmsg", &["EPERM"]);
    check(("192.0.2.1", "payments", 80, false), "deny by any-to-payments at ingress", &["timeout"]);
    check(("192.0.2.1", "payments", 80, true), "deny by any-to-payments at ingress", &["datagram is dropped"]);
    check(("checkout", "payments", 80, false), "deny by any-to-payments at connect", &[
        "Rules by CIDR need the callee's address",
    ]);
    check(("checkout", "payments", 8080, false), "audit by checkout-audit at connect", &[
        "would refuse, but is in audit mode",
        "The caller sees nothing of it",
        "checkout-pays also matches and does not decide: it allows, and deny wins",
        "any-to-payments also matches and does not decide: it names any caller",
        "checkout-pays limits it to 10Mbit/s",
        "checkout-pays limits it to 30 connections/s, 3 at once, all callers that it matches together",
    ]);
    check(("checkout.service", "payments", 8080, false), "audit by checkout-audit at connect", &[]);
    check(("report", "10.1.2.3", 25, false), "deny by net at connect", &[
        "subnet also matches and does not decide: it names no port",
    ]);
    check(("report", "10.1.2.3", 26, false), "allow by subnet at connect", &[
        "allows: from any, to 10.1.0.0/16",
        "as if weir were not there",
    ]);
    check(("report", "192.0.2.9", 25, false), "allow by default at connect", &[
        "No policy matches, and what no policy denies is allowed.",
    ]);
    check(("twin", "10.9.9.9", 8080, false), "deny by any-to-payments at connect", &[]);
    check(("twin", "10.9.9.9", 25, false), "deny by net at connect", &[]);
    check(("twin", "192.0.2.9", 25, false), "audit by quiet at connect", &[
        "No TrafficPolicy matches; the DefaultPolicy quiet",
    ]);
    check(("twin", "report", 25, false), "deny by ns at connect", &[
        "The names stand for several workloads: 1 of 2 pairs are decided otherwise",
    ]);
    check(("someone", "report", 53, true), "deny by strict at sendmsg", &[
        "weir cannot name the caller yet; strict (test.yaml:42) refuses by what its `onFailure` says",
        "No workload is called `someone`: it is taken for the command",
    ]);
    check(("someone", "report", 0, false), "allow by default at connect", &["No port is given"]);
    check(("", "payments", 80, false), "deny by any-to-payments at connect", &[]);
}

#[test]
fn questions_without_an_answer_say_why() {
    let error = ask("checkout", "nobody", 80, false).expect_err("unknown");
    assert_eq!(error, ExplainError::UnknownCallee("nobody".to_owned()));
    assert!(error.to_string().contains("weir services"));
    let error = ask("192.0.2.1", "10.0.0.1", 80, false).expect_err("elsewhere");
    assert!(error.to_string().contains("both addresses"));
}
