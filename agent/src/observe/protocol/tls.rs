//! TLS handshakes: what was agreed on, what the client asked for, which alert ended it.

use tls_parser::{TlsCipherSuite, TlsExtension, parse_tls_extension};
use weir_common::framing::tls::{ALERT, ALERT_MAX, agreed};

use super::Meaning;
use crate::observe::model::TlsHandshake;

/// Name of handshakes that came to no agreement, and first word of all others.
const HANDSHAKE: &str = "handshake";

/// Alerts by description, as RFC 8446, section 6, and its predecessors spell them.
const ALERTS: [(u16, &str); 33] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
];

/// Name of the alert that an outcome is; `None` for others.
pub fn alert(outcome: u16) -> Option<&'static str> {
    if !(ALERT..=ALERT_MAX).contains(&outcome) {
        return None;
    }
    let found = ALERTS.iter().find(|(code, _)| *code == outcome - ALERT);
    Some(found.map_or("_OTHER", |(_, name)| name))
}

/// Name of an operation: `handshake TLSv1.3 TLS_AES_128_GCM_SHA256`.
pub fn operation(op: u64) -> String {
    match agreed(op) {
        None => HANDSHAKE.to_owned(),
        Some((version, cipher)) => format!(
            "{HANDSHAKE} {} {}",
            version_name(version),
            cipher_name(cipher)
        ),
    }
}

/// What a handshake's operation and first bytes tell.
pub fn read(op: u64) -> Meaning {
    Meaning {
        op,
        operation: operation(op),
        ..Meaning::default()
    }
}

/// The facts of a handshake, from its operation and from where its ClientHello was kept: from the
/// name on that it asks for, or from its record on.
pub fn handshake(op: u64, head: &[u8]) -> TlsHandshake {
    let mut facts = TlsHandshake {
        version: agreed(op).map(|(version, _)| version_name(version)),
        cipher: agreed(op).map(|(_, cipher)| cipher_name(cipher)),
        ..TlsHandshake::default()
    };
    let mut rest = extensions(head).unwrap_or_default();
    while let Ok((behind, extension)) = parse_tls_extension(rest) {
        match extension {
            TlsExtension::SNI(names) => {
                facts.server_name = names.first().and_then(|(_, name)| printable(name));
            }
            TlsExtension::ALPN(protocols) => {
                facts.alpn = protocols.into_iter().filter_map(printable).collect();
            }
            _ => {}
        }
        rest = behind;
    }
    facts
}

/// The extensions that were kept of a ClientHello.
fn extensions(head: &[u8]) -> Option<&[u8]> {
    const RECORD: u8 = 22;
    /// Headers, version and random.
    const BEFORE_SESSION: usize = 5 + 4 + 2 + 32;
    if head.first()? != &RECORD {
        return Some(head);
    }
    let (session_bytes, rest) = head.get(BEFORE_SESSION..)?.split_first()?;
    let rest = rest.get(usize::from(*session_bytes)..)?;
    let (ciphers_bytes, rest) = rest.split_first_chunk()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*ciphers_bytes))..)?;
    let (methods, rest) = rest.split_first()?;
    rest.get(usize::from(*methods) + 2..)
}

/// Names that a peer may send are shown only if they are what such names are.
fn printable(name: &[u8]) -> Option<String> {
    let fits = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(name).into_owned())
}

fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSLv3".to_owned(),
        0x0301..=0x0304 => format!("TLSv1.{}", version - 0x0301),
        _ => format!("0x{version:04x}"),
    }
}

fn cipher_name(cipher: u16) -> String {
    TlsCipherSuite::from_id(cipher)
        .map_or_else(|| format!("0x{cipher:04x}"), |suite| suite.name.to_owned())
}

#[cfg(test)]
mod tests {
    use weir_common::framing::tls::op;

    use super::*;

    #[test]
    fn what_was_agreed_on_by_name() {
        for (version, cipher, expected) in [
            (0x0304, 0x1301, "handshake TLSv1.3 TLS_AES_128_GCM_SHA256"),
            (
                0x0303,
                0xc02f,
                "handshake TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ),
            (0x0301, 0xfffe, "handshake TLSv1.0 0xfffe"),
            (0x7f1c, 0x1301, "handshake 0x7f1c TLS_AES_128_GCM_SHA256"),
            (0, 0, "handshake"),
        ] {
            assert_eq!(read(op(version, cipher)).operation, expected);
        }
    }

    #[test]
    fn alerts_by_name() {
        for (outcome, expected) in [
            (ALERT + 48, Some("unknown_ca")),
            (ALERT + 255, Some("_OTHER")),
            (1, None),
            (503, None),
        ] {
            assert_eq!(alert(outcome), expected, "{outcome}");
        }
    }

    #[test]
    fn the_name_that_was_asked_for_and_the_protocols() {
        let name = b"\0\0\0\x0d\0\x0b\0\0\x08shop.lan";
        let alpn = b"\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1";
        let both = [&name[..], alpn].concat();
        let hello = [
            &[22, 3, 1, 1, 0, 1, 0, 0, 0, 3, 3][..],
            &[7; 32],
            &[2, 9, 9, 0, 2, 0x13, 1, 1, 0, 0, 99],
            &both,
        ]
        .concat();
        for head in [&both, &hello] {
            let facts = handshake(op(0x0304, 0x1301), head);
            assert_eq!(facts.server_name.as_deref(), Some("shop.lan"));
            assert_eq!(facts.alpn, ["h2", "http/1.1"]);
            assert_eq!(facts.version.as_deref(), Some("TLSv1.3"));
        }
        for cut in 0..hello.len() {
            let facts = handshake(op(0, 0), &hello[..cut]);
            assert!(facts.server_name.is_none_or(|name| name == "shop.lan"));
        }
        let hostile = b"\0\0\0\x08\0\x06\0\0\x03\x1b[m";
        assert_eq!(handshake(op(0, 0), hostile).server_name, None);
    }
}
