//! Damaged captures: no panic, nothing invented, and what is missing is counted.

use std::collections::{BTreeMap, BTreeSet};

use weir::{
    observe::{model::Exchange, operations::OTHER},
    replay::{ReplayReport, run_records},
};
use weir_common::{
    flow::protocol,
    framing::{
        http1::{MAX_TARGET_BYTES, normalise},
        mysql::command,
    },
};

use crate::{
    all_captures, capture,
    pcapfile::{Little, Packets, pcap, read},
    replay, words,
};

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// `METHOD path status` of every exchange; a request without its answer is no invention.
fn facts(exchanges: &[Exchange]) -> BTreeSet<String> {
    exchanges.iter().map(words).collect()
}

/// What damage may make of a capture: its exchanges, and any of its requests unanswered.
fn possible_facts(name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for mut exchange in replay(&capture(fuller(name))).0 {
        all.insert(words(&exchange));
        exchange.status = None;
        exchange.error = Some("unanswered".into());
        all.insert(words(&exchange));
        if exchange.protocol == "tls" {
            // Of a handshake without an answer it is not known what was agreed on.
            exchange.operation = "handshake".into();
            all.insert(words(&exchange));
        }
    }
    if name == "tunnel.pcap" {
        // What the tunnel carries looks like a request, and is one if its opening was not seen.
        all.insert("GET /not-http-any-more unanswered".into());
    }
    all
}

/// The capture that shows everything of what this one shows a part of.
fn fuller(name: &str) -> &str {
    if name == "snaplen-cuts-heads.pcap" {
        return "snaplen.pcap";
    }
    name
}

/// The connection and the moment of a request.
fn place(exchange: &Exchange) -> (String, u64) {
    (exchange.client.addr.clone(), exchange.ts.to_bits())
}

/// Errors that requests of one place meet; those of a pipeline share it.
type Errors = BTreeSet<Option<String>>;

/// Where the whole capture may execute prepared statements, and the errors they meet: of MySQL
/// each is known by its command, of PostgreSQL any request may be one.
fn executions(name: &str) -> BTreeMap<(String, u64), Errors> {
    let mut is_execution = Vec::new();
    let file = capture(fuller(name));
    run_records(&file[..], &mut |record| {
        let of_mysql = record.protocol == protocol::MYSQL;
        let of_postgres = record.protocol == protocol::POSTGRES;
        is_execution.push(of_postgres || of_mysql && record.method == command::EXECUTE);
    })
    .unwrap();
    let exchanges = replay(&file).0;
    assert_eq!(exchanges.len(), is_execution.len());
    let executed = exchanges.iter().zip(is_execution).filter(|(_, is)| *is);
    let mut executions: BTreeMap<_, Errors> = BTreeMap::new();
    for (exchange, _) in executed {
        let errors = executions.entry(place(exchange)).or_default();
        errors.insert(exchange.error.clone());
    }
    executions
}

/// The exchanges of HTTP/2 and gRPC in the whole capture, by their places.
fn streams(name: &str) -> BTreeMap<(String, u64), Vec<Exchange>> {
    let exchanges = replay(&capture(fuller(name))).0.into_iter();
    let mut streams: BTreeMap<_, Vec<Exchange>> = BTreeMap::new();
    for exchange in exchanges.filter(|e| matches!(e.protocol.as_str(), "http2" | "grpc")) {
        streams.entry(place(&exchange)).or_default().push(exchange);
    }
    streams
}

/// True if everything that is said of a stream is true, though less than the whole capture says:
/// header blocks refer to what earlier ones said.
fn says_less(found: &Exchange, whole: &Exchange) -> bool {
    // A call whose type is not known is a request of HTTP, and its status that of HTTP.
    let by_type = found.protocol == "http2" && whole.protocol == "grpc";
    let unnamed = found.operation.ends_with("_UNNAMED");
    let same_path = by_type && {
        let path = format!("/{}", whole.operation);
        let mut out = [0; MAX_TARGET_BYTES + 1];
        let len = normalise(path.as_bytes(), &mut out);
        found.operation == format!("POST {}", String::from_utf8_lossy(&out[..len]))
    };
    let named = found.operation == whole.operation || same_path;
    let has_status = found.status == whole.status || found.status.is_none();
    (unnamed || named) && (has_status || by_type && found.status == Some(200))
}

