//! The binary protocol.

use weir_common::framing::memcached::binary_op_hash;

use crate::{
    check_bytes,
    talk::{Client, Server},
};

/// A binary message: magic, opcode, status, extras, key, value.
fn binary(magic: u8, opcode: u8, status: u16, extras: usize, key: &str, value: &str) -> Vec<u8> {
    let body = extras + key.len() + value.len();
    let mut out = vec![magic, opcode];
    out.extend((key.len() as u16).to_be_bytes());
    out.extend([extras as u8, 0]);
    out.extend(status.to_be_bytes());
    out.extend((body as u32).to_be_bytes());
    out.extend([0xde, 0xad, 0xbe, 0xef]);
    out.extend([0; 8]);
    out.extend(vec![0; extras]);
    out.extend(key.as_bytes());
    out.extend(value.as_bytes());
    out
}

/// A request.
pub fn asked(opcode: u8, extras: usize, key: &str, value: &str) -> Vec<u8> {
    binary(0x80, opcode, 0, extras, key, value)
}

/// An answer.
pub fn answered(opcode: u8, status: u16, extras: usize, key: &str, value: &str) -> Vec<u8> {
    binary(0x81, opcode, status, extras, key, value)
}

#[test]
fn the_binary_protocol() {
    let statistics = [
        answered(0x10, 0, 0, "pid", "1"),
        answered(0x10, 0, 0, "uptime", "20"),
        answered(0x10, 0, 0, "", ""),
    ]
    .concat();
    for (opcode, request, answer, status) in [
        (0, asked(0, 0, "k", ""), answered(0, 0, 4, "", "hello"), 1),
        (
            0,
            asked(0, 0, "k", ""),
            answered(0, 1, 0, "", "Not found"),
            1,
        ),
        (1, asked(1, 8, "k", "value"), answered(1, 0, 0, "", ""), 1),
        (
            1,
            asked(1, 8, "k", "value"),
            answered(1, 2, 0, "", "Data exists"),
            1,
        ),
        (
            1,
            asked(1, 8, "k", "value"),
            answered(1, 3, 0, "", "Too large."),
            1000,
        ),
        (
            5,
            asked(5, 20, "n", ""),
            answered(5, 6, 0, "", "Non-numeric"),
            1000,
        ),
        (4, asked(4, 0, "k", ""), answered(4, 0, 0, "", ""), 1),
        (
            0x0b,
            asked(0x0b, 0, "", ""),
            answered(0x0b, 0, 0, "", "1.6"),
            1,
        ),
        (0x10, asked(0x10, 0, "", ""), statistics, 1),
        (
            0x10,
            asked(0x10, 0, "x", ""),
            answered(0x10, 1, 0, "", "Not found"),
            1,
        ),
        (7, asked(7, 0, "", ""), answered(7, 0, 0, "", ""), 1),
        (
            0x20,
            asked(0x20, 0, "", ""),
            answered(0x20, 0x20, 0, "", "Auth failure"),
            1000,
        ),
        (
            0x21,
            asked(0x21, 0, "PLAIN", "x"),
            answered(0x21, 0x21, 0, "", ""),
            1,
        ),
    ] {
        let row = (
            binary_op_hash(opcode),
            status,
            request.len() as u64,
            answer.len() as u64,
        );
        check_bytes(
            &[
                (Client, &request),
                (Server, &answer),
                (Client, &request),
                (Server, &answer),
            ],
            &[row, row],
        );
    }
}

#[test]
fn quiet_commands_of_the_binary_protocol() {
    let get = asked(0, 0, "k", "");
    let got = answered(0, 0, 4, "", "v");
    let get_row = (binary_op_hash(0), 1, 25, 29);
    // Reads and the NOOP behind them.
    let reads = [
        asked(0x0d, 0, "a", ""),
        asked(0x0d, 0, "b", ""),
        asked(0x0a, 0, "", ""),
    ]
    .concat();
    let found = [answered(0x0d, 0, 4, "b", "v"), answered(0x0a, 0, 0, "", "")].concat();
    check_bytes(
        &[
            (Client, &reads),
            (Server, &found),
            (Client, &get),
            (Server, &got),
        ],
        &[(binary_op_hash(0x0d), 1, 74, 54), get_row],
    );
    // Writes stand alone, failed ones too.
    let writes = [
        asked(0x11, 8, "a", "v"),
        asked(0x14, 0, "b", ""),
        get.clone(),
    ]
    .concat();
    let failed = [answered(0x11, 2, 0, "", "exists"), got.clone()].concat();
    check_bytes(
        &[
            (Client, &writes),
            (Server, &failed),
            (Client, &get),
            (Server, &got),
        ],
        &[get_row, get_row],
    );
}
