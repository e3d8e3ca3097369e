//! Blocks that come again, and such as only seem to.

use super::*;

#[test]
fn a_block_of_the_same_bytes_means_what_the_table_says_at_that_moment() {
    // Index 62, the newest entry: /a, /a again, then /b, then a header that tells no path.
    let insert = |path: &[u8]| [&[0x82, 0x86, 0x44, path.len() as u8], path].concat();
    let same = vec![0x82, 0x86, 0xbe];
    let other = [&[0x82, 0x86, 0x84][..], &[0x40, 1, b'x', 1, b'y']].concat();
    let blocks = [
        (insert(b"/a"), "/a"),
        (same.clone(), "/a"),
        (same.clone(), "/a"),
        (insert(b"/b"), "/b"),
        (same.clone(), "/b"),
        (same.clone(), "/b"),
        (other, "/"),
        (same.clone(), ""),
        (same, ""),
    ];
    let mut parts = opening();
    let mut told = Vec::new();
    for (i, (block, path)) in blocks.iter().enumerate() {
        let id = 2 * i as u32 + 1;
        // What changes the table is a request with a body: the others come again as they were.
        let ends = if block.len() > 3 { 0 } else { END_STREAM };
        parts.push((Client, headers(ends | END_HEADERS, id, block)));
        // Heads and trailers of the same bytes, in turn.
        let status = if i % 3 == 0 { 0x8d } else { 0x88 };
        let head = headers(END_HEADERS, id, &[status]);
        let end = headers(END_HEADERS | END_STREAM, id, &[0x0f, 0x10, 1, b'z']);
        let answer = [head, end].concat();
        let size = answer.len() as u64;
        parts.push((Server, answer));
        let code = if i % 3 == 0 { 404 } else { 200 };
        told.push((*path, code, 9 + block.len() as u64, size));
    }
    check(&parts, &told);
}

/// `:status` and a date as literals that become entries of the table, as nginx sends every answer, and
/// behind them a field of so many bytes that becomes none.
fn dated(status: &[u8; 3], rest: u8) -> Vec<u8> {
    [&[0x48, 3][..], status, &[0x61, 2, b'm', b'o'], &plain(rest)].concat()
}

/// A field `x` that does not become an entry; none if its value has no byte.
fn plain(len: u8) -> Vec<u8> {
    if len == 0 {
        return Vec::new();
    }
    [&[0, 1, b'x', len][..], &vec![b'v'; len.into()]].concat()
}

/// Blocks that are compared at once, apart, at the bounds between both, and not at all.
const RESTS: [u8; 8] = [0, 19, 20, 21, 60, 114, 115, 120];

/// Answers to GET / as whole blocks, each with the status that it says.
fn check_answers<'a>(answers: impl Iterator<Item = &'a (Vec<u8>, u16)>) {
    let mut parts = opening();
    let mut told = Vec::new();
    for (i, (block, status)) in answers.enumerate() {
        let id = 2 * i as u32 + 1;
        let asked = headers(END_HEADERS | END_STREAM, id, &[0x82, 0x86, 0x84]);
        let answer = headers(END_HEADERS | END_STREAM, id, block);
        told.push(("/", *status, asked.len() as u64, answer.len() as u64));
        parts.push((Client, asked));
        parts.push((Server, answer));
    }
    check(&parts, &told);
}

#[test]
fn a_block_that_adds_to_the_table_adds_again_when_it_comes_again() {
    for rest in RESTS {
        check_adding(rest);
    }
}

fn check_adding(rest: u8) {
    let (lost, gone) = (dated(b"404", rest), dated(b"500", rest));
    // Indices of statuses, of the newest block, the one before it, the one before that.
    let [newest, second, third] = [0xbf, 0xc1, 0xc3].map(|index| vec![index]);
    let mut answers = vec![
        (gone.clone(), 500),
        (lost.clone(), 404),
        (lost.clone(), 404),
        (newest.clone(), 404),
        (second.clone(), 404),
        (third.clone(), 500),
        (gone.clone(), 500),
        (gone.clone(), 500),
        (newest.clone(), 500),
        (third.clone(), 404),
    ];
    // More than the table holds, so that it comes round.
    answers.extend((0..150).map(|_| (lost.clone(), 404)));
    answers.push((second, 404));
    answers.push((gone, 500));
    answers.push((newest, 500));
    check_answers(answers.iter());
}

