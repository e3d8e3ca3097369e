//! The Memcached framing in tables: both protocols, blocks of data, quiet commands, splits.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::memcached::{binary_op_hash, op_hash},
};

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
    for request in [
        "set k 0 0 5 noreply\r\nhello\r\n",
        &long,
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

/// A binary message: magic, opcode, status, extras, key, value.
fn binary(magic: u8, opcode: u8, status: u16, extras: usize, key: &str, value: &str) -> Vec<u8> {
    let body = extras + key.len() + value.len();
    let mut out = vec![magic, opcode];
    out.extend((key.len() as u16).to_be_bytes());
    out.extend([extras as u8, 0]);
    out.extend(status.to_be_bytes());
    out.extend((body as u32).to_be_bytes());
    out.extend([0xde, 0xad, 0xbe, 0xef]);
    out.extend([0; 8]);
    out.extend(vec![0; extras]);
    out.extend(key.as_bytes());
    out.extend(value.as_bytes());
    out
}

fn asked(opcode: u8, extras: usize, key: &str, value: &str) -> Vec<u8> {
    binary(0x80, opcode, 0, extras, key, value)
}

fn answered(opcode: u8, status: u16, extras: usize, key: &str, value: &str) -> Vec<u8> {
    binary(0x81, opcode, status, extras, key, value)
}

#[test]
fn the_binary_protocol() {
    let statistics = [
        answered(0x10, 0, 0, "pid", "1"),
        answered(0x10, 0, 0, "uptime", "20"),
        answered(0x10, 0, 0, "", ""),
    ]
    .concat();
    for (opcode, request, answer, status) in [
        (0, asked(0, 0, "k", ""), answered(0, 0, 4, "", "hello"), 1),
        (
            0,
            asked(0, 0, "k", ""),
            answered(0, 1, 0, "", "Not found"),
            1,
        ),
        (1, asked(1, 8, "k", "value"), answered(1, 0, 0, "", ""), 1),
        (
            1,
            asked(1, 8, "k", "value"),
            answered(1, 2, 0, "", "Data exists"),
            1,
        ),
        (
            1,
            asked(1, 8, "k", "value"),
            answered(1, 3, 0, "", "Too large."),
            1000,
        ),
        (
            5,
            asked(5, 20, "n", ""),
            answered(5, 6, 0, "", "Non-numeric"),
            1000,
        ),
        (4, asked(4, 0, "k", ""), answered(4, 0, 0, "", ""), 1),
        (
            0x0b,
            asked(0x0b, 0, "", ""),
            answered(0x0b, 0, 0, "", "1.6"),
            1,
        ),
        (0x10, asked(0x10, 0, "", ""), statistics, 1),
        (
            0x10,
            asked(0x10, 0, "x", ""),
            answered(0x10, 1, 0, "", "Not found"),
            1,
        ),
        (7, asked(7, 0, "", ""), answered(7, 0, 0, "", ""), 1),
        (
            0x20,
            asked(0x20, 0, "", ""),
            answered(0x20, 0x20, 0, "", "Auth failure"),
            1000,
        ),
        (
            0x21,
            asked(0x21, 0, "PLAIN", "x"),
            answered(0x21, 0x21, 0, "", ""),
            1,
        ),
    ] {
        let row = (
            binary_op_hash(opcode),
            status,
            request.len() as u64,
            answer.len() as u64,
        );
        check_bytes(
            &[
                (Client, &request),
                (Server, &answer),
                (Client, &request),
                (Server, &answer),
            ],
            &[row, row],
        );
    }
}

#[test]
fn quiet_commands_of_the_binary_protocol() {
    let get = asked(0, 0, "k", "");
    let got = answered(0, 0, 4, "", "v");
    let get_row = (binary_op_hash(0), 1, 25, 29);
    // Reads and the NOOP behind them.
    let reads = [
        asked(0x0d, 0, "a", ""),
        asked(0x0d, 0, "b", ""),
        asked(0x0a, 0, "", ""),
    ]
    .concat();
    let found = [answered(0x0d, 0, 4, "b", "v"), answered(0x0a, 0, 0, "", "")].concat();
    check_bytes(
        &[
            (Client, &reads),
            (Server, &found),
            (Client, &get),
            (Server, &got),
        ],
        &[(binary_op_hash(0x0d), 1, 74, 54), get_row],
    );
    // Writes stand alone, failed ones too.
    let writes = [
        asked(0x11, 8, "a", "v"),
        asked(0x14, 0, "b", ""),
        get.clone(),
    ]
    .concat();
    let failed = [answered(0x11, 2, 0, "", "exists"), got.clone()].concat();
    check_bytes(
        &[
            (Client, &writes),
            (Server, &failed),
            (Client, &get),
            (Server, &got),
        ],
        &[get_row, get_row],
    );
}

#[test]
fn large_values_are_passed_over_unseen() {
    for (head, tail) in [
        ("set k 0 0 5000000\r\n", "STORED\r\n"),
        ("ms k 5000000 T0\r\n", "HD\r\n"),
    ] {
        let mut talk = Talk::new();
        talk.say(Client, head.as_bytes());
        talk.say_unseen(Client, 3_000_000);
        talk.say_unseen(Client, 2_000_002);
        talk.say(Server, tail.as_bytes());
        talk.say(Client, GET.as_bytes());
        talk.say(Server, b"VALUE k 0 5000000\r\n");
        talk.say_unseen(Server, 5_000_002);
        talk.say(Server, b"END\r\n");
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 0));
        let asked = head.len() as u64 + 5_000_002;
        assert_eq!(talk.finished[0].request_bytes, asked);
        assert_eq!(talk.finished[1].response_bytes, 5_000_002 + 19 + 5);
    }
    let mut request = asked(1, 8, "k", "");
    request[8..12].copy_from_slice(&5_000_009u32.to_be_bytes());
    let mut talk = Talk::new();
    talk.say(Client, &request);
    talk.say_unseen(Client, 5_000_000);
    talk.say(Server, &answered(1, 0, 0, "", ""));
    let talk = talk.end();
    assert_eq!(talk.finished[0].request_bytes, 24 + 5_000_009);
}

