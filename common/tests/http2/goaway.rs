//! GOAWAY: what the server did not begin ends as refused, and what it began ends as it does.

use super::*;

/// `NO_ERROR`, up to this stream.
fn goaway(last: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

fn answer(stream: u32) -> Vec<u8> {
    headers(END_HEADERS | END_STREAM, stream, OK)
}

#[test]
fn streams_above_the_last_one_are_refused_and_the_others_go_on() {
    let parts = after_opening(&[
        (Client, [get(1), get(3), get(5), get(7)].concat()),
        (Server, [answer(1), goaway(3)].concat()),
        (Server, answer(3)),
    ]);
    check(
        &parts,
        &[
            ("/", 200, 12, 10),
            ("/", 2007, 12, 0),
            ("/", 2007, 12, 0),
            ("/", 200, 12, 10),
        ],
    );
}

#[test]
fn requests_that_were_under_way_to_it_are_refused_too() {
    let parts = after_opening(&[
        (Client, get(1)),
        (Server, goaway(1)),
        (Client, [get(3), get(5)].concat()),
        (Server, answer(1)),
    ]);
    check(
        &parts,
        &[("/", 2007, 12, 0), ("/", 2007, 12, 0), ("/", 200, 12, 10)],
    );
}

#[test]
fn a_graceful_end_begins_with_a_notice_that_refuses_nothing() {
    let parts = after_opening(&[
        (Client, get(1)),
        (Server, goaway(0x7fff_ffff)),
        (Client, get(3)),
        (Server, [answer(1), goaway(3)].concat()),
        (Client, get(5)),
        // It may not take anything back.
        (Server, goaway(5)),
        (Client, get(7)),
        (Server, answer(3)),
    ]);
    check(
        &parts,
        &[
            ("/", 200, 12, 10),
            ("/", 2007, 12, 0),
            ("/", 2007, 12, 0),
            ("/", 200, 12, 10),
        ],
    );
}

#[test]
fn none_was_begun() {
    let parts = after_opening(&[(Client, [get(1), get(3)].concat()), (Server, goaway(0))]);
    check(&parts, &[("/", 2007, 12, 0), ("/", 2007, 12, 0)]);
}

#[test]
fn hundreds_of_streams_are_refused_at_once() {
    let ids: Vec<u32> = (0..300).map(|i| 2 * i + 1).collect();
    let asked = ids.iter().flat_map(|id| get(*id)).collect();
    let parts = after_opening(&[(Client, asked), (Server, goaway(1)), (Server, answer(1))]);
    let mut told = vec![("/", 2007, 12, 0); 299];
    told.push(("/", 200, 12, 10));
    check(&parts, &told);
}

#[test]
fn it_waits_for_the_end_of_the_block_that_is_under_way() {
    let mut talk = Talk::new();
    talk.say(Client, &[PREFACE, &settings(), &get(1)].concat());
    let late = get(3);
    talk.say(Client, &late[..10]);
    talk.say(Server, &goaway(1));
    talk.say(Client, &late[10..]);
    assert_eq!(talk.finished.len(), 1);
    assert_eq!((talk.finished[0].status, talk.lost), (2007, 0));
}

#[test]
fn a_call_of_grpc_that_is_refused_is_unavailable() {
    let kind = b"application/grpc";
    let block = [&[0x83, 0x0f, 0x10, kind.len() as u8][..], kind].concat();
    let parts = after_opening(&[
        (Client, headers(END_HEADERS, 1, &block)),
        (Client, data(END_STREAM, 1, &[0; 5])),
        (Server, goaway(0)),
    ]);
    let mut talk = Talk::new();
    for (side, bytes) in parts {
        talk.say(side, &bytes);
    }
    let finished = &talk.finished[0];
    assert_eq!(finished.status, 3014);
    assert_eq!(
        (finished.request_messages, finished.response_messages),
        (1, 0)
    );
}

#[test]
fn a_clients_own_speaks_of_pushes() {
    let parts = after_opening(&[(Client, get(1)), (Client, goaway(0)), (Server, answer(1))]);
    check(&parts, &[("/", 200, 12, 10)]);
}

#[test]
fn numbers_that_a_client_leaves_out_are_not_looked_for() {
    let parts = after_opening(&[
        (Client, get(1)),
        (Server, goaway(1)),
        (Client, get(0x3fff_ffff)),
        (Server, answer(1)),
    ]);
    check(&parts, &[("/", 2007, 12, 0), ("/", 200, 12, 10)]);
}
