//! `traceparent` among the fields of requests.

use std::collections::HashMap;

use httlib_hpack::Encoder;

use super::*;
use weir_common::framing::http2::trace;

const ONE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// How fields are written: by Huffman codes, into the table.
fn flags(huffman: bool, insert: bool) -> u8 {
    let text = if huffman {
        Encoder::HUFFMAN_NAME | Encoder::HUFFMAN_VALUE
    } else {
        0
    };
    text | if insert {
        Encoder::WITH_INDEXING
    } else {
        Encoder::NEVER_INDEXED
    }
}

/// A request with these trace contexts.
fn request(encoder: &mut Encoder<'_>, stream: u32, values: &[&str], flags: u8) -> Vec<u8> {
    let mut block = GET.to_vec();
    for value in values {
        let field = (b"traceparent".to_vec(), value.as_bytes().to_vec(), flags);
        encoder.encode(field, &mut block).unwrap();
    }
    headers(END_STREAM | END_HEADERS, stream, &block)
}

/// What each exchange carried, in pieces of some size.
fn traces(parts: &[(Side, Vec<u8>)], piece: usize) -> Vec<Option<String>> {
    let mut talk = Talk::new();
    for (side, bytes) in after_opening(parts) {
        for piece in bytes.chunks(piece) {
            talk.say(side, piece);
        }
    }
    assert_eq!(talk.lost, 0);
    let kept: &HashMap<u64, trace::Trace> = &talk.spill.1;
    let of = |(f, offset): (&Finished, &u64)| {
        let text = kept.get(offset).filter(|_| f.traced != 0)?;
        let text = String::from_utf8(trace::text(text).to_vec()).unwrap();
        (!text.is_empty()).then_some(text)
    };
    talk.finished.iter().zip(&talk.offsets).map(of).collect()
}

fn check_traces(asked: &[(u32, Vec<u8>)], expected: &[Option<&str>]) {
    let answer = |stream| headers(END_HEADERS | END_STREAM, stream, OK);
    let both =
        |(stream, asked): &(u32, Vec<u8>)| [(Client, asked.clone()), (Server, answer(*stream))];
    let parts: Vec<_> = asked.iter().flat_map(both).collect();
    for piece in [100_000, 1, 7, 40, 90] {
        let found = traces(&parts, piece);
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, expected, "pieces of {piece}");
    }
}

#[test]
fn as_text_and_by_huffman_codes() {
    for huffman in [false, true] {
        for insert in [false, true] {
            let mut encoder = Encoder::default();
            let how = flags(huffman, insert);
            let asked = [
                (1, request(&mut encoder, 1, &[ONE], how)),
                (3, get(3)),
                (5, request(&mut encoder, 5, &[OTHER], how)),
            ];
            check_traces(&asked, &[Some(ONE), None, Some(OTHER)]);
        }
    }
}

#[test]
fn later_requests_that_refer_to_it() {
    let mut encoder = Encoder::default();
    let first = request(&mut encoder, 1, &[ONE], flags(true, true));
    // The newest entry of the table.
    let again = |stream| headers(END_STREAM | END_HEADERS, stream, &[0x82, 0x84, 0xbe]);
    let asked = [(1, first), (3, again(3)), (5, again(5)), (7, get(7))];
    check_traces(&asked, &[Some(ONE), Some(ONE), Some(ONE), None]);
}

#[test]
fn blocks_of_the_same_bytes_have_each_their_own() {
    let mut encoder = Encoder::default();
    let asked = [1, 3, 5, 7].map(|stream| {
        let how = flags(true, false);
        (stream, request(&mut encoder, stream, &[ONE], how))
    });
    check_traces(&asked, &[Some(ONE); 4]);
}

#[test]
fn two_of_them_are_none() {
    let mut encoder = Encoder::default();
    let asked = [(
        1,
        request(&mut encoder, 1, &[ONE, OTHER], flags(false, false)),
    )];
    check_traces(&asked, &[None]);
}

#[test]
fn a_longer_one_is_kept_as_far_as_there_is_room_or_not_at_all() {
    let mut encoder = Encoder::default();
    let long = format!("{ONE}{}", "x".repeat(20));
    let asked = [(1, request(&mut encoder, 1, &[&long], flags(true, false)))];
    check_traces(&asked, &[None]);
}
