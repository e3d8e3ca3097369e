//! What header blocks tell, against an encoder that we did not write.

use httlib_hpack::Encoder;

use super::*;
use crate::talk::Random;

const INDEXED: u8 = Encoder::WITH_INDEXING;
const HUFFMAN: u8 = Encoder::HUFFMAN_NAME | Encoder::HUFFMAN_VALUE;

/// A header block of fields, each encoded in its own way.
fn encode(encoder: &mut Encoder<'_>, fields: &[(&str, &str, u8)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value, flags) in fields {
        let field = (name.as_bytes().to_vec(), value.as_bytes().to_vec(), *flags);
        encoder.encode(field, &mut block).unwrap();
    }
    block
}

const CALL: &[(&str, &str, u8)] = &[
    (":method", "POST", Encoder::BEST_FORMAT),
    (":scheme", "http", Encoder::BEST_FORMAT),
    (
        ":path",
        "/helloworld.v1.GreeterWithALongName/SayHello",
        INDEXED | HUFFMAN | Encoder::BEST_FORMAT,
    ),
    (
        "content-type",
        "application/grpc+proto",
        INDEXED | HUFFMAN | Encoder::BEST_FORMAT,
    ),
    ("te", "trailers", INDEXED | Encoder::BEST_FORMAT),
    ("grpc-timeout", "1S", 0),
];

fn calls(trailers: &[(&str, &str, u8)], n: u32) -> Vec<(Side, Vec<u8>)> {
    let (mut client, mut server) = (Encoder::default(), Encoder::default());
    let mut parts = opening();
    for i in 0..n {
        let id = 2 * i + 1;
        let block = encode(&mut client, CALL);
        let asked = [
            headers(END_HEADERS, id, &block),
            data(END_STREAM, id, b"message"),
        ]
        .concat();
        parts.push((Client, asked));
        let head = encode(
            &mut server,
            &[
                (":status", "200", Encoder::BEST_FORMAT),
                (
                    "content-type",
                    "application/grpc",
                    INDEXED | Encoder::BEST_FORMAT,
                ),
            ],
        );
        let end = encode(&mut server, trailers);
        parts.push((Server, headers(END_HEADERS, id, &head)));
        parts.push((Server, data(0, id, b"answer")));
        parts.push((Server, headers(END_HEADERS | END_STREAM, id, &end)));
    }
    parts
}

#[test]
fn calls_of_grpc_end_with_their_status() {
    for flags in [
        0,
        INDEXED,
        HUFFMAN,
        INDEXED | HUFFMAN,
        Encoder::NEVER_INDEXED,
    ] {
        let flags = flags | Encoder::BEST_FORMAT;
        for code in ["0", "5", "14", "16"] {
            let parts = calls(
                &[("grpc-status", code, flags), ("grpc-message", "x", flags)],
                3,
            );
            for piece in [100_000, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
                let outcome = run(&parts, piece);
                let told: Vec<_> = outcome.told.iter().map(|told| (told.0, told.1)).collect();
                let op = op_of("[/helloworld.v1.GreeterWithALongName/SayHello");
                let status = 3000 + code.parse::<u16>().unwrap();
                assert_eq!(told, [(op, status); 3], "{flags} {code} {piece}");
                assert_eq!((outcome.lost, outcome.open), (0, 0));
                assert_eq!(outcome.paths.len(), 1, "as text once");
            }
        }
    }
}

#[test]
fn the_static_table_and_methods_and_statuses_as_text() {
    for (method, code) in [
        ("GET", 1),
        ("POST", 3),
        ("PUT", 4),
        ("DELETE", 5),
        ("BREW", 10),
    ] {
        for (status, flags) in [
            (200, INDEXED),
            (204, HUFFMAN),
            (429, 0),
            (503, INDEXED | HUFFMAN),
        ] {
            let flags = flags | Encoder::BEST_FORMAT;
            let (mut client, mut server) = (Encoder::default(), Encoder::default());
            let mut talk = Talk::new();
            talk.say(Client, &[PREFACE, &settings()].concat());
            for id in [1, 3] {
                let fields = [
                    (":method", method, flags),
                    (":path", "/users/42?x=~", flags),
                ];
                let block = encode(&mut client, &fields);
                talk.say(Client, &headers(END_HEADERS | END_STREAM, id, &block));
                let block = encode(&mut server, &[(":status", &status.to_string(), flags)]);
                talk.say(Server, &headers(END_HEADERS | END_STREAM, id, &block));
            }
            for finished in &talk.finished {
                assert_eq!(finished.op, op_hash(b"/users/42"), "{method} {flags}");
                assert_eq!(finished.method, code, "{method} {flags}");
                assert_eq!(finished.status, status, "{flags}");
                assert_eq!(finished.protocol, protocol::HTTP2);
            }
            assert_eq!(talk.finished.len(), 2);
        }
    }
}

