//! Conversations in a table: each gives the same when it comes byte by byte.

extern crate std;
use std::{boxed::Box, format, string::String, vec::Vec};

use bytemuck::Zeroable;

use super::*;
use crate::{counter::Loss, framing::advance};

/// Runs payloads (`>` request, `<` response) in order and tells what came out.
fn run(parts: &[(char, &str)]) -> Vec<String> {
    let mut conversation: Box<Conversation> = Box::new(Conversation::zeroed());
    conversation.start(u32::MAX - 20, 7);
    let mut seq = [u32::MAX - 19, 8];
    let mut out = Vec::new();
    for (time, (side, text)) in parts.iter().enumerate() {
        let is_request = *side == '>';
        let seq = &mut seq[!is_request as usize];
        let start = *seq;
        *seq = seq.wrapping_add(text.len() as u32);
        if !conversation.locate(is_request, start, text.len() as u32, time as u64 + 1) {
            continue;
        }
        loop {
            match advance(&mut conversation, is_request, &mut text.as_bytes()) {
                step::DONE => break,
                step::MORE => {}
                step::EXCHANGE => {
                    let f = conversation.finished;
                    out.push(format!(
                        "{} {} {}+{}",
                        method::name(f.method),
                        f.status,
                        f.request_bytes,
                        f.response_bytes
                    ));
                }
                other => {
                    let reason = Loss::ALL[(other - step::LOST) as usize];
                    let missed = conversation.missed(is_request);
                    out.push(format!("lost {} {missed}", reason.name()));
                }
            }
        }
    }
    if conversation.close(99) {
        let f = conversation.finished;
        out.push(format!(
            "{} {} until close",
            method::name(f.method),
            f.status
        ));
    }
    while conversation.take_unanswered(99) {
        out.push("unanswered".into());
    }
    if conversation.opaque != 0 {
        out.push(format!("opaque {}", conversation.protocol));
    }
    out
}

fn check(parts: &[(char, &str)], expected: &[&str]) {
    assert_eq!(run(parts), expected, "{parts:?}");
    // One byte at a time gives the same.
    let split: Vec<(char, &str)> = parts
        .iter()
        .flat_map(|(side, text)| (0..text.len()).map(move |i| (*side, &text[i..i + 1])))
        .collect();
    assert_eq!(run(&split), expected, "byte by byte: {parts:?}");
}

#[test]
fn conversations() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    check(&[('>', get), ('<', ok)], &["GET 200 27+40"]);
    check(
        &[('>', get), ('<', ok), ('>', get), ('<', ok)],
        &["GET 200 27+40", "GET 200 27+40"],
    );
    check(
        &[('>', &get.repeat(3)), ('<', &ok.repeat(3))],
        &["GET 200 27+40"; 3],
    );
    check(
        &[
            ('>', get),
            (
                '<',
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab\n\nc\r\n1;x=y\r\nz\r\n0\r\nT: 1\r\n\r\n",
            ),
            ('>', get),
            ('<', ok),
        ],
        &["GET 200 27+78", "GET 200 27+40"],
    );
    check(
        &[
            ('>', "HEAD / HTTP/1.1\r\n\r\n"),
            ('<', "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
            ('>', get),
            ('<', ok),
        ],
        &["HEAD 200 19+39", "GET 200 27+40"],
    );
    check(
        &[('>', get), ('<', "HTTP/1.1 204 No Content\r\n\r\n")],
        &["GET 204 27+27"],
    );
    check(
        &[
            ('>', "POST /x HTTP/1.1\r\nContent-Length:  3 \r\n\r\nabc"),
            (
                '<',
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
            ),
        ],
        &["POST 500 44+37"],
    );
    check(
        &[
            ('>', get),
            ('<', "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nzzz"),
        ],
        &["GET 101 27+38", "opaque 5"],
    );
    check(
        &[
            ('>', "CONNECT a:1 HTTP/1.1\r\n\r\n"),
            ('<', "HTTP/1.1 200 OK\r\n\r\n"),
            ('>', "zzzz"),
        ],
        &["CONNECT 200 24+19", "opaque 5"],
    );
    check(
        &[('>', get), ('<', "HTTP/1.0 200 OK\r\n\r\nbody to the end")],
        &["GET 200 until close"],
    );
    check(&[('>', get)], &["unanswered"]);
    check(
        &[(
            '>',
            "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\x0a\x0b\x0c\x0d\x0e",
        )],
        // Under way, see the tests of TLS.
        &[],
    );
    check(
        &[('>', "\x01\x02hello\r\n"), ('<', "\x03\r\n")],
        &["opaque 1"],
    );
    check(
        &[('>', "PROPFIND /dav HTTP/1.1\r\n\r\n"), ('<', ok)],
        &["_OTHER 200 26+40"],
    );
    check(
        &[('>', &get.repeat(20)), ('<', &ok.repeat(20))],
        &[&["GET 200 27+40"; 16][..], &["_OTHER 200 0+40"; 4]].concat(),
    );
}

#[test]
fn long_heads() {
    let filler = "X-A: b\r\n".repeat(300);
    let long = format!("X-Long: {}\r\n", "q".repeat(3000));
    let path = format!("/{}", "p".repeat(700));
    let request = format!("GET {path} HTTP/1.1\r\n{filler}{long}Content-Length: 4\r\n\r\nbody");
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let expected = format!("GET 200 {}+40", request.len());
    check(&[('>', &request), ('<', ok)], &[&expected]);
}

#[test]
fn requests_that_do_not_overlap_wait_in_one_slot() {
    let mut conversation: Box<Conversation> = Box::new(Conversation::zeroed());
    conversation.start(0, 0);
    let parts = [
        "GET /a HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ];
    for turn in 0..40u32 {
        for (part, is_request) in parts.into_iter().zip([true, false]) {
            let len = part.len() as u32;
            assert!(conversation.locate(is_request, 1 + turn * len, len, 1));
            while advance(&mut conversation, is_request, &mut part.as_bytes()) != step::DONE {}
        }
        assert_eq!(conversation.finished.method, method::GET, "turn {turn}");
    }
    assert_eq!(conversation.answered, 40);
    let [_, others @ ..] = &conversation.pending;
    assert!(others.iter().all(|slot| *slot == Pending::zeroed()));
}
