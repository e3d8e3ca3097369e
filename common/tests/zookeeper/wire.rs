//! ZooKeeper's records as bytes.

use super::talk::Side;

/// A message and who sends it.
pub type Part = (Side, Vec<u8>);

/// Puts the length before a record.
pub fn frame(record: &[u8]) -> Vec<u8> {
    let mut bytes = (record.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(record);
    bytes
}

/// A `ConnectRequest` of a new session, with the read-only flag that came with 3.4 or without it.
pub fn connect(with_read_only: bool) -> Vec<u8> {
    let mut record = vec![0; 4 + 8];
    record.extend_from_slice(&10_000u32.to_be_bytes());
    record.extend_from_slice(&[0; 8]);
    record.extend_from_slice(&16u32.to_be_bytes());
    record.extend_from_slice(&[0; 16]);
    record.extend(with_read_only.then_some(0));
    frame(&record)
}

/// A `ConnectResponse`; a time-out of 0 refuses the session.
pub fn connected(time_out_ms: u32) -> Vec<u8> {
    let mut record = vec![0; 4];
    record.extend_from_slice(&time_out_ms.to_be_bytes());
    record.extend_from_slice(&[7; 8]);
    record.extend_from_slice(&16u32.to_be_bytes());
    record.extend_from_slice(&[9; 16]);
    record.push(0);
    frame(&record)
}

/// A request with any body.
pub fn request(xid: i32, code: i32, body: &[u8]) -> Vec<u8> {
    let header = [xid.to_be_bytes(), code.to_be_bytes()].concat();
    frame(&[&header, body].concat())
}

/// A request whose body is a path and a flag.
pub fn on_path(xid: i32, code: i32, path: &str) -> Vec<u8> {
    let mut body = (path.len() as u32).to_be_bytes().to_vec();
    body.extend_from_slice(path.as_bytes());
    body.push(0);
    request(xid, code, &body)
}

/// An answer with any body.
pub fn answer(xid: i32, error: i32, body: &[u8]) -> Vec<u8> {
    let mut record = xid.to_be_bytes().to_vec();
    record.extend_from_slice(&77u64.to_be_bytes());
    record.extend_from_slice(&error.to_be_bytes());
    record.extend_from_slice(body);
    frame(&record)
}

/// A watch event.
pub fn event(path: &str) -> Vec<u8> {
    let mut record = (-1i32).to_be_bytes().to_vec();
    record.extend_from_slice(&[0xff; 8]);
    record.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3]);
    record.extend_from_slice(&(path.len() as u32).to_be_bytes());
    record.extend_from_slice(path.as_bytes());
    frame(&record)
}

/// `MultiHeader`s before the parts of a transaction and of its answer.
pub fn multi_header(code: i32, error: i32) -> Vec<u8> {
    [&code.to_be_bytes()[..], &[0], &error.to_be_bytes()].concat()
}
