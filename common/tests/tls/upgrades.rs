//! TLS that another protocol asks for: PostgreSQL's SSLRequest, MySQL's answer to the greeting.

use weir_common::framing::tls::{ALERT, op};

use crate::{
    OK, SUITE, Say, join, mysql, postgres,
    talk::{Client, Server, Talk},
    wire::*,
};

fn asked_by_postgres() -> Vec<Say> {
    vec![
        (Client, postgres::gssenc_request()),
        (Server, b"N".to_vec()),
        (Client, postgres::ssl_request()),
        (Server, b"S".to_vec()),
        (Client, client_hello()),
    ]
}

/// The client may wait between its request and its hello, or not.
fn asked_by_mysql(waits: bool) -> Vec<Say> {
    let mut says = vec![(Server, mysql::greeting())];
    if waits {
        says.push((Client, mysql::ssl_request()));
        says.push((Client, client_hello()));
    } else {
        says.push((Client, join(&[mysql::ssl_request(), client_hello()])));
    }
    says
}

fn ways() -> [Vec<Say>; 3] {
    [
        asked_by_postgres(),
        asked_by_mysql(true),
        asked_by_mysql(false),
    ]
}

#[test]
fn the_handshake_is_an_exchange_and_the_rest_opaque() {
    let hello = [server_hello13(SUITE, 32), change_cipher_spec(), data(900)];
    let finished = [change_cipher_spec(), finished13()];
    for mut says in ways() {
        says.extend([(Server, join(&hello)), (Client, join(&finished))]);
        crate::check(&says, (op(TLS13, SUITE), OK));
        says.truncate(says.len() - 2);
        says.push((Server, alert(2, 40)));
        crate::check(&says, (op(0, 0), ALERT + 40));
        says.pop();
        crate::check(&says, (op(0, 0), 0));
    }
}

#[test]
fn what_was_asked_before_it_does_not_count() {
    for says in ways() {
        let mut talk = Talk::new();
        for (side, bytes) in &says {
            talk.say(*side, bytes);
        }
        talk.say(Server, &alert(2, 40));
        let talk = talk.end();
        let found = talk.finished[0];
        assert_eq!(found.request_bytes, client_hello().len() as u64);
        assert_eq!((found.response_bytes, found.method), (7, 0));
        // The last thing that the client said begins at its hello, and has the name in it.
        let all = says.iter().filter(|say| say.0 == Client);
        let all: usize = all.map(|say| say.1.len()).sum();
        assert_eq!(talk.offsets[0], (all - client_hello().len()) as u64);
        assert!(talk.heads[0].1.contains("shop.lan"), "{:?}", talk.heads);
    }
}

#[test]
fn what_follows_and_is_no_tls_turns_opaque() {
    for says in ways() {
        let is_behind = says.last().unwrap().1.len() > client_hello().len();
        let mut talk = Talk::new();
        let (_, asked) = says.split_last().unwrap();
        for (side, bytes) in asked {
            talk.say(*side, bytes);
        }
        let request = if is_behind {
            mysql::ssl_request()
        } else {
            vec![]
        };
        talk.say(Client, &join(&[request, b"X\0\0\0\x04 and more".to_vec()]));
        talk.say(Server, b"Z\0\0\0\x05I");
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{:?}", talk.out);
        assert_eq!(talk.conversation.opaque, 1);
    }
}

#[test]
fn bytes_of_the_server_behind_its_yes_are_no_tls() {
    for is_cut in [false, true] {
        let mut talk = Talk::new();
        talk.say(Client, &postgres::ssl_request());
        let answer = b"SZ\0\0\0\x05I";
        if is_cut {
            talk.say(Server, &answer[..1]);
            talk.say(Server, &answer[1..]);
        } else {
            talk.say(Server, answer);
        }
        talk.say(Client, &client_hello());
        let talk = talk.end();
        assert_eq!((talk.finished.len(), talk.lost), (0, 0), "{:?}", talk.out);
        assert_eq!(talk.conversation.opaque, 1);
    }
}

#[test]
fn a_hole_before_the_hello_is_one_loss() {
    for says in ways() {
        let (hello, asked) = says.split_last().unwrap();
        let mut talk = Talk::new();
        for (side, bytes) in asked {
            talk.say(*side, bytes);
        }
        talk.miss(Client, hello.1.len() as u64);
        talk.say(Server, &join(&[server_hello13(SUITE, 32), data(900)]));
        talk.say(Client, &finished13());
        talk.say(Server, &data(900));
        let talk = talk.end();
        assert_eq!(talk.finished.len(), 0, "{:?}", talk.out);
        assert!(talk.lost <= 1, "{:?}", talk.out);
    }
}
