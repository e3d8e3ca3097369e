//! DNS in tables: questions of datagrams, and messages over TCP in any order and any pieces.

#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;

use bytemuck::Zeroable;
use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::{
        dns::{HEADER_BYTES, Header, op_of, question},
        window::{CARRY_BYTES, Window},
    },
};

const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const AXFR: u16 = 252;
const NXDOMAIN: u16 = 3;

/// A message with one question, and so many additions (as extensions of 11 bytes).
fn message(id: u16, flags: u16, name: &str, kind: u16, additions: u16) -> Vec<u8> {
    let mut bytes: Vec<u8> = [id, flags, 1, 0, 0, additions]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    for _ in 0..additions {
        bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

fn over_tcp(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

fn ask(id: u16, name: &str, kind: u16) -> Vec<u8> {
    over_tcp(&message(id, 0x0120, name, kind, 1))
}

fn tell(id: u16, code: u16, name: &str, kind: u16) -> Vec<u8> {
    over_tcp(&message(id, 0x8180 | code, name, kind, 0))
}

type Outcome = (u64, u16, u64, u64);

fn run(parts: &[(Side, Vec<u8>)], piece: usize) -> Vec<Outcome> {
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        for piece in bytes.chunks(piece) {
            talk.say(*side, piece);
        }
    }
    let talk = talk.end();
    let state = (talk.lost, talk.conversation.opaque);
    assert_eq!(state, (0, 0), "{parts:?} by {piece}: {:?}", talk.out);
    assert_eq!(talk.conversation.protocol, protocol::DNS);
    talk.finished
        .iter()
        .map(|f| (f.op, f.status, f.request_bytes, f.response_bytes))
        .collect()
}

fn check(parts: &[(Side, Vec<u8>)], expected: &[Outcome]) {
    for piece in [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        assert_eq!(run(parts, piece), expected, "pieces of {piece}");
    }
}

/// The longest name that there is: 255 bytes on the wire, each label of one letter.
fn longest_name() -> String {
    vec!["x"; 127].join(".")
}

fn window_of(bytes: &[u8]) -> Window {
    let mut window = Window::zeroed();
    window.data_mut()[..bytes.len()].copy_from_slice(bytes);
    window
}

/// Operation of the question of a datagram; `None` if it has none that is whole.
fn asked(bytes: &[u8]) -> Option<u64> {
    let mut window = window_of(bytes);
    let to = CARRY_BYTES + bytes.len();
    let found = question(&mut window, CARRY_BYTES + HEADER_BYTES, to);
    assert!(found.end <= to);
    (found.end != 0).then_some(found.op)
}

fn header(bytes: &[u8]) -> Header {
    Header::of(bytes.first_chunk().expect("a header"))
}

#[test]
fn questions_of_datagrams() {
    for (name, kind, op) in [
        ("shop.test", A, op_of(A)),
        ("_db._tcp.shop.test", SRV, op_of(SRV)),
        ("", 2, op_of(2)),
        (&longest_name(), AAAA, op_of(AAAA)),
        (&"a".repeat(63), A, op_of(A)),
        ("shop.test", 65_280, 0),
    ] {
        for additions in 0..=2 {
            let bytes = message(7, 0x0100, name, kind, additions);
            assert!(header(&bytes).is_query() && !header(&bytes).is_answer());
            assert_eq!(asked(&bytes), Some(op), "{name} {kind}");
            let behind = 11 * usize::from(additions);
            for cut in HEADER_BYTES..bytes.len() - behind {
                assert_eq!(asked(&bytes[..cut]), None, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn what_is_no_query_is_none() {
    let good = message(7, 0x0100, "a.test", A, 0);
    // A pointer, a type of 0, a class of 9.
    for (at, byte) in [(12, 0xc0), (21, 0), (23, 9)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(asked(&bytes), None, "byte {at}");
    }
    for (flags, is_query, is_answer) in [
        (0x0000, true, false),
        (0x0130, true, false),
        (0x8180, false, true),
        (0x8583, false, true),
        (0x2800, false, false),
        (0xa800, false, false),
        (0x0103, false, false),
        (0x0300, false, false),
    ] {
        let found = header(&message(7, flags, "a", A, 0));
        let found = (found.is_query(), found.is_answer());
        assert_eq!(found, (is_query, is_answer), "{flags:#x}");
    }
}

#[test]
fn one_question_has_one_hash() {
    let hash = |bytes: &[u8]| {
        let mut window = window_of(bytes);
        question(
            &mut window,
            CARRY_BYTES + HEADER_BYTES,
            CARRY_BYTES + bytes.len(),
        )
        .hash
    };
    let mut seen = std::collections::HashSet::new();
    for name in [
        "a",
        "b",
        "ab",
        "a.b",
        "shop.test",
        "shop.tesu",
        &longest_name(),
    ] {
        for kind in [A, AAAA] {
            let one = message(1, 0x0100, name, kind, 0);
            let other = message(2, 0x0120, name, kind, 1);
            assert_eq!(hash(&one), hash(&other));
            assert!(seen.insert(hash(&one)), "{name} {kind}");
        }
    }
}

#[test]
fn statuses() {
    for (flags, status) in [(0x8180, 1), (0x8182, 1002), (0x8183, 1003), (0x8185, 1005)] {
        assert_eq!(header(&message(1, flags, "a", A, 0)).status(), status);
    }
}

#[test]
fn queries_over_tcp_are_answered_in_any_order() {
    let name = longest_name();
    let parts = [
        (
            Client,
            [
                ask(1, "a.test", A),
                ask(2, &name, AAAA),
                ask(3, "c.test", SRV),
            ]
            .concat(),
        ),
        (
            Server,
            [
                tell(3, 0, "c.test", SRV),
                tell(1, NXDOMAIN, "a.test", A),
                tell(2, 0, &name, AAAA),
            ]
            .concat(),
        ),
        (Client, ask(1, "4.3.2.1.in-addr.arpa", PTR)),
        (Server, tell(1, 0, "4.3.2.1.in-addr.arpa", PTR)),
    ];
    check(
        &parts,
        &[
            (op_of(SRV), 1, 37, 26),
            (op_of(A), 1003, 37, 26),
            (op_of(AAAA), 1, 284, 273),
            (op_of(PTR), 1, 51, 40),
        ],
    );
}

#[test]
fn a_zone_comes_in_many_messages() {
    let parts = [
        (Client, ask(9, "zone.test", AXFR)),
        (
            Server,
            [
                tell(9, 0, "zone.test", AXFR),
                tell(9, 0, "zone.test", AXFR),
                tell(9, 0, "", AXFR),
            ]
            .concat(),
        ),
        (Client, ask(10, "zone.test", A)),
        (Server, tell(10, 0, "zone.test", A)),
    ];
    check(&parts, &[(op_of(AXFR), 1, 40, 29), (op_of(A), 1, 40, 29)]);
}

#[test]
fn many_queries_of_one_connection_are_counted() {
    let mut talk = Talk::new();
    for id in 0..200 {
        talk.say(Client, &ask(id, "a.test", A));
    }
    for id in (0..200).rev() {
        talk.say(Server, &tell(id, 0, "a.test", A));
    }
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (200, 0));
    let known = talk.finished.iter().filter(|f| f.op == op_of(A));
    assert_eq!(known.count(), 16);
}

#[test]
fn a_large_answer_is_passed_over_unseen() {
    let mut talk = Talk::new();
    talk.say(Client, &ask(1, "a.test", A));
    let mut told = tell(1, 0, "a.test", A);
    told[..2].copy_from_slice(&60_000u16.to_be_bytes());
    talk.say(Server, &told);
    talk.say_unseen(Server, 60_002 - told.len() as u32);
    talk.say(Client, &ask(2, "b.test", AAAA));
    talk.say(Server, &tell(2, 0, "b.test", AAAA));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (2, 0), "{:?}", talk.out);
    assert_eq!(talk.finished[0].response_bytes, 60_002);
}

#[test]
fn what_is_no_dns_turns_opaque() {
    let mut odd = ask(1, "a.test", A);
    odd[14] = 0xc0;
    let mut short = ask(1, "a.test", A);
    short[1] = 19;
    let mut answer = ask(1, "a.test", A);
    answer[4] = 0x81;
    for bytes in [
        odd,
        short,
        answer,
        vec![0, 16, 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1],
    ] {
        let mut talk = Talk::new();
        talk.say(Client, &bytes);
        talk.say(Client, b"more and more and more");
        assert_eq!(talk.conversation.opaque, 1, "{bytes:?}");
        assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{bytes:?}");
    }
}

#[test]
fn garbage_a_hole_and_an_answer_to_nothing_are_losses() {
    let mut talk = Talk::new();
    talk.say(Client, &ask(1, "a.test", A));
    talk.say(Server, &tell(1, 0, "a.test", A));
    talk.say(Server, &tell(5, 0, "a.test", A));
    assert_eq!(talk.out.last().unwrap(), "lost orphan_response 1");
    talk.say(Client, b"\x00\x40garbage that has a length");
    assert_eq!(talk.out.last().unwrap(), "lost malformed 1");
    talk.say(Client, &ask(2, "a.test", A));
    talk.say(Server, &tell(2, 0, "a.test", A));
    talk.miss(Client, 37);
    talk.say(Client, &ask(4, "a.test", A));
    talk.say(Server, &tell(3, 0, "a.test", A));
    talk.say(Server, &tell(4, 0, "a.test", A));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (3, 3), "{:?}", talk.out);
}

#[test]
fn a_connection_older_than_its_observer_is_known_by_its_next_query() {
    let mut talk = Talk::midstream();
    talk.say(Server, &tell(8, 0, "a.test", A));
    talk.say(Client, b"the rest of a query");
    talk.say(Client, &ask(9, "a.test", A));
    talk.say(Server, &tell(8, 0, "b.test", A));
    talk.say(Server, &tell(9, NXDOMAIN, "a.test", A));
    let talk = talk.end();
    assert_eq!(talk.conversation.protocol, protocol::DNS);
    let outcomes: Vec<_> = talk.finished.iter().map(|f| (f.op, f.status)).collect();
    assert_eq!((outcomes, talk.lost), (vec![(op_of(A), 1003)], 0));
}
