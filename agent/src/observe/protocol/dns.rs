//! DNS: the type that is asked for is the operation, the answer's code its error; the name is
//! shown as a path, and answers tell which addresses it has.

use domain::{
    base::{
        Message,
        iana::{Rcode, Rtype},
    },
    rdata::{A, Aaaa},
};
use weir_common::{
    event::ExchangeRecord,
    flow::{Addr, v4_mapped},
    framing::{dns::op_of, frames::outcome},
};

use super::Meaning;

/// Longest name as text (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 253;

/// Addresses of an answer that are taken.
const MAX_ADDRESSES: usize = 32;

/// Reads what a query asked for and how it was answered.
pub fn read(record: &ExchangeRecord) -> Meaning {
    let kind = question(record).map_or(0, |(_, kind)| kind.to_int());
    let op = op_of(kind);
    Meaning {
        op,
        operation: name_of(op).unwrap_or_default(),
        error: error(record.status),
        others: Vec::new(),
    }
}

/// Name of an operation by its key; `None` for those that are not told apart.
pub fn name_of(op: u64) -> Option<String> {
    let kind = op as u16;
    (op != 0).then(|| Rtype::from_int(kind).to_string())
}

/// The name that was asked for, as it is usually written.
pub fn path_of(record: &ExchangeRecord) -> Option<String> {
    let (name, _) = question(record)?;
    let name = name?;
    Some(if name.is_empty() { ".".into() } else { name })
}

/// Name and type of a query's question. Over TCP its length stands before the message.
fn question(record: &ExchangeRecord) -> Option<(Option<String>, Rtype)> {
    let head = record.head();
    let length = head.first_chunk().map_or(0, |len| u16::from_be_bytes(*len));
    let has_length = u64::from(length) + 2 == record.request_bytes;
    let over_tcp = has_length.then(|| question_of(head.get(2..)?)).flatten();
    over_tcp.or_else(|| question_of(head))
}

/// Name, if it is a plain one, and type of a message's question.
fn question_of(message: &[u8]) -> Option<(Option<String>, Rtype)> {
    let message = Message::from_octets(message).ok()?;
    let question = message.first_question()?;
    Some((plain(&question.qname().to_string()), question.qtype()))
}

/// A name in lower case; `None` for one that holds more than names of hosts and services do.
fn plain(name: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let name = name.strip_suffix('.').unwrap_or(name);
    let good = name.len() <= MAX_NAME_BYTES && name.bytes().all(fits);
    good.then(|| name.to_ascii_lowercase())
}

fn error(status: u16) -> Option<String> {
    let code = status.checked_sub(outcome::FAILED)?;
    Some(Rcode::masked_from_int(code as u8).to_string())
}

/// The addresses of a name, as an answer tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The name that was asked for, whatever its aliases.
    pub name: String,
    /// Addresses, each with the seconds for which it may be kept.
    pub addresses: Vec<(Addr, u32)>,
}

/// Reads an answer, which may be cut off; `None` if it names nobody.
pub fn addresses_of(message: &[u8]) -> Option<Addresses> {
    let parsed = Message::from_octets(message).ok()?;
    let name = question_of(message)?.0?;
    let mut addresses = Vec::new();
    let records = parsed.answer().ok()?.take(2 * MAX_ADDRESSES);
    // Records end where the message is cut off.
    for record in records.map_while(Result::ok) {
        let seconds = record.ttl().as_secs();
        if let Ok(Some(v4)) = record.to_record::<A>() {
            addresses.push((v4_mapped(v4.data().addr().octets()), seconds));
        } else if let Ok(Some(v6)) = record.to_record::<Aaaa>() {
            addresses.push((v6.data().addr().octets(), seconds));
        }
    }
    addresses.truncate(MAX_ADDRESSES);
    (!name.is_empty() && !addresses.is_empty()).then_some(Addresses { name, addresses })
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use weir_common::event::exchange_flag;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&[(kind >> 8) as u8, kind as u8, 0, 1]);
        bytes
    }

    fn record(head: &[u8], status: u16) -> ExchangeRecord {
        let mut record = ExchangeRecord {
            head_len: head.len() as u16,
            request_bytes: head.len() as u64,
            status,
            flags: exchange_flag::HAS_HEAD,
            ..Zeroable::zeroed()
        };
        record.head[..head.len()].copy_from_slice(head);
        record
    }

    #[test]
    fn queries_are_named_by_their_type_and_show_their_name() {
        for (name, kind, operation, path) in [
            ("Shop.Test", 1, "A", Some("shop.test")),
            ("_db._tcp.shop.test", 33, "SRV", Some("_db._tcp.shop.test")),
            ("shop.test", 28, "AAAA", Some("shop.test")),
            ("", 2, "NS", Some(".")),
            ("shop.test", 240, "TYPE240", Some("shop.test")),
            ("sp ace.test", 1, "A", None),
        ] {
            let datagram = query(name, kind);
            let over_tcp = [&(datagram.len() as u16).to_be_bytes()[..], &datagram].concat();
            for head in [datagram, over_tcp] {
                let record = record(&head, 1);
                let meaning = read(&record);
                assert_eq!(meaning.operation, operation, "{name}");
                assert_eq!(path_of(&record).as_deref(), path);
                assert_eq!(meaning.error, None);
                assert_eq!(name_of(meaning.op).as_deref(), Some(operation));
            }
        }
        assert_eq!(read(&record(&[], 1)).operation, "");
    }

    #[test]
    fn failures_have_the_names_of_their_codes() {
        for (status, error) in [
            (1, None),
            (0, None),
            (1002, Some("SERVFAIL")),
            (1003, Some("NXDOMAIN")),
            (1005, Some("REFUSED")),
        ] {
            assert_eq!(
                read(&record(&query("a", 1), status)).error.as_deref(),
                error
            );
        }
    }

    /// An answer to `a.test` with an alias and two addresses.
    fn answer() -> Vec<u8> {
        let mut bytes = query("a.test", 1);
        bytes[2] = 0x81;
        bytes[7] = 3;
        let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'b', 0xc0, 14];
        bytes.extend_from_slice(&alias);
        for last in [1, 2] {
            bytes.extend_from_slice(&[0xc0, 36, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, last]);
        }
        bytes
    }

    #[test]
    fn answers_tell_addresses_as_far_as_they_are_seen() {
        let address = |last| (v4_mapped([10, 0, 0, last]), 60);
        let whole = answer();
        for (cut, expected) in [(0, 2), (1, 1), (16, 1), (17, 0), (32, 0), (48, 0)] {
            let found = addresses_of(&whole[..whole.len() - cut]);
            let all = [address(1), address(2)];
            let expected = (expected > 0).then(|| Addresses {
                name: "a.test".into(),
                addresses: all[..expected].to_vec(),
            });
            assert_eq!(found, expected, "cut by {cut}");
        }
        for cut in 0..whole.len() {
            let _ = addresses_of(&whole[..cut]);
        }
    }
}
