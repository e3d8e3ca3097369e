//! Packets of both sides, as real servers and clients send them.

use weir_common::framing::mysql::command;

pub const COMPRESS: u32 = 1 << 5;
pub const SSL: u32 = 1 << 11;
pub const DEPRECATE_EOF: u32 = 1 << 24;
const PROTOCOL_41: u32 = 1 << 9;

pub const MORE_RESULTS: u16 = 8;
pub const CURSOR: u16 = 64;

pub type Bytes = Vec<u8>;

/// One packet.
pub fn packet(sequence: u8, payload: &[u8]) -> Bytes {
    let len = (payload.len() as u32).to_le_bytes();
    [&len[..3], &[sequence], payload].concat()
}

/// Payloads as packets that are numbered from `first` on.
pub fn packets(first: u8, payloads: &[Bytes]) -> Bytes {
    let numbered = payloads.iter().enumerate();
    numbered
        .flat_map(|(i, payload)| packet(first.wrapping_add(i as u8), payload))
        .collect()
}

pub fn greeting() -> Bytes {
    let mut payload = b"\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0".to_vec();
    payload.extend(b"\x25\0\0\0saltsalt\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x3d\0\0\0");
    payload.extend(b"more-of-salt\0mysql_native_password\0");
    packet(0, &payload)
}

pub fn handshake(capabilities: u32) -> Bytes {
    let mut payload = (capabilities | PROTOCOL_41).to_le_bytes().to_vec();
    payload.extend(b"\0\0\0\x01\x2d");
    payload.extend([0; 19]);
    payload.extend(b"\x1c\0\0\0shop\0\x14secretsecretsecretse");
    payload.extend(b"orders\0mysql_native_password\0");
    packet(1, &payload)
}

pub fn ssl_request() -> Bytes {
    let mut payload = (SSL | PROTOCOL_41).to_le_bytes().to_vec();
    payload.extend(b"\0\0\0\x01\x2d");
    payload.extend([0; 23]);
    packet(1, &payload)
}

pub fn command(kind: u8, rest: &[u8]) -> Bytes {
    packet(0, &[&[kind], rest].concat())
}

pub fn query(sql: &str) -> Bytes {
    command(command::QUERY, sql.as_bytes())
}

pub fn execute(statement: u32) -> Bytes {
    let id = statement.to_le_bytes();
    command(command::EXECUTE, &[&id[..], &[0, 1, 0, 0, 0]].concat())
}

/// OK's payload.
pub fn ok(state: u16) -> Bytes {
    let state = state | 2;
    [&[0, 1, 0][..], &state.to_le_bytes(), &[0, 0]].concat()
}

/// OK's payload where it stands for EOF.
pub fn ok_eof(state: u16) -> Bytes {
    let mut payload = ok(state);
    payload[0] = 0xfe;
    payload
}

/// EOF's payload.
pub fn eof(state: u16) -> Bytes {
    let state = state | 2;
    [&[0xfe, 0, 0][..], &state.to_le_bytes()].concat()
}

pub fn err(code: u16, state: &str) -> Bytes {
    let text = format!("#{state}You have an error in your SQL syntax");
    [&[0xff][..], &code.to_le_bytes(), text.as_bytes()].concat()
}

pub fn definition(name: &str) -> Bytes {
    let mut payload = b"\x03def\x04shop\x06orders\x06orders".to_vec();
    for _ in 0..2 {
        payload.push(name.len() as u8);
        payload.extend(name.as_bytes());
    }
    payload.extend(b"\x0c\x3f\0\x0b\0\0\0\x03\x03\x42\0\0\0");
    payload
}

/// A row of text fields.
pub fn row(fields: &[&str]) -> Bytes {
    let field = |text: &&str| [&[text.len() as u8], text.as_bytes()].concat();
    fields.iter().flat_map(field).collect()
}

/// How rows end on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// EOF packets behind definitions and rows.
    Eof,
    /// An OK packet behind the rows.
    Ok,
}

impl Ends {
    pub fn capabilities(self) -> u32 {
        match self {
            Self::Eof => 0,
            Self::Ok => DEPRECATE_EOF,
        }
    }

    pub fn rows(self, state: u16) -> Bytes {
        match self {
            Self::Eof => eof(state),
            Self::Ok => ok_eof(state),
        }
    }

    /// Payloads of a result set.
    pub fn result(self, columns: usize, rows: &[Bytes], state: u16) -> Vec<Bytes> {
        let mut payloads = vec![vec![columns as u8]];
        payloads.extend((0..columns).map(|i| definition(&format!("column{i}"))));
        if self == Self::Eof {
            payloads.push(eof(0));
        }
        payloads.extend(rows.iter().cloned());
        payloads.push(self.rows(state));
        payloads
    }

    /// Payloads of the answer to PREPARE.
    pub fn prepared(self, statement: u32, columns: u16, parameters: u16) -> Vec<Bytes> {
        let mut first = vec![0];
        first.extend(statement.to_le_bytes());
        first.extend(columns.to_le_bytes());
        first.extend(parameters.to_le_bytes());
        first.extend([0, 0, 0]);
        let mut payloads = vec![first];
        for count in [parameters, columns] {
            payloads.extend((0..count).map(|_| definition("?")));
            if count != 0 && self == Self::Eof {
                payloads.push(eof(0));
            }
        }
        payloads
    }
}