/// What a damaged capture shows and the whole one does not.
///
/// An execution says only the number of its statement. Where weir counts a loss, its preparation
/// may be what was lost: it is then known as such alone, with the outcome that it has in the whole
/// capture or without an answer.
fn invented(name: &str, found: &[Exchange], report: &ReplayReport) -> Vec<String> {
    let possible = possible_facts(name);
    let executions = executions(name);
    let is_nameless_execution = |exchange: &Exchange| {
        let executed = executions.get(&place(exchange));
        let is_unanswered = exchange.error.as_deref() == Some("unanswered");
        let nameless = ["EXECUTE", "_PREPARED", "_UNNAMED"];
        nameless.contains(&exchange.operation.as_str())
            && !report.lost.is_empty()
            && executed.is_some_and(|errors| is_unanswered || errors.contains(&exchange.error))
    };
    // Requests behind too many that wait are counted, and what they were is a loss that is told.
    let others = found.iter().filter(|exchange| exchange.operation == OTHER);
    let too_deep = report.lost.get("pipeline_depth").copied().unwrap_or(0);
    let are_told = others.count() as u64 <= too_deep;
    let is_too_deep = |exchange: &Exchange| are_told && exchange.operation == OTHER;
    let streams = streams(name);
    let is_less = |exchange: &Exchange| {
        let here = streams.get(&place(exchange));
        here.is_some_and(|here| here.iter().any(|whole| says_less(exchange, whole)))
    };
    let unknown = found
        .iter()
        .filter(|exchange| !possible.contains(&words(exchange)))
        .filter(|exchange| !is_less(exchange))
        .filter(|exchange| !is_too_deep(exchange))
        .filter(|exchange| !is_nameless_execution(exchange));
    unknown.map(words).collect()
}

/// Exchanges with their answers; of protocols without status codes, those that were not left
/// without one.
fn answered(exchanges: &[Exchange]) -> usize {
    let is_answered = |exchange: &&Exchange| match exchange.protocol.as_str() {
        "http" => exchange.status.is_some(),
        _ => exchange.error.as_deref() != Some("unanswered"),
    };
    exchanges.iter().filter(is_answered).count()
}

fn says_something(report: &ReplayReport) -> bool {
    !report.lost.is_empty() || !report.is_whole()
}

#[test]
fn cut_off_anywhere_it_gives_what_came_before() {
    for name in all_captures() {
        let file = capture(&name);
        let (whole, _) = replay(&file);
        let possible = possible_facts(&name);
        for len in (24..file.len()).step_by(97) {
            let (found, report) = replay(&file[..len]);
            assert!(facts(&found).is_subset(&possible), "{name} cut at {len}");
            assert!(found.len() <= whole.len(), "{name} cut at {len}");
            let within_a_record = ends_within_a_record(&file[..len]);
            assert_eq!(
                report.damaged.is_some(),
                within_a_record,
                "{name} cut at {len}"
            );
        }
    }
}

fn ends_within_a_record(file: &[u8]) -> bool {
    let mut at = 24;
    while at + 16 <= file.len() {
        at += 16 + u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    at != file.len()
}

#[test]
fn flipped_bits_never_panic() {
    for name in all_captures() {
        let file = capture(&name);
        let (whole, original) = replay(&file);
        let mut random = Random(file.len() as u64);
        for _ in 0..100 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(3) {
                let at = 24 + random.below(file.len() - 24);
                damaged[at] ^= 1 << random.below(8);
            }
            let (found, report) = replay(&damaged);
            // A changed head is another exchange; their number is bounded by the segments.
            assert!(report.packets <= original.packets + 1, "{name}: {report:?}");
            assert!(found.len() <= whole.len() + 8, "{name}: {report:?}");
        }
    }
}

#[test]
fn flipped_bits_in_packet_headers_invent_nothing() {
    const HEADERS: usize = 14 + 20 + 20;
    for name in [
        "keepalive.pcap",
        "odd-answers.pcap",
        "head-and-post.pcap",
        "wrk.pcap",
    ] {
        let (whole, original) = replay(&capture(name));
        let possible = possible_facts(name);
        let packets = read(&capture(name));
        let mut random = Random(11);
        for _ in 0..150 {
            let mut damaged = packets.clone();
            let which = random.below(damaged.packets.len());
            let packet = &mut damaged.packets[which];
            packet.bytes[random.below(HEADERS)] ^= 1 << random.below(8);
            let (found, report) = replay(&pcap(&damaged, Little, true));
            assert!(
                facts(&found).is_subset(&possible),
                "{name}: {:?}",
                facts(&found)
            );
            if answered(&found) < answered(&whole) {
                let fewer_segments = report.segments < original.segments;
                let unanswered = found.len() > answered(&found);
                assert!(
                    says_something(&report) || fewer_segments || unanswered,
                    "{name}: missing without a word: {report:?}"
                );
            }
        }
    }
}

