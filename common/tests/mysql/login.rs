//! Greetings and logins.

use weir_common::{
    flow::protocol,
    framing::mysql::{command, command_op},
};

use crate::{
    logged_in,
    packets::{
        COMPRESS, Ends, command as send, err, greeting, handshake, ok, packet, query, ssl_request,
    },
    run, sql,
    talk::{Client, Server, Side, Talk},
};

fn check(says: &[(Side, Vec<u8>)], expected: &[(u64, u16)]) {
    for piece in [4096, 1, 2, 3, 5, 7, 11, 13, 50, 97] {
        let found: Vec<_> = run(says, piece).iter().map(|o| (o.0, o.1)).collect();
        assert_eq!(found, expected, "pieces of {piece}");
    }
}

const CONNECT: u8 = command::CONNECT;

#[test]
fn logins_of_several_rounds_are_one_exchange() {
    let switch = packet(2, b"\xfemysql_clear_password\0salt\0");
    let fast = packet(4, b"\x01\x03");
    check(
        &[
            (Server, greeting()),
            (Client, handshake(0)),
            (Server, switch.clone()),
            (Client, packet(3, b"password\0")),
            (Server, [fast, packet(5, &ok(0))].concat()),
            (Client, query("SELECT 1")),
            (Server, packet(1, &ok(0))),
            (Client, send(command::CHANGE_USER, b"root\0\0\0")),
            (Server, packet(1, b"\xfemysql_native_password\0salt\0")),
            (Client, packet(2, b"secretsecretsecretse")),
            (Server, packet(3, &ok(0))),
        ],
        &[
            (command_op(CONNECT), 1),
            (sql("SELECT 1"), 1),
            (command_op(command::CHANGE_USER), 1),
        ],
    );
}

#[test]
fn a_refused_login_is_a_failed_exchange() {
    for rounds in [false, true] {
        let mut says = vec![(Server, greeting()), (Client, handshake(0))];
        if rounds {
            says.push((Server, packet(2, b"\xfemysql_native_password\0salt\0")));
            says.push((Client, packet(3, b"secretsecretsecretse")));
        }
        says.push((Server, packet(4, &err(1045, "28000"))));
        check(&says, &[(command_op(CONNECT), 1000)]);
    }
}

#[test]
fn a_connection_refused_before_the_greeting_is_no_exchange() {
    for payload in [
        &b"\xff\x10\x04Too many connections"[..],
        b"\xff\x69\x04Host '10.0.0.1' is not allowed to connect",
        b"\xff\x10\x04#08004Too many connections",
    ] {
        check(&[(Server, packet(0, payload))], &[]);
    }
}

#[test]
fn what_the_server_says_unasked_is_no_answer() {
    let says = [(Server, packet(0, &err(1927, "70100")))];
    let (says, connect) = logged_in(Ends::Ok.capabilities(), &says);
    check(&says, &[(connect.0, 1)]);
}

/// Says the parts and tells (exchanges, lost, opaque, protocol).
fn end(says: &[(Side, Vec<u8>)]) -> (usize, u64, u8, u8) {
    let mut talk = Talk::new();
    for (side, bytes) in says {
        talk.say(*side, bytes);
    }
    let talk = talk.end();
    let conversation = &talk.conversation;
    (
        talk.finished.len(),
        talk.lost,
        conversation.opaque,
        conversation.protocol,
    )
}

#[test]
fn behind_a_request_for_tls_it_is_that() {
    let tls = [(Server, greeting()), (Client, ssl_request())];
    assert_eq!(end(&tls), (0, 0, 0, protocol::TLS));
}

#[test]
fn compressed_connections_are_opaque() {
    for capabilities in [COMPRESS, 1 << 26] {
        let (says, _) = logged_in(
            capabilities,
            &[
                (Client, b"\x0d\0\0\0\0\0\0\x09\0\0\0\x03SELECT 1".to_vec()),
                (
                    Server,
                    b"\x0b\0\0\x01\0\0\0\x07\0\0\x01\0\0\0\x02\0\0\0".to_vec(),
                ),
            ],
        );
        assert_eq!(end(&says), (1, 0, 1, protocol::MYSQL));
    }
}

#[test]
fn replicas_are_opaque_from_their_subscription_on() {
    for kind in [command::BINLOG_DUMP, command::BINLOG_DUMP_GTID] {
        let says = [
            (Client, send(kind, b"\x04\0\0\0\0\0\x02\0\0\0")),
            (Server, packet(1, b"\0\0\0\0\0\x04\x01\0\0\0")),
        ];
        let (says, _) = logged_in(0, &says);
        assert_eq!(end(&says), (1, 0, 1, protocol::MYSQL));
    }
}

#[test]
fn other_servers_that_speak_first_are_not_taken_for_it() {
    for greeting in [
        &b"220 mail.test ESMTP Postfix\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"+OK POP3 ready\r\n",
        b"\x4a\0\0\0\x0aversion",
        b"\x4a\0\0\x01\x0a5.5.5-10",
        b"\x04\0\0\0\x0a5.5.5-10",
        b"\x0c\0\0\0\xff\x01\0text",
    ] {
        let says = [(Server, greeting.to_vec()), (Client, b"hello\r\n".to_vec())];
        assert_eq!(end(&says), (0, 0, 1, protocol::TCP), "{greeting:?}");
    }
    // A client that answers a greeting with something else.
    let says = [
        (Server, greeting()),
        (
            Client,
            b"\x30\0\0\x01SSH-2.0 and so on and so on and so on and so on".to_vec(),
        ),
    ];
    assert_eq!(end(&says).2, 1);
}
