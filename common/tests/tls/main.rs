//! TLS handshakes in tables: versions, resumption, alerts, holes, what is none.

#[path = "../mysql/packets.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod mysql;
#[path = "../postgres/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod postgres;
#[path = "../http1/talk.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod talk;
mod upgrades;
mod wire;

use talk::{Client, Server, Side, Talk};
use weir_common::{
    flow::protocol,
    framing::tls::{ALERT, op},
};
use wire::*;

const OK: u16 = 1;
const FAILED: u16 = 1000;
const SUITE: u16 = 0x1302;
const OLD_SUITE: u16 = 0xc02f;

type Say = (Side, Bytes);

/// Says it whole, by every small piece, and by ones that cut at odd places: one exchange with this
/// key and status, and a connection that nobody reads on.
fn check(says: &[Say], expected: (u64, u16)) {
    for piece in [100_000, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        let mut talk = Talk::new();
        for (side, bytes) in says {
            for piece in bytes.chunks(piece) {
                talk.say(*side, piece);
            }
        }
        // What is encrypted may look like anything.
        let ended = expected.1 != 0;
        if ended {
            talk.say(Client, &[0x16; 300]);
            talk.say(Server, b"HTTP/1.1 200 OK\r\n\r\n");
        }
        let talk = talk.end();
        let found: Vec<_> = talk.finished.iter().map(|f| (f.op, f.status)).collect();
        assert_eq!(found, [expected], "by {piece}: {:?}", talk.out);
        assert_eq!(talk.lost, 0, "by {piece}: {:?}", talk.out);
        assert_eq!(talk.conversation.protocol, protocol::TLS);
        assert_eq!(talk.conversation.opaque, u8::from(ended), "by {piece}");
    }
}

fn join(parts: &[Bytes]) -> Bytes {
    parts.concat()
}

#[test]
fn version_1_3_ends_with_the_clients_finished() {
    for share in [32, 1120] {
        check(
            &[
                (Client, client_hello()),
                (
                    Server,
                    join(&[
                        server_hello13(SUITE, share),
                        change_cipher_spec(),
                        data(23),
                        data(3000),
                    ]),
                ),
                (Client, join(&[change_cipher_spec(), finished13()])),
            ],
            (op(TLS13, SUITE), OK),
        );
    }
}

#[test]
fn what_a_client_sends_before_its_finished_is_part_of_the_handshake() {
    const NO_CERTIFICATE: usize = 25;
    const END_OF_EARLY_DATA: usize = 21;
    for len in [NO_CERTIFICATE, END_OF_EARLY_DATA] {
        let hello = [server_hello13(SUITE, 32), change_cipher_spec(), data(900)];
        let begun = vec![
            (Client, client_hello()),
            (Server, join(&hello)),
            (Client, join(&[change_cipher_spec(), data(len)])),
        ];
        check(&begun, (op(TLS13, SUITE), 0));
        let finished = [begun, vec![(Client, finished13())]].concat();
        check(&finished, (op(TLS13, SUITE), OK));
    }
}

#[test]
fn a_second_hello_is_part_of_the_handshake() {
    check(
        &[
            (Client, client_hello()),
            (
                Server,
                join(&[server_hello13(SUITE, 2), change_cipher_spec()]),
            ),
            (Client, join(&[change_cipher_spec(), client_hello()])),
            (Server, join(&[server_hello13(SUITE, 65), data(900)])),
            (Client, finished13()),
        ],
        (op(TLS13, SUITE), OK),
    );
}

#[test]
fn older_versions_end_when_both_have_finished() {
    let exchange = [handshake(16, &[1; 66]), change_cipher_spec(), finished12()];
    let certificate = [message(11, &[2; 900]), message(14, &[])];
    for extensions in [vec![], vec![extension(0xff01, &[0]), extension(23, &[])]] {
        check(
            &[
                (Client, client_hello()),
                (Server, server_hello12(OLD_SUITE, &extensions, &certificate)),
                (Client, join(&exchange)),
                (Server, join(&[change_cipher_spec(), finished12()])),
            ],
            (op(TLS12, OLD_SUITE), OK),
        );
        // Resumed: the server is first.
        check(
            &[
                (Client, client_hello()),
                (
                    Server,
                    join(&[
                        server_hello12(OLD_SUITE, &extensions, &[]),
                        change_cipher_spec(),
                        finished12(),
                    ]),
                ),
                (Client, join(&[change_cipher_spec(), finished12()])),
            ],
            (op(TLS12, OLD_SUITE), OK),
        );
    }
}