#[test]
fn what_is_no_memcached_turns_opaque() {
    for bytes in [
        &b"hello world\r\n"[..],
        b"get  \r\n",
        b"get k\n",
        b"set k 0 0 many\r\n",
        b"put 0 0 60 5\r\n",
        b"delete 17\r\n",
        b"quit\r\n",
        b"\x80\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, bytes);
        talk.say(Client, b"more and more");
        assert_eq!(talk.conversation.opaque, 1, "{bytes:?}");
        assert_eq!(talk.lost, 0);
    }
    // beanstalkd and Redis have commands of these names: their answers undo the guess.
    for (request, answer) in [("stats\r\n", "OK 923\r\n---\n"), (GET, "$-1\r\n")] {
        let mut talk = Talk::new();
        talk.say(Client, request.as_bytes());
        talk.say(Server, answer.as_bytes());
        assert_eq!(talk.conversation.opaque, 1, "{answer:?}");
        assert_eq!((talk.lost, talk.finished.len()), (0, 0));
    }
}

#[test]
fn garbage_on_a_known_connection_is_a_loss_and_is_left_again() {
    for (side, bytes) in [
        (Client, &b"\x00\x01garbage\r\n"[..]),
        (Server, b"VALUE k 0 much\r\n"),
        (
            Server,
            b"\x81\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00................",
        ),
    ] {
        let mut talk = Talk::new();
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        if side == Server {
            talk.say(Client, GET.as_bytes());
        }
        talk.say(side, bytes);
        assert_eq!(talk.lost, 1, "{bytes:?}");
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (2, 1), "{bytes:?}");
    }
}

#[test]
fn a_missed_segment_is_a_loss_and_the_next_request_is_found() {
    let mut talk = Talk::new();
    talk.say(Client, b"set k 0 0 2000\r\n");
    talk.miss(Client, 1000);
    talk.say(Client, &[b'x'; 1002]);
    talk.say(Server, b"STORED\r\n");
    talk.miss(Client, 7);
    talk.say(Server, MISS.as_bytes());
    for _ in 0..2 {
        talk.say(Client, GET.as_bytes());
        talk.say(Server, MISS.as_bytes());
    }
    let talk = talk.end();
    assert_eq!(talk.lost, 1, "{:?}", talk.out);
    assert!(talk.finished.len() >= 2, "{:?}", talk.out);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_command() {
    let get = asked(0, 0, "k", "");
    let (hit, miss) = (
        answered(0, 0, 4, "", "v"),
        answered(0, 0x82, 0, "", "memory"),
    );
    for (request, good, bad) in [
        (
            GET.as_bytes(),
            MISS.as_bytes(),
            &b"SERVER_ERROR out of memory\r\n"[..],
        ),
        (&get, &hit, &miss),
    ] {
        let mut talk = Talk::midstream();
        talk.say(Server, b"VALUE k 0 5\r\nhello\r\nEND\r\n");
        talk.say(Client, b"the rest of a value\r\n");
        talk.say(Client, request);
        talk.say(Server, good);
        talk.say(Client, request);
        talk.say(Server, bad);
        let talk = talk.end();
        assert_eq!(talk.conversation.protocol, protocol::MEMCACHED);
        let statuses: Vec<_> = talk.finished.iter().map(|f| f.status).collect();
        assert_eq!((statuses, talk.lost), (vec![1, 1000], 0));
    }
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
