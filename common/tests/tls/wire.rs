//! Records of both sides.

pub type Bytes = Vec<u8>;

pub const TLS12: u16 = 0x0303;
pub const TLS13: u16 = 0x0304;

/// A record of this type.
pub fn record(kind: u8, body: &[u8]) -> Bytes {
    let len = (body.len() as u16).to_be_bytes();
    [&[kind, 3, 3], &len[..], body].concat()
}

/// A handshake message of this type.
pub fn message(kind: u8, body: &[u8]) -> Bytes {
    let len = (body.len() as u32).to_be_bytes();
    [&[kind], &len[1..], body].concat()
}

pub fn handshake(kind: u8, body: &[u8]) -> Bytes {
    record(22, &message(kind, body))
}

pub fn change_cipher_spec() -> Bytes {
    record(20, &[1])
}

/// Encrypted, of so many bytes.
pub fn data(len: usize) -> Bytes {
    record(23, &vec![0x5a; len])
}

/// A Finished of TLS 1.3, encrypted.
pub fn finished13() -> Bytes {
    data(53)
}

/// A Finished before that, encrypted.
pub fn finished12() -> Bytes {
    record(22, &[0x5a; 40])
}

pub fn alert(level: u8, description: u8) -> Bytes {
    record(21, &[level, description])
}

pub fn extension(kind: u16, value: &[u8]) -> Bytes {
    let len = (value.len() as u16).to_be_bytes();
    [&kind.to_be_bytes()[..], &len, value].concat()
}

pub fn server_name(name: &str) -> Bytes {
    let len = name.len() as u16;
    let head = [&(len + 3).to_be_bytes()[..], &[0], &len.to_be_bytes()].concat();
    extension(0, &[&head[..], name.as_bytes()].concat())
}

fn list(extensions: &[Bytes]) -> Bytes {
    let all = extensions.concat();
    [&(all.len() as u16).to_be_bytes()[..], &all].concat()
}

/// A ClientHello with a session id of 32 bytes and so many cipher suites.
pub fn client_hello_of(ciphers: usize, extensions: &[Bytes]) -> Bytes {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([9; 32]);
    body.extend((2 * ciphers as u16).to_be_bytes());
    body.extend([0x13, 0x01].repeat(ciphers));
    body.extend([1, 0]);
    body.extend(list(extensions));
    handshake(1, &body)
}

pub fn client_hello() -> Bytes {
    client_hello_of(
        31,
        &[
            extension(0xff01, &[0]),
            server_name("shop.lan"),
            extension(16, b"\0\x0c\x02h2\x08http/1.1"),
            extension(43, &[4, 3, 4, 3, 3]),
        ],
    )
}

/// The message of a ServerHello.
fn server_hello_body(cipher: u16, extensions: &[Bytes]) -> Bytes {
    let mut body = vec![3, 3];
    body.extend([8; 32]);
    body.push(32);
    body.extend([9; 32]);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    if !extensions.is_empty() {
        body.extend(list(extensions));
    }
    message(2, &body)
}

/// Of TLS 1.3; its key share may be longer than what is read at once.
pub fn server_hello13(cipher: u16, share: usize) -> Bytes {
    let share = extension(51, &vec![1; share]);
    record(
        22,
        &server_hello_body(cipher, &[share, extension(43, &[3, 4])]),
    )
}

/// Before that, with the messages behind it in the same record.
pub fn server_hello12(cipher: u16, extensions: &[Bytes], behind: &[Bytes]) -> Bytes {
    let hello = server_hello_body(cipher, extensions);
    record(22, &[hello, behind.concat()].concat())
}