#[test]
fn alerts_say_why_there_is_none() {
    const FATAL: u8 = 2;
    const WARNING: u8 = 1;
    let hello = (Client, client_hello());
    let older = (Server, server_hello12(OLD_SUITE, &[], &[]));
    let newer = (Server, join(&[server_hello13(SUITE, 32), data(900)]));
    for (says, expected) in [
        (
            vec![hello.clone(), (Server, alert(FATAL, 40))],
            (op(0, 0), ALERT + 40),
        ),
        (
            vec![hello.clone(), older.clone(), (Client, alert(FATAL, 48))],
            (op(TLS12, OLD_SUITE), ALERT + 48),
        ),
        // Of TLS 1.3 all that can be seen is that it is too short for a Finished.
        (
            vec![
                hello.clone(),
                newer.clone(),
                (Client, join(&[change_cipher_spec(), data(19)])),
            ],
            (op(TLS13, SUITE), FAILED),
        ),
        (
            vec![
                hello.clone(),
                (Server, alert(WARNING, 112)),
                newer,
                (Client, finished13()),
            ],
            (op(TLS13, SUITE), OK),
        ),
        (vec![hello.clone()], (op(0, 0), 0)),
        (vec![hello, older], (op(TLS12, OLD_SUITE), 0)),
    ] {
        check(&says, expected);
    }
}

#[test]
fn the_name_is_kept_wherever_it_stands() {
    let names = [extension(10, &[5; 60]), server_name("shop.lan")];
    for hello in [client_hello(), client_hello_of(90, &names)] {
        let mut talk = Talk::new();
        talk.say(Client, &hello);
        talk.say(Server, &alert(2, 40));
        let talk = talk.end();
        assert!(talk.heads[0].1.contains("shop.lan"), "{:?}", talk.heads);
    }
    // Without one the head is the hello itself.
    let mut talk = Talk::new();
    talk.say(Client, &client_hello_of(3, &[extension(23, &[])]));
    talk.say(Server, &alert(2, 40));
    assert!(talk.end().heads[0].1.starts_with('\u{16}'));
}

#[test]
fn a_hole_or_garbage_in_a_handshake_is_one_loss() {
    for garbage in [false, true] {
        let mut talk = Talk::new();
        talk.say(Client, &client_hello());
        if garbage {
            talk.say(Server, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        } else {
            talk.miss(Server, 60);
        }
        talk.say(Server, &data(900));
        talk.say(Client, &finished13());
        talk.say(Server, &data(900));
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (0, 1), "{:?}", talk.out);
    }
}

#[test]
fn a_hello_that_was_missed_is_one_loss() {
    for missed in [Client, Server] {
        let mut talk = Talk::new();
        if missed == Client {
            talk.miss(Client, 200);
            talk.say(Server, &join(&[server_hello13(SUITE, 32), data(900)]));
        } else {
            talk.say(Client, &client_hello());
            talk.miss(Server, 900);
        }
        talk.say(Client, &alert(2, 48));
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (0, 1), "{:?}", talk.out);
    }
}

#[test]
fn what_only_begins_like_one_is_none() {
    for bytes in [
        &[22, 3, 1, 0, 80, 2, 0, 0, 76, 3, 3][..],
        &[22, 3, 9, 0xff, 0xff, 1],
        &[22, 3, 3, 0, 80, 1, 9, 0, 76, 3, 3],
        b"\x16\x03hello, this is another protocol that happens to begin so",
    ] {
        let mut talk = Talk::new();
        talk.say(Client, &[bytes, &[0; 90]].concat());
        talk.say(Server, b"whatever");
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{:?}", talk.out);
        assert_eq!(talk.conversation.opaque, 1);
    }
}

#[test]
fn a_connection_older_than_its_observer_had_its_handshake() {
    let mut talk = Talk::midstream();
    talk.say(Client, &data(500));
    talk.say(Server, &data(5000));
    talk.say(Client, &client_hello());
    talk.say(Server, &data(5000));
    let talk = talk.end();
    assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{:?}", talk.out);
}