#[test]
fn a_block_that_adds_and_refers_is_read_every_time() {
    for rest in RESTS {
        // A status of the table, whichever stands at its place now, behind one more entry.
        let shifting = [&[0xbf][..], &[0x61, 2, b'm', b'o'], &plain(rest)].concat();
        // Each moves the statuses back by one, so the index meets a status and a date in turn.
        let answers = [
            (dated(b"404", rest), 404),
            (shifting.clone(), 404),
            (dated(b"500", rest), 500),
            (shifting, 500),
        ];
        check_answers(answers.iter().cycle().take(40));
    }
}

#[test]
fn a_long_block_that_differs_in_one_byte_is_another() {
    // Statuses as literals that become no entry, at the end or the beginning of the same bytes.
    let literal = |status: &[u8; 3]| [&[0x08, 3][..], status].concat();
    for rest in RESTS {
        let answers = [b"200", b"200", b"500", b"404", b"404", b"200"].map(|status| {
            let code = std::str::from_utf8(status).expect("digits");
            let code: u16 = code.parse().expect("a number");
            let ends = [plain(rest), literal(status)].concat();
            let begins = [literal(status), plain(rest)].concat();
            [(ends, code), (begins, code)]
        });
        let [ends, begins] = [0, 1].map(|i| answers.iter().map(move |pair| &pair[i]));
        check_answers(ends.chain(begins));
        check_answers(answers.as_flattened().iter());
    }
}

#[test]
fn a_block_adds_again_what_the_table_has_lost_since() {
    let head = dated(b"404", 60);
    let other = dated(b"500", 0);
    let mut parts = opening();
    let mut told = Vec::new();
    let ask = |id| headers(END_HEADERS | END_STREAM, id, &[0x82, 0x86, 0x84]);
    let all = (0..150).map(|i| 2 * i + 1);
    for id in all.clone() {
        parts.push((Client, ask(id)));
    }
    let mut answer = |id: u32, status, frames: Vec<u8>| {
        told.push(("/", status, ask(id).len() as u64, frames.len() as u64));
        parts.push((Server, frames));
    };
    for (i, id) in all.enumerate() {
        // Those that do not end their stream are far apart, and others fill the table between them.
        let block = match i {
            0 | 90 => &head,
            // What the latest of them has added.
            91 => &vec![0xbf],
            _ => &other,
        };
        if i == 0 || i == 90 {
            let rest = headers(END_HEADERS | END_STREAM, id, &[0x0f, 0x10, 1, b'z']);
            let frames = [headers(END_HEADERS, id, block), rest].concat();
            answer(id, 404, frames);
        } else {
            let status = if i == 91 { 404 } else { 500 };
            answer(id, status, headers(END_HEADERS | END_STREAM, id, block));
        }
    }
    check(&parts, &told);
}

#[test]
fn each_exchange_knows_where_its_request_begins() {
    let mut parts = opening();
    let (mut at, mut offsets) = (0, Vec::new());
    at += parts
        .iter()
        .filter(|part| part.0 == Client)
        .map(|part| part.1.len())
        .sum::<usize>();
    for id in [1, 3, 5, 7] {
        let asked = headers(END_HEADERS | END_STREAM, id, &[0x82, 0x86, 0x84]);
        offsets.push(at as u64);
        at += asked.len();
        parts.push((Client, asked));
    }
    // The answers come in another order.
    for id in [5, 1, 7, 3] {
        parts.push((Server, headers(END_HEADERS | END_STREAM, id, &[0x88])));
    }
    let mut talk = Talk::new();
    for (side, bytes) in &parts {
        talk.say(*side, bytes);
    }
    let talk = talk.end();
    assert_eq!(talk.offsets, [2, 0, 3, 1].map(|i: usize| offsets[i]));
    // Only the lower half is kept with a stream.
    let mut conversation = talk.conversation;
    conversation.request.message_start = (5 << 32) + 100;
    let mut finished = talk.finished[0];
    finished.seq = 0_u32.wrapping_sub(50);
    assert_eq!(conversation.request_offset(&finished), (5 << 32) - 50);
}
