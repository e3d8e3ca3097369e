//! Trace context: the W3C `traceparent` header, and ids that two hosts compute alike.

use weir_common::event::{ExchangeRecord, exchange_flag};

/// What a `traceparent` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Trace id, never 0.
    pub trace_id: u128,
    /// Span id of the sender, never 0.
    pub parent_id: u64,
    /// Trace flags; bit 0 is `sampled`.
    pub flags: u8,
}

/// Reads a `traceparent` value as <https://www.w3.org/TR/trace-context/> says: lower-case hex,
/// no zero ids, version `ff` forbidden, version `00` exactly 55 bytes long, later versions may
/// go on after another dash.
pub fn parse_traceparent(value: &[u8]) -> Option<TraceParent> {
    let (head, rest) = value.split_at_checked(55)?;
    let version = hex(&head[0..2])?;
    let well_formed = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    let ends_well = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    let trace_id = hex(&head[3..35])?;
    let parent_id = hex(&head[36..52])? as u64;
    let flags = hex(&head[53..55])? as u8;
    (well_formed && ends_well && trace_id != 0 && parent_id != 0).then_some(TraceParent {
        trace_id,
        parent_id,
        flags,
    })
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Ids of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// Trace id for an exchange that carries no `traceparent`.
    pub trace_id: u128,
    /// Client span.
    pub client_span: u64,
    /// Server span.
    pub server_span: u64,
}

/// Salts: fixed for ever, because agents of different versions must agree.
const TRACE_HIGH: u64 = 0x7765_6972_7472_6831;
const TRACE_LOW: u64 = 0x7765_6972_7472_6c31;
const CLIENT: u64 = 0x7765_6972_636c_6e31;
const SERVER: u64 = 0x7765_6972_7372_7631;

/// Computes the ids of an exchange from what both ends of its connection know: the initial
/// sequence numbers and the offset of the request in the client's stream. Where the sequence
/// numbers are unknown, from the socket cookie: unique on this host, but no other host's agent
/// agrees.
pub fn span_ids(record: &ExchangeRecord) -> SpanIds {
    let known = record.flags & exchange_flag::NO_ISN == 0
        && (record.client_isn != 0 || record.server_isn != 0);
    let connection = if known {
        u64::from(record.client_isn) << 32 | u64::from(record.server_isn)
    } else {
        mix(record.cookie)
    };
    let id = |salt| nonzero(mix(mix(connection ^ salt) ^ record.request_offset));
    SpanIds {
        trace_id: u128::from(id(TRACE_HIGH)) << 64 | u128::from(id(TRACE_LOW)),
        client_span: id(CLIENT),
        server_span: id(SERVER),
    }
}

/// The finaliser of SplitMix64: a bijection in which every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Trace context forbids the id 0.
fn nonzero(id: u64) -> u64 {
    id.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn traceparent_is_read_strictly() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parsed = parse_traceparent(good.as_bytes()).expect("the specification's own example");
        assert_eq!(parsed.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(parsed.parent_id, 0xb7ad_6b71_6920_3331);
        assert_eq!(parsed.flags, 1);
        let later = good.replacen("00", "cc", 1);
        for (value, valid) in [
            (good.to_owned(), true),
            (later.clone(), true),
            (format!("{later}-what"), true),
            (format!("{later}what"), false),
            (format!("{good}-what"), false),
            (good.replacen("00", "ff", 1), false),
            (good.to_uppercase(), false),
            (good.replace('-', "_"), false),
            (good[..54].to_owned(), false),
            (String::new(), false),
            (good.replace("b7ad6b7169203331", "0000000000000000"), false),
            (
                good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
                false,
            ),
            (good.replacen("-01", "-0g", 1), false),
        ] {
            assert_eq!(
                parse_traceparent(value.as_bytes()).is_some(),
                valid,
                "{value}"
            );
        }
    }

    fn record(client_isn: u32, server_isn: u32, cookie: u64, offset: u64) -> ExchangeRecord {
        ExchangeRecord {
            client_isn,
            server_isn,
            cookie,
            request_offset: offset,
            ..Zeroable::zeroed()
        }
    }

    #[test]
    fn two_hosts_agree_and_exchanges_differ() {
        let here = span_ids(&record(7, 9, 100, 512));
        let there = span_ids(&record(7, 9, 4_711, 512));
        assert_eq!(here, there, "the cookie differs between hosts, ids do not");
        let mut seen = HashSet::new();
        for (client, server, offset) in (0..40_u32)
            .flat_map(|i| (0..40).map(move |j| (1 + i, 1 + j, u64::from(i * 40 + j) * 64)))
        {
            let ids = span_ids(&record(client, server, 0, offset));
            assert!(seen.insert(ids.client_span) && seen.insert(ids.server_span));
            assert!(seen.insert(ids.trace_id as u64) && seen.insert((ids.trace_id >> 64) as u64));
        }
    }

    #[test]
    fn without_sequence_numbers_the_cookie_stands_in() {
        let one = span_ids(&record(0, 0, 1, 0));
        let other = span_ids(&record(0, 0, 2, 0));
        assert_ne!(one, other);
        let mut flagged = record(7, 9, 1, 0);
        flagged.flags = exchange_flag::NO_ISN;
        assert_eq!(span_ids(&flagged), one);
    }
}
