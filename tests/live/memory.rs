//! Counting while the kernel has no memory to give.

use std::{net::SocketAddr, time::Duration};

use weir_tests::{
    agent::{Agent, Options},
    client::Client,
    gate::live,
    memory::MemoryGroup,
    netns::Namespace,
    server::{Place, nginx::Nginx},
    wait_for,
};

const PORT: u16 = 7111;

/// Asks for so many paths, each of which is a new operation: their parts have no digits, which
/// would be taken for an identifier.
fn ask_for_new(client: &mut Client, round: &str, paths: usize) {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    for path in 0..paths {
        let (first, second) = (letter(path / 26), letter(path));
        client.send(format!(
            "GET /{round}{first}{second} HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(client.response(false).status, 200);
    }
}

fn wait_for_spare(agent: &Agent, what: &str, expected: impl Fn(u64) -> bool) {
    wait_for(what, Duration::from_secs(15), || {
        let (held, _) = agent.status().map_fill["OPS_SPARE"];
        expected(held).then_some(())
    });
}

#[test]
fn operations_that_there_is_no_memory_for_are_counted_and_find_their_place_later() {
    if !live() {
        return;
    }
    let host = Namespace::new();
    let group = MemoryGroup::new();
    let mut agent = Agent::within(&group, Options::default());
    let nginx = Nginx::start(
        Place::In(&host),
        SocketAddr::from(([127, 0, 0, 1], PORT)),
        "location / { return 200 ok; }",
    );
    let mut client = host.run(|| Client::connect(nginx.address));
    ask_for_new(&mut client, "first", 1);
    agent.expect_calls(&[PORT], 1);
    // The maps are charged to the group that made them, whoever reads them then.
    agent.stop();
    group.freeze();
    agent.restart();
    let lost_before = agent.status().lost;
    ask_for_new(&mut client, "poor", 300);
    agent.expect_calls(&[PORT], 301);
    wait_for_spare(&agent, "operations in the spare table", |held| held > 100);
    group.thaw();
    wait_for_spare(&agent, "an empty spare table", |held| held == 0);
    agent.expect_calls(&[PORT], 301);
    ask_for_new(&mut client, "poor", 300);
    ask_for_new(&mut client, "rich", 300);
    agent.expect_calls(&[PORT], 901);
    assert_eq!(agent.status().lost, lost_before);
}