#[test]
fn what_an_older_connection_refers_to_is_unknown_and_never_invented() {
    let parts = calls(
        &[("grpc-status", "5", INDEXED | HUFFMAN | Encoder::BEST_FORMAT)],
        4,
    );
    let mut talk = Talk::midstream();
    // The first call, which fills the tables, was not seen.
    for (side, bytes) in &parts[7..] {
        talk.say(*side, bytes);
    }
    let outcome = outcome(talk.end());
    assert_eq!(outcome.told.len(), 3);
    for told in outcome.told {
        assert_eq!((told.0, told.1), (UNSEEN_OP, 200));
    }
}

#[test]
fn behind_a_hole_only_what_came_since_is_known() {
    let (mut client, mut talk) = (Encoder::default(), Talk::new());
    talk.say(Client, &[PREFACE, &settings()].concat());
    let mut ask = |talk: &mut Talk, id: u32, path: &str, seen: bool| {
        let flags = INDEXED | Encoder::BEST_FORMAT;
        let block = encode(
            &mut client,
            &[(":method", "GET", flags), (":path", path, flags)],
        );
        let bytes = headers(END_HEADERS | END_STREAM, id, &block);
        if seen {
            talk.say(Client, &bytes);
            talk.say(Server, &headers(END_HEADERS | END_STREAM, id, OK));
        } else {
            talk.miss(Client, bytes.len() as u64);
        }
    };
    ask(&mut talk, 1, "/a", true);
    ask(&mut talk, 3, "/b", false);
    ask(&mut talk, 5, "/a", true);
    ask(&mut talk, 7, "/b", true);
    ask(&mut talk, 9, "/c", true);
    ask(&mut talk, 11, "/c", true);
    ask(&mut talk, 13, "/a", true);
    let ops: Vec<u64> = talk.finished.iter().map(|finished| finished.op).collect();
    let [a, c] = [op_of("/a"), op_of("/c")];
    assert_eq!(ops, [a, UNSEEN_OP, UNSEEN_OP, c, c, UNSEEN_OP]);
    assert_eq!(talk.lost, 1);
}

/// A word that may stand in a path.
fn word(random: &mut Random, most: usize) -> String {
    const SIGNS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._~@$+!,;=:()'&*%|{}^<>`[]";
    let len = random.below(most);
    (0..len)
        .map(|_| char::from(SIGNS[random.below(SIGNS.len())]))
        .collect()
}

#[test]
fn whatever_an_encoder_makes_of_random_fields_is_read_as_it_was_written() {
    let mut random = Random(7);
    for round in 0..400 {
        // A field that is longer than what is carried over a cut is passed over unread.
        let cuts = round % 4 != 0;
        let most = if cuts { 20 } else { 60 };
        let (mut client, mut server) = (Encoder::default(), Encoder::default());
        let mut parts = opening();
        let mut expected = Vec::new();
        let mut paths: Vec<String> = Vec::new();
        for i in 0..20 {
            let id = 2 * i + 1;
            let path = match paths.is_empty() || random.one_in(3) {
                true => format!("/{}/{}", word(&mut random, most), word(&mut random, most)),
                false => paths[random.below(paths.len())].clone(),
            };
            let grpc = random.one_in(2);
            let code = random.below(17);
            let mut flags = || {
                let flags = [
                    0,
                    INDEXED,
                    HUFFMAN,
                    INDEXED | HUFFMAN,
                    Encoder::NEVER_INDEXED,
                ];
                flags[random.below(flags.len())] | Encoder::BEST_FORMAT
            };
            let kind = if grpc {
                "application/grpc"
            } else {
                "application/json"
            };
            let names = [flags(), flags(), flags(), flags(), flags(), flags()];
            let noise = [
                word(&mut random, most),
                word(&mut random, most),
                word(&mut random, most),
            ];
            let asked = encode(
                &mut client,
                &[
                    (":method", "POST", names[0]),
                    ("x-one", &noise[0], names[1]),
                    (":path", &path, names[2]),
                    (
                        &format!("x-{}", noise[1].to_lowercase()),
                        &noise[2],
                        names[3],
                    ),
                    ("content-type", kind, names[4]),
                ],
            );
            let code_text = code.to_string();
            let answered = encode(
                &mut server,
                &[
                    (":status", "200", names[5]),
                    ("x-two", &noise[2], names[3]),
                    ("grpc-status", &code_text, names[2]),
                ],
            );
            parts.push((Client, headers(END_HEADERS | END_STREAM, id, &asked)));
            parts.push((Server, headers(END_HEADERS | END_STREAM, id, &answered)));
            expected.push(match grpc {
                true => (stable_hash(path.as_bytes()), 3000 + code as u16),
                false => (op_hash(path.as_bytes()), 200),
            });
            paths.push(path);
        }
        let sizes = [100_000, 1 + random.below(40), 1 + random.below(400)];
        for piece in sizes.into_iter().take(if cuts { 3 } else { 1 }) {
            let outcome = run(&parts, piece);
            let told: Vec<_> = outcome.told.iter().map(|told| (told.0, told.1)).collect();
            assert_eq!(told, expected, "round {round}, pieces of {piece}");
        }
    }
}
