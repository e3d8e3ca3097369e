//! What each table looks like, to the letter.

use super::{Row, SettingItem, explanation, refusal, status};
use crate::{
    control::{
        api::{DoctorItem, Explanation, Refusal},
        fixture as wire,
    },
    view::{
        csv,
        fixture::{self, NOW},
        table::{Style, render},
    },
};

#[track_caller]
fn check<R: Row>(items: &[R], wide: bool, expected: &str) {
    let style = Style {
        wide,
        ..Style::default()
    };
    same(&render(items, NOW, style), expected);
}

#[track_caller]
fn same(found: &str, expected: &str) {
    let (found, expected) = (found.trim_end(), expected.trim_matches('\n'));
    assert!(
        found == expected,
        "found:\n{found}\nexpected:\n{expected}\n"
    );
}

#[test]
fn edges() {
    let items = [
        fixture::edge("web", "shop/api", 12.34, 3),
        fixture::edge("cron", "db", 0.0, 0),
    ];
    check(
        &items,
        false,
        "
CLIENT  SERVER    PROTOCOL  PORT    RATE  CALLS     ERRORS    P50    P95  P99  SEEN
web     shop/api  http      8080  12.3/s   1000  3 (0.3 %)  1.2ms  4.3ms    -    5s
cron    db        http      8080     0/s   1000          0  1.2ms  4.3ms    -    5s
",
    );
    check(&items[..1], true, "
CLIENT  SERVER    PROTOCOL  PORT    RATE  CALLS     ERRORS    P50    P95  P99   QUEUE      OUT     IN  CONNS  TLS  DESTINATION  COMPLETE  CLIENT-INSTANCE  SERVER-INSTANCE  SERVER-ADDR    SEEN
web     shop/api  http      8080  12.3/s   1000  3 (0.3 %)  1.2ms  4.3ms    -  40.0µs  3.4 MiB  900 B      3  no   -              99.2 %  web.service      api.service      10.0.0.2:8080    5s
");
}

#[test]
fn services() {
    let mut quiet = fixture::service("cron", 0.0, 0);
    quiet.ports.clear();
    quiet.p50_ns = None;
    check(
        &[fixture::service("shop/api", 71_500.0, 120), quiet],
        false,
        "
SERVICE   KIND  PORTS         RATE  CALLS      ERRORS    P50    P95    P99  CALLERS  CALLEES  SEEN
shop/api  unit  8080,9090  71.5k/s   1000  120 (12 %)  1.2ms  4.3ms  9.0ms        1        2    5s
cron      unit  -              0/s   1000           0      -  4.3ms  9.0ms        1        2    5s
",
    );
}

#[test]
fn exchanges() {
    let mut failed = wire::exchange(1);
    (failed.status, failed.error) = (None, Some("unanswered".into()));
    failed.operation = "GET /\u{1b}[31m".into();
    check(
        &[wire::exchange(0), failed],
        false,
        r"
TIME                      CLIENT  SERVER        STATUS  DURATION  OPERATION
2023-11-14T22:13:20.000Z  web     shop/api         200     1.2ms  GET /users/*
2023-11-14T22:13:21.000Z  web     shop/api  unanswered     1.2ms  GET /\u{1b}[31m
",
    );
    check(&[wire::exchange(0)], true, "
TIME                      CLIENT  SERVER    PROTOCOL  STATUS  DURATION  FIRST-BYTE  QUEUE  REQUEST  RESPONSE  MESSAGES  VERDICT  TRACE  OPERATION     PATH
2023-11-14T22:13:20.000Z  web     shop/api  http         200     1.2ms           -  250µs    120 B   3.3 KiB         -  allow    -      GET /users/*  /users/0
");
}

#[test]
fn flows() {
    let mut reset = fixture::flow();
    (reset.event, reset.reset) = ("close".into(), true);
    check(&[fixture::flow(), reset], false, "
EVENT   CLIENT  SERVER    PROTOCOL  CLIENT-ADDR     SERVER-ADDR    AGE    OUT       IN  EXCHANGES     RTT  RETRANS
report  web     shop/api  http      10.0.0.1:40312  10.0.0.2:8080   2m  120 B  4.8 MiB         42  85.0µs        2
reset   web     shop/api  http      10.0.0.1:40312  10.0.0.2:8080   2m  120 B  4.8 MiB         42  85.0µs        2
");
}

#[test]
fn tcp() {
    check(&[fixture::tcp()], false, "
CLIENT  SERVER    PORT  OPEN  OPENED  FAILED  RESETS  RETRANS  TIMEOUTS  RTT-P50  RTT-P95  CONNECT      OUT   IN
web     shop/api  8080     3      12       0       1    1.2 %         0   85.0µs    300µs   91.0µs  1.0 KiB  0 B
");
}

#[test]
fn verdicts() {
    check(
        &[fixture::verdict("deny"), fixture::verdict("audit")],
        false,
        "
TIME                      VERDICT  CLIENT  SERVER    PORT  TRANSPORT  POLICY     MODE     HOOK
2023-11-14T22:14:18.500Z  deny     web     shop/api  8080  tcp        no-egress  enforce  connect
2023-11-14T22:14:18.500Z  audit    web     shop/api  8080  tcp        no-egress  enforce  connect
",
    );
}

#[test]
fn policies() {
    check(
        &[fixture::policy()],
        false,
        "
NAME       KIND           ACTION  FROM         TO               MODE   ALLOWED  DENIED  AUDITED
no-egress  TrafficPolicy  deny    service web  cidr 10.0.0.0/8  audit        0       0       17
",
    );
    check(&[fixture::policy()], true, "
NAME       KIND           ACTION  FROM         TO               MODE   ALLOWED  DENIED  AUDITED  HOOKS            SOURCE
no-egress  TrafficPolicy  deny    service web  cidr 10.0.0.0/8  audit        0       0       17  connect,ingress  /etc/weir/policies/a.yaml
");
}

#[test]
fn doctor() {
    let item = |name: &str, ok, lost: &str| DoctorItem {
        name: name.into(),
        ok,
        detail: if ok { "loads" } else { "EPERM" }.into(),
        lost_without: lost.into(),
        min_kernel: "6.3".into(),
    };
    let items = [
        item("cgroup_skb", true, "all"),
        item("fentry", false, "nothing"),
    ];
    check(
        &items,
        false,
        "
   CAPABILITY  FOUND  SINCE  WITHOUT IT
✓  cgroup_skb  loads  6.3    all
✗  fentry      EPERM  6.3    nothing
",
    );
}

#[test]
fn settings() {
    let item = SettingItem {
        key: "state".into(),
        value: "/var/lib/weir".into(),
        source: "default".into(),
    };
    check(
        &[item],
        false,
        "
KEY    VALUE          FROM
state  /var/lib/weir  default
",
    );
}

#[test]
fn the_status_page() {
    same(
        &status(&fixture::status(), false),
        "
weir      0.1.0, pid 4711, up 1h02m, Linux 6.18.44
traffic   71.5k/s, 123456 exchanges, 12 edges, 64 connections open
complete  > 99.9 %, 12 lost (ring_full 10, malformed 2)
policies  2
export    prometheus: ok
hooks     2 in force
missing   tcp_sendmsg_locked (6.16): no sender plaintext
map       OPS: 60 of 64 (94 %)
",
    );
    same(
        &status(&fixture::status(), true),
        "
weir      0.1.0, pid 4711, up 1h02m, Linux 6.18.44
traffic   71.5k/s, 123456 exchanges, 12 edges, 64 connections open
complete  > 99.9 %, 12 lost (ring_full 10, malformed 2)
policies  2
export    prometheus: ok
hooks     2 in force
missing   tcp_sendmsg_locked (6.16): no sender plaintext
map       EDGES: 12 of 16384 (< 0.1 %)
map       OPS: 60 of 64 (94 %)
hook      sockops, cgroup_skb/ingress
",
    );
}

#[test]
fn explanations_and_refusals() {
    let said = Explanation {
        verdict: "deny".into(),
        policy: "no-egress".into(),
        hook: "connect".into(),
        because: vec!["the caller sees ECONNREFUSED".into()],
    };
    same(
        &explanation(&said),
        "
deny by no-egress at connect
  the caller sees ECONNREFUSED
",
    );
    let refused = |line| Refusal {
        file: "a.yaml".into(),
        line,
        reason: "unknown action `no`".into(),
        remedy: "use allow or deny".into(),
    };
    same(
        &(refusal(&refused(7)) + &refusal(&refused(0))),
        "
a.yaml:7: unknown action `no`
  remedy: use allow or deny
a.yaml: unknown action `no`
  remedy: use allow or deny
",
    );
}

#[test]
fn csv_has_one_field_per_path() {
    fn fields<R: Row>(item: &R) -> (usize, usize, Vec<String>) {
        let header = csv::header(R::PATHS);
        let record = csv::record(item, R::PATHS);
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(record.as_bytes());
        let fields = reader.records().next().unwrap().unwrap();
        let fields: Vec<String> = fields.iter().map(str::to_owned).collect();
        (header.split(',').count(), fields.len(), fields)
    }
    let (columns, count, edge) = fields(&fixture::edge("web", "shop/api", 12.34, 3));
    assert_eq!(columns, count);
    assert_eq!(&edge[..2], ["web", ""]);
    assert_eq!(&edge[5..7], ["api", "shop"]);
    // Every path leads somewhere in an item that has all of its fields.
    let (_, _, flow) = fields(&fixture::flow());
    let empty = flow.iter().filter(|field| field.is_empty()).count();
    assert_eq!(empty, 2, "client.namespace and connect_ns only: {flow:?}");
    let (_, _, policy) = fields(&fixture::policy());
    assert!(policy.iter().all(|field| !field.is_empty()), "{policy:?}");
    let (_, _, status) = fields(&fixture::status());
    assert!(status.iter().all(|field| !field.is_empty()), "{status:?}");
    let (_, _, verdict) = fields(&fixture::verdict("deny"));
    assert_eq!(verdict.iter().filter(|field| field.is_empty()).count(), 1);
}
