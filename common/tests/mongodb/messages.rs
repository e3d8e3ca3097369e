//! Messages as MongoDB's drivers and servers write them.

use weir_common::framing::mongodb::opcode;

/// An element of a document.
pub enum Value<'a> {
    Double(f64),
    Text(&'a str),
    Document(Vec<u8>),
    Array(Vec<u8>),
    Bool(bool),
    Int(i32),
    Long(i64),
    Timestamp(u64),
    Binary(usize),
    Null,
    Id,
}

pub use Value::{Array, Binary, Bool, Document, Double, Id, Int, Long, Null, Text, Timestamp};

/// A document of these elements.
pub fn document(elements: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in elements {
        let (kind, bytes) = value.bytes();
        body.push(kind);
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(bytes);
    }
    let mut out = (body.len() as u32 + 5).to_le_bytes().to_vec();
    out.extend(body);
    out.push(0);
    out
}

impl Value<'_> {
    fn bytes(&self) -> (u8, Vec<u8>) {
        match self {
            Double(value) => (1, value.to_le_bytes().to_vec()),
            Text(text) => {
                let mut out = (text.len() as u32 + 1).to_le_bytes().to_vec();
                out.extend(text.as_bytes());
                out.push(0);
                (2, out)
            }
            Document(bytes) => (3, bytes.clone()),
            Array(bytes) => (4, bytes.clone()),
            Binary(len) => {
                let mut out = (*len as u32).to_le_bytes().to_vec();
                out.push(0);
                out.resize(out.len() + len, 0xab);
                (5, out)
            }
            Id => (7, vec![9; 12]),
            Bool(value) => (8, vec![u8::from(*value)]),
            Null => (10, Vec::new()),
            Int(value) => (16, value.to_le_bytes().to_vec()),
            Timestamp(value) => (17, value.to_le_bytes().to_vec()),
            Long(value) => (18, value.to_le_bytes().to_vec()),
        }
    }
}

/// A message of any kind.
pub fn message(id: u32, answers: u32, code: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [body.len() as u32 + 16, id, answers, code] {
        out.extend(word.to_le_bytes());
    }
    out.extend(body);
    out
}

/// An `OP_MSG` with one document.
pub fn msg(id: u32, answers: u32, flags: u32, document: &[u8]) -> Vec<u8> {
    let body = [&flags.to_le_bytes()[..], &[0], document].concat();
    message(id, answers, opcode::MSG, &body)
}

/// An `OP_QUERY` of a collection.
pub fn query(id: u32, collection: &str, document: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(collection.as_bytes());
    body.push(0);
    body.extend([0; 8]);
    body.extend(document);
    message(id, 0, opcode::QUERY, &body)
}

/// An `OP_REPLY`.
pub fn reply(id: u32, answers: u32, flags: u32, document: Option<&[u8]>) -> Vec<u8> {
    let mut body = flags.to_le_bytes().to_vec();
    body.extend([0; 12]);
    body.extend(u32::from(document.is_some()).to_le_bytes());
    body.extend(document.unwrap_or_default());
    message(id, answers, opcode::REPLY, &body)
}

/// An `OP_COMPRESSED` of so many bytes.
pub fn compressed(id: u32, answers: u32, len: usize) -> Vec<u8> {
    let mut body = opcode::MSG.to_le_bytes().to_vec();
    body.extend(5000u32.to_le_bytes());
    body.push(2);
    body.resize(body.len() + len, 0xcd);
    message(id, answers, opcode::COMPRESSED, &body)
}

/// What servers of a replica set add to an answer.
pub fn times<'a>() -> Vec<(&'a str, Value<'a>)> {
    let signature = document(&[("hash", Binary(20)), ("keyId", Long(0))]);
    let time = document(&[
        ("clusterTime", Timestamp(7)),
        ("signature", Document(signature)),
    ]);
    vec![
        ("$clusterTime", Document(time)),
        ("operationTime", Timestamp(7)),
    ]
}
