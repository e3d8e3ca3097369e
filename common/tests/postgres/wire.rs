//! Messages of both sides, as real servers and clients send them.

pub type Bytes = Vec<u8>;

/// A message with a type.
pub fn message(kind: u8, body: &[u8]) -> Bytes {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], &len[..], body].concat()
}

/// A message without a type: a version, or what stands in its place, and the rest.
pub fn untyped(version: u32, rest: &[u8]) -> Bytes {
    let len = (rest.len() as u32 + 8).to_be_bytes();
    [&len[..], &version.to_be_bytes(), rest].concat()
}

pub fn startup() -> Bytes {
    untyped(196_608, b"user\0shop\0database\0shop\0\0")
}

pub fn ssl_request() -> Bytes {
    untyped(80_877_103, b"")
}

pub fn gssenc_request() -> Bytes {
    untyped(80_877_104, b"")
}

pub fn cancel() -> Bytes {
    untyped(80_877_102, &[0, 0, 1, 2, 9, 9, 9, 9])
}

fn text(kind: u8, parts: &[&str]) -> Bytes {
    let body: Bytes = parts
        .iter()
        .flat_map(|part| [part.as_bytes(), &[0]].concat())
        .collect();
    message(kind, &body)
}

pub fn query(sql: &str) -> Bytes {
    text(b'Q', &[sql])
}

pub fn parse(name: &str, sql: &str) -> Bytes {
    let mut body = [name.as_bytes(), &[0], sql.as_bytes(), &[0]].concat();
    body.extend([0, 1, 0, 0, 0, 23]);
    message(b'P', &body)
}

pub fn bind(portal: &str, name: &str) -> Bytes {
    let mut body = [portal.as_bytes(), &[0], name.as_bytes(), &[0]].concat();
    body.extend([0, 0, 0, 1, 0, 0, 0, 1, b'7', 0, 0]);
    message(b'B', &body)
}

pub fn describe(name: &str) -> Bytes {
    message(b'D', &[b"S", name.as_bytes(), &[0]].concat())
}

pub fn close(name: &str) -> Bytes {
    message(b'C', &[b"S", name.as_bytes(), &[0]].concat())
}

pub fn execute(portal: &str) -> Bytes {
    message(b'E', &[portal.as_bytes(), &[0, 0, 0, 0, 0]].concat())
}

pub fn sync() -> Bytes {
    message(b'S', b"")
}

pub fn flush() -> Bytes {
    message(b'H', b"")
}

/// Bind, Describe and Execute, as drivers send them.
pub fn run(name: &str) -> Bytes {
    [bind("", name), message(b'D', b"P\0"), execute("")].concat()
}

/// The server's answers to a login.
pub fn welcome() -> Bytes {
    [
        message(b'R', &[0; 4]),
        message(b'S', b"server_version\x0015.18\0"),
        message(b'K', &[0, 0, 1, 2, 9, 9, 9, 9]),
        ready(),
    ]
    .concat()
}

pub fn ready() -> Bytes {
    message(b'Z', b"I")
}

pub fn complete(tag: &str) -> Bytes {
    text(b'C', &[tag])
}

pub fn error(code: &str) -> Bytes {
    let fields = format!("SERROR\0VERROR\0C{code}\0Mwrong\0\0");
    message(b'E', fields.as_bytes())
}

pub fn notice() -> Bytes {
    message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mfine\0\0")
}

pub fn notification() -> Bytes {
    message(b'A', &[&[0, 0, 1, 2][..], b"channel\0hello\0"].concat())
}

pub fn parameter() -> Bytes {
    message(b'S', b"application_name\0psql\0")
}

pub fn description() -> Bytes {
    let mut body = b"\0\x01id\0".to_vec();
    body.extend([0; 18]);
    message(b'T', &body)
}

pub fn row(value: &str) -> Bytes {
    let mut body = vec![0, 1];
    body.extend((value.len() as u32).to_be_bytes());
    body.extend(value.as_bytes());
    message(b'D', &body)
}

/// Description, rows and CommandComplete.
pub fn rows(count: usize) -> Bytes {
    let tag = format!("SELECT {count}");
    [description(), row("7").repeat(count), complete(&tag)].concat()
}

/// The answers to Parse, Bind and Describe, before rows.
pub fn parsed() -> Bytes {
    message(b'1', b"")
}

pub fn bound() -> Bytes {
    message(b'2', b"")
}

pub fn copy_in() -> Bytes {
    message(b'G', b"\0\0\x01\0\0")
}

pub fn copy_out() -> Bytes {
    message(b'H', b"\0\0\x01\0\0")
}

pub fn copy_data(len: usize) -> Bytes {
    message(b'd', &vec![b'x'; len])
}

pub fn copy_done() -> Bytes {
    message(b'c', b"")
}