/// Replays changed packets and checks that nothing was invented and nothing lost in silence.
fn check_changed(name: &str, whole: &[Exchange], changed: &Packets, what: &str) {
    let (found, report) = replay(&pcap(changed, Little, true));
    let invented = invented(name, &found, &report);
    assert!(invented.is_empty(), "{name}, {what}: {invented:?}");
    assert!(found.len() <= whole.len(), "{name}, {what}: {report:?}");
    if answered(&found) < answered(whole) {
        let unanswered = found.len() > answered(&found);
        assert!(
            !report.lost.is_empty() || unanswered,
            "{name}, {what}: missing without a word: {report:?}"
        );
    }
}

#[test]
fn every_dropped_doubled_or_swapped_packet_is_survived() {
    for name in all_captures() {
        let packets = read(&capture(&name));
        let (whole, _) = replay(&capture(fuller(&name)));
        let step = 1 + packets.packets.len() / 40;
        for at in (0..packets.packets.len()).step_by(step) {
            let mut changed = packets.clone();
            let packet = changed.packets.remove(at);
            if carries_a_lone_request(&name) {
                // Dropping the only request leaves a connection that never spoke HTTP.
                continue;
            }
            if !asks_for_messages(&packet.bytes) {
                check_changed(&name, &whole, &changed, &format!("without packet {at}"));
            }
            let mut changed = packets.clone();
            changed.packets.insert(at, packet);
            check_changed(&name, &whole, &changed, &format!("packet {at} twice"));
            if at != 0 {
                let mut changed = packets.clone();
                changed.packets.swap(at - 1, at);
                check_changed(&name, &whole, &changed, &format!("packets {at} swapped"));
            }
        }
    }
}

/// Subscriptions of Redis to several channels are confirmed several times, so a confirmation that
/// nobody seems to have asked for says nothing.
fn asks_for_messages(packet: &[u8]) -> bool {
    packet.ends_with(b"SUBSCRIBE\r\n$4\r\nnews\r\n")
}

fn carries_a_lone_request(name: &str) -> bool {
    matches!(name, "silent.pcap" | "reset.pcap")
}

/// Which requests had an operation, whatever is lost: the same, or none that is known.
#[test]
fn losses_never_change_the_name_of_an_operation() {
    let name = "graphql.pcap";
    let packets = read(&capture(name));
    let names = |exchanges: &[Exchange]| -> BTreeMap<_, _> {
        let named = exchanges.iter().map(|e| (place(e), e.operation.clone()));
        named.collect()
    };
    let whole = names(&replay(&capture(name)).0);
    let mut random = Random(3);
    let mut unknown = 0;
    for _ in 0..400 {
        let mut changed = packets.clone();
        changed.packets.retain(|_| random.below(8) != 0);
        let (found, _) = replay(&pcap(&changed, Little, true));
        for (place, operation) in names(&found) {
            let path = operation.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let is_unknown = operation == path || operation == format!("{path} _OTHER");
            unknown += u32::from(is_unknown);
            assert!(
                is_unknown || whole.get(&place) == Some(&operation),
                "{operation}"
            );
        }
    }
    assert_ne!(unknown, 0);
}

#[test]
fn random_losses_are_survived() {
    for name in all_captures() {
        let packets = read(&capture(&name));
        let mut random = Random(5);
        for _ in 0..40 {
            let mut changed = packets.clone();
            changed.packets.retain(|_| random.below(5) != 0);
            for _ in 0..3 {
                let (a, b) = (
                    random.below(changed.packets.len()),
                    random.below(changed.packets.len()),
                );
                changed.packets.swap(a, b);
            }
            let (found, report) = replay(&pcap(&changed, Little, true));
            let invented = invented(&name, &found, &report);
            assert!(invented.is_empty(), "{name}: {invented:?}, {report:?}");
        }
    }
}

#[test]
fn damage_between_records_is_told_with_its_place() {
    let file = capture("keepalive.pcap");
    let (whole, _) = replay(&file);
    let mut damaged = file.clone();
    // The length of the ninth record.
    let mut at = 24;
    for _ in 0..8 {
        at += 16 + u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    damaged[at + 8..at + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let (found, report) = replay(&damaged);
    assert!(!found.is_empty() && found.len() < whole.len());
    let told = report.damaged.unwrap();
    assert!(told.contains(&format!("at byte {at}")), "{told}");
    assert!(
        told.contains(&format!("{} bytes not read", file.len() - at)),
        "{told}"
    );
    assert_eq!(report.packets, 8);
}
