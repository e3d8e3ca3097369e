//! The Memcached framing in tables: both protocols, blocks of data, quiet commands, splits.

mod binary;
mod hostile;
#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use talk::{Client, Server, Side, Talk};
use weir_common::{flow::protocol, framing::memcached::op_hash};

const PIECES: [usize; 10] = [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97];

type Row = (u64, u16, u64, u64);

/// What was said, for people; cut short.
fn text(parts: &[(Side, &[u8])]) -> String {
    let part = |(side, bytes): &(Side, &[u8])| {
        let shown = bytes[..bytes.len().min(60)].escape_ascii();
        format!("\n{side:?} {} bytes: {shown}", bytes.len())
    };
    parts.iter().map(part).collect()
}

/// Runs messages, whole or cut into pieces of so many bytes, and tells commands and outcomes.
fn run(parts: &[(Side, &[u8])], piece: usize) -> Vec<Row> {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    let talk = talk.end();
    assert_eq!(
        (talk.lost, talk.conversation.opaque),
        (0, 0),
        "{piece} at a time: {}\n{:?}",
        text(parts),
        talk.out
    );
    assert_eq!(talk.conversation.protocol, protocol::MEMCACHED);
    let outcome = |f: &weir_common::framing::http1::Finished| {
        (f.op, f.status, f.request_bytes, f.response_bytes)
    };
    talk.finished.iter().map(outcome).collect()
}

/// The same whole, by every small piece, and by one that cuts at odd places.
fn check_bytes(parts: &[(Side, &[u8])], expected: &[Row]) {
    for piece in PIECES {
        assert_eq!(
            run(parts, piece),
            expected,
            "{piece} at a time: {}",
            text(parts)
        );
    }
}

/// The same in text: command, whether it succeeded (1) or failed (1000), bytes of both sides.
fn check(parts: &[(Side, &str)], expected: &[(&str, u16, u64, u64)]) {
    let parts: Vec<_> = parts.iter().map(|(s, t)| (*s, t.as_bytes())).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, status, asked, answered)| {
            let op = if name.is_empty() {
                0
            } else {
                op_hash(name.as_bytes())
            };
            (op, *status, *asked, *answered)
        })
        .collect();
    check_bytes(&parts, &expected);
}

const GET: &str = "get k\r\n";
const MISS: &str = "END\r\n";

/// One command and its answer, between two others.
fn check_one(request: &str, answer: &str, name: &str, status: u16) {
    let row = (name, status, request.len() as u64, answer.len() as u64);
    check(
        &[
            (Client, request),
            (Server, answer),
            (Client, GET),
            (Server, MISS),
            (Client, request),
            (Server, answer),
        ],
        &[row, ("get", 1, 7, 5), row],
    );
}

#[test]
fn every_command_of_the_text_protocol() {
    let key = "k".repeat(250);
    let many = format!("get {}\r\n", vec![key.as_str(); 100].join(" "));
    let two = "VALUE a 0 2\r\nhi\r\nVALUE b 7 5 99\r\nEND\r\n\r\nEND\r\n";
    let long = format!("VALUE {key} 4294967295 3 18446744073709551615\r\nabc\r\nEND\r\n");
    for (request, answer, name) in [
        ("get a b\r\n", two, "get"),
        ("gets a\r\n", "VALUE a 0 0 12\r\n\r\nEND\r\n", "gets"),
        (&many, &long, "get"),
        ("gat 60 a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n", "gat"),
        ("set k 0 0 5\r\nhello\r\n", "STORED\r\n", "set"),
        ("set k 0 0 0\r\n\r\n", "STORED\r\n", "set"),
        ("add k 1 -1 7\r\nget x\r\n\r\n", "NOT_STORED\r\n", "add"),
        ("replace k 0 0 1\r\nx\r\n", "NOT_STORED\r\n", "replace"),
        ("append k 0 0 1\r\nx\r\n", "STORED\r\n", "append"),
        ("prepend k 0 0 1\r\nx\r\n", "STORED\r\n", "prepend"),
        ("cas k 0 0 1 7\r\nx\r\n", "EXISTS\r\n", "cas"),
        ("cas k 0 0 1 7\r\nx\r\n", "NOT_FOUND\r\n", "cas"),
        ("delete k\r\n", "DELETED\r\n", "delete"),
        ("delete k\r\n", "NOT_FOUND\r\n", "delete"),
        ("incr k 1\r\n", "18446744073709551615\r\n", "incr"),
        ("decr k 1\r\n", "0\r\n", "decr"),
        ("touch k 60\r\n", "TOUCHED\r\n", "touch"),
        ("flush_all\r\n", "OK\r\n", "flush_all"),
        ("flush_all 10\r\n", "OK\r\n", "flush_all"),
        ("verbosity 1\r\n", "OK\r\n", "verbosity"),
        ("version\r\n", "VERSION 1.6.18\r\n", "version"),
        ("stats\r\n", "STAT pid 1\r\nSTAT x END\r\nEND\r\n", "stats"),
        ("stats reset\r\n", "RESET\r\n", "stats"),
        (
            "stats detail dump\r\n",
            "PREFIX a get 1\r\nEND\r\n",
            "stats",
        ),
        (
            "lru_crawler metadump all\r\n",
            "key=a exp=-1\r\nEND\r\n",
            "lru_crawler",
        ),
        ("slabs reassign 1 2\r\n", "BUSY now\r\n", "slabs"),
        (
            "config get cluster\r\n",
            "CONFIG cluster 0 3\r\n1\n\n\r\nEND\r\n",
            "config",
        ),
    ] {
        check_one(request, answer, name, 1);
    }
}

