//! Random good conversations, cut and repeated at random, against the known truth.

use weir_common::framing::http1::{method, op_hash};

use crate::talk::{Client, Random, Server, Side, Talk};

/// What an exchange must come out as.
#[derive(Debug, PartialEq, Eq)]
struct Truth {
    method: u8,
    op: u64,
    status: u16,
    request_offset: u64,
    request_bytes: u64,
    response_bytes: u64,
}

/// One side's stream and where its segments may not begin later than the other side's.
#[derive(Default)]
struct Script {
    /// Turns: what is said at once.
    turns: Vec<(Side, Vec<u8>)>,
    truths: Vec<Truth>,
    asked: u64,
}

const METHODS: [(&str, u8); 8] = [
    ("GET", method::GET),
    ("POST", method::POST),
    ("PUT", method::PUT),
    ("DELETE", method::DELETE),
    ("HEAD", method::HEAD),
    ("OPTIONS", method::OPTIONS),
    ("PATCH", method::PATCH),
    ("REPORT", method::OTHER),
];

fn headers(random: &mut Random) -> String {
    let mut text = String::new();
    for i in 0..random.below(8) {
        let value = "value ".repeat(random.below(30));
        text += &format!("X-Header-{i}: {value}\r\n");
        if random.one_in(30) {
            text += &format!("Cookie: {}\r\n", "c".repeat(random.below(3_000)));
        }
    }
    text
}

/// A header that frames, and the body it frames.
fn framed_body(random: &mut Random) -> (String, Vec<u8>) {
    let len = match random.below(4) {
        0 => 0,
        1 => random.below(20),
        2 => random.below(500),
        _ => random.below(9_000),
    };
    let body: Vec<u8> = (0..len)
        .map(|_| b"GETHTP/1. \r\n0a:"[random.below(15)])
        .collect();
    if random.one_in(3) {
        return (
            "Transfer-Encoding: chunked\r\n".into(),
            chunked(random, &body),
        );
    }
    let name = ["Content-Length", "content-length", "CONTENT-LENGTH"][random.below(3)];
    (format!("{name}: {len}\r\n"), body)
}

fn chunked(random: &mut Random, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(1 + random.below(rest.len()));
        let extension = if random.one_in(4) { ";a=b" } else { "" };
        out.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = behind;
    }
    out.extend_from_slice(b"0\r\n");
    if random.one_in(3) {
        out.extend_from_slice(b"Trailer: x\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for _ in 0..=random.below(5) {
        path.push('/');
        path += match random.below(5) {
            0 => "users",
            1 => "42",
            2 => "v1",
            3 => "a-rather-long-segment-of-a-path",
            _ => "x",
        };
    }
    if random.one_in(3) {
        path += "?q=";
        path += &"z".repeat(random.below(200));
    }
    path
}

impl Script {
    /// Adds so many requests said together, and their responses said together.
    fn add_batch(&mut self, random: &mut Random, depth: usize) {
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for _ in 0..depth {
            let before = (asked.len(), answered.len());
            let (name, method) = METHODS[random.below(METHODS.len())];
            let path = path(random);
            let (frame, body) = if random.one_in(2) {
                framed_body(random)
            } else {
                Default::default()
            };
            let fields = headers(random);
            asked.extend_from_slice(
                format!("{name} {path} HTTP/1.1\r\n{fields}{frame}\r\n").as_bytes(),
            );
            asked.extend_from_slice(&body);
            let (status, interim) = self.respond(random, method, &mut answered);
            self.truths.push(Truth {
                method,
                op: op_hash(path.as_bytes()),
                status,
                request_offset: self.asked + before.0 as u64,
                request_bytes: (asked.len() - before.0) as u64,
                response_bytes: (answered.len() - before.1 - interim) as u64,
            });
        }
        self.asked += asked.len() as u64;
        self.turns.push((Client, asked));
        self.turns.push((Server, answered));
    }

    /// Adds a response; answers its status and the length of what came before it.
    fn respond(&self, random: &mut Random, method: u8, out: &mut Vec<u8>) -> (u16, usize) {
        let mut interim = 0;
        if random.one_in(6) {
            let text = format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", headers(random));
            interim = text.len();
            out.extend_from_slice(text.as_bytes());
        }
        let status = [200, 201, 204, 301, 304, 404, 500, 503][random.below(8)];
        let (frame, body) = framed_body(random);
        let fields = headers(random);
        out.extend_from_slice(
            format!("HTTP/1.1 {status} Some Words\r\n{fields}{frame}\r\n").as_bytes(),
        );
        if method != method::HEAD && status != 204 && status != 304 {
            out.extend_from_slice(&body);
        }
        (status, interim)
    }
}

/// Says a turn in random segments, some of them again, bodies' order untouched.
fn say(talk: &mut Talk, random: &mut Random, side: Side, at: u64, bytes: &[u8]) {
    let size = [1, 3, 50, 100, 536, 1448, 9_000, 65_000][random.below(8)];
    let mut from = 0;
    while from < bytes.len() {
        let to = (from + 1 + random.below(size)).min(bytes.len());
        let back = if random.one_in(5) {
            from - random.below(from + 1)
        } else {
            from
        };
        talk.say_at(side, at + back as u64, &bytes[back..to]);
        if random.one_in(8) {
            talk.say_at(side, at + from as u64, &bytes[from..to]);
        }
        from = to;
    }
}

#[test]
fn random_conversations_come_out_true() {
    for seed in 0..1_500 {
        let mut random = Random(seed);
        let mut script = Script::default();
        for _ in 0..=random.below(6) {
            let depth = if random.one_in(4) {
                1 + random.below(16)
            } else {
                1
            };
            script.add_batch(&mut random, depth);
        }
        let mut talk = Talk::new();
        let mut at = [0u64; 2];
        for (side, bytes) in &script.turns {
            let start = at[*side as usize];
            say(&mut talk, &mut random, *side, start, bytes);
            at[*side as usize] += bytes.len() as u64;
        }
        let talk = talk.end();
        let found: Vec<Truth> = talk
            .finished
            .iter()
            .zip(&talk.offsets)
            .map(|(f, offset)| Truth {
                method: f.method,
                op: f.op,
                status: f.status,
                request_offset: *offset,
                request_bytes: f.request_bytes,
                response_bytes: f.response_bytes,
            })
            .collect();
        assert_eq!(found, script.truths, "seed {seed}: {:?}", talk.out);
        assert_eq!(talk.lost, 0, "seed {seed}");
    }
}