#[test]
fn errors_are_failures() {
    for (request, answer, name) in [
        ("get\r\n", "ERROR\r\n", "get"),
        ("set k 0 0 x\r\n", "CLIENT_ERROR bad data chunk\r\n", "set"),
        ("set k\r\n", "ERROR\r\n", "set"),
        (
            "incr k 1\r\n",
            "CLIENT_ERROR cannot increment or decrement\r\n",
            "incr",
        ),
        (
            "get a\r\n",
            "VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n",
            "get",
        ),
        (
            "mg k v\r\n",
            "CLIENT_ERROR bad token in command line format\r\n",
            "mg",
        ),
    ] {
        let row = (name, 1000, request.len() as u64, answer.len() as u64);
        check(
            &[
                (Client, GET),
                (Server, MISS),
                (Client, request),
                (Server, answer),
                (Client, GET),
                (Server, MISS),
            ],
            &[("get", 1, 7, 5), row, ("get", 1, 7, 5)],
        );
    }
    // Commands that memcached does not know are counted together.
    let parts = [
        (Client, GET),
        (Server, MISS),
        (Client, "frobnicate now\r\n"),
        (Server, "ERROR\r\n"),
    ];
    check(&parts, &[("get", 1, 7, 5), ("", 1000, 16, 7)]);
}

#[test]
fn meta_commands() {
    let key = "k".repeat(250);
    let long = format!("ms {key} 3 T90 F1 I\r\nabc\r\n");
    let told = format!("ME {key} exp=-1 la=1 cas=2 fetch=no cls=1 size=63\r\n");
    let asked = format!("me {key}\r\n");
    let with_key = format!("mg {key} k v t\r\n");
    let found = format!("VA 5 k{key} t-1\r\nhello\r\n");
    for (request, answer, name) in [
        ("mg k t v\r\n", "VA 5 t-1\r\nhello\r\n", "mg"),
        ("mg k v\r\n", "EN\r\n", "mg"),
        ("mg k\r\n", "HD\r\n", "mg"),
        ("mg q v\r\n", "VA 0\r\n\r\n", "mg"),
        ("mg k s v O123\r\n", "VA 2 s2 O123\r\nhi\r\n", "mg"),
        ("ms k 2\r\nhi\r\n", "HD\r\n", "ms"),
        (&long, "NS\r\n", "ms"),
        ("ms k S9\r\n", "CLIENT_ERROR bad data chunk\r\n", "ms"),
        ("md k I T30\r\n", "NF\r\n", "md"),
        ("ma k v\r\n", "VA 1\r\n5\r\n", "ma"),
        ("ma k\r\n", "EX\r\n", "ma"),
        (&asked, &told, "me"),
        (&with_key, &found, "mg"),
        ("me k\r\n", "EN\r\n", "me"),
        ("mn\r\n", "MN\r\n", "mn"),
    ] {
        let status = if answer.starts_with('C') { 1000 } else { 1 };
        check_one(request, answer, name, status);
    }
}

#[test]
fn what_nobody_waits_for_stands_alone() {
    let key = "k".repeat(250);
    let long = format!("set {key} 0 0 3 noreply\r\nabc\r\n");
    // Its key ends where the first part of a long line does.
    let short = format!("set {} noreply\r\n", &key[..84]);
    for request in [
        "set k 0 0 5 noreply\r\nhello\r\n",
        &long,
        &short,
        "cas k 0 0 1 7 noreply\r\nx\r\n",
        "delete k noreply\r\n",
        "incr k 1 noreply\r\n",
        "touch k 60 noreply\r\n",
        "flush_all noreply\r\n",
        "flush_all 0 noreply\r\n",
        "verbosity 1 noreply\r\n",
        "ms k 2 q\r\nhi\r\n",
        "md k q\r\n",
        "ma k q N0\r\n",
    ] {
        check(
            &[(Client, request), (Client, GET), (Server, MISS)],
            &[("get", 1, 7, 5)],
        );
        let both = [GET, request, GET].concat();
        check(
            &[(Client, &both), (Server, "END\r\nEND\r\n")],
            &[("get", 1, 7, 5), ("get", 1, 7, 5)],
        );
    }
    // Keys may have these names.
    check_one("get noreply\r\n", MISS, "get", 1);
    check_one("md q\r\n", "NF\r\n", "md", 1);
    check(
        &[(Client, GET), (Server, MISS), (Client, "quit\r\n")],
        &[("get", 1, 7, 5)],
    );
}

#[test]
fn quiet_reads_are_one_exchange_with_what_ends_them() {
    let reads = "mg a v q k\r\nmg b v q k\r\nmg c v q k\r\nmn\r\n";
    let found = "VA 2 ka\r\nhi\r\nVA 1 kc\r\nx\r\nMN\r\n";
    check(
        &[
            (Client, reads),
            (Server, found),
            (Client, GET),
            (Server, MISS),
            (Client, reads),
            (Server, "MN\r\n"),
        ],
        &[("mg", 1, 40, 29), ("get", 1, 7, 5), ("mg", 1, 40, 4)],
    );
    // A quiet write that fails says so before the barrier.
    check(
        &[
            (Client, "ms a 1 q ME\r\nx\r\nmn\r\n"),
            (Server, "NS\r\nMN\r\n"),
            (Client, GET),
            (Server, MISS),
        ],
        &[("mn", 1, 4, 8), ("get", 1, 7, 5)],
    );
    // Without a barrier the first answer is taken for the last; nothing is answered twice.
    check(
        &[
            (Client, "mg a v q\r\nmg b v\r\n"),
            (Server, "VA 1\r\nx\r\nVA 1\r\ny\r\n"),
            (Client, GET),
            (Server, MISS),
        ],
        &[("mg", 1, 18, 9), ("get", 1, 7, 5)],
    );
}

#[test]
fn pipelines_are_answered_in_order() {
    let all = "set k 0 0 5\r\nhello\r\nget k\r\nincr n 1\r\nversion\r\n";
    check(
        &[
            (Client, all),
            (
                Server,
                "STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n8\r\nVERSION 1.6\r\n",
            ),
        ],
        &[
            ("set", 1, 20, 8),
            ("get", 1, 7, 25),
            ("incr", 1, 10, 3),
            ("version", 1, 9, 13),
        ],
    );
}

#[test]
fn heads_are_those_of_their_commands() {
    let mut talk = Talk::new();
    for _ in 0..3 {
        talk.say(Client, b"ms k 2 q\r\nhi\r\n");
        talk.say(Client, b"mn\r\n");
        talk.say(Server, b"MN\r\n");
        talk.say(Client, b"ms k 2 q\r\nhi\r\nmn\r\n");
        talk.say(Server, b"MN\r\n");
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
    }
    let talk = talk.end();
    let heads: Vec<_> = talk.heads.iter().map(|(_, head)| head.as_str()).collect();
    assert_eq!(heads, ["mn\r\n", "mn\r\n", GET].repeat(3));
}
