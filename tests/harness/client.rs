//! A TCP client that decides itself how its bytes are cut.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

/// Longest wait for a byte: a test that hangs says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection without Nagle's algorithm, so that every write is a segment of its own.
pub struct Client(TcpStream);

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// If refused.
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)
            .unwrap_or_else(|error| panic!("connect to {server}: {error}"));
        stream.set_nodelay(true).expect("switch Nagle off");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("set a time limit");
        Self(stream)
    }

    /// Sends all bytes at once.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("send");
    }

    /// Sends the pieces as segments of their own, `pause` apart.
    pub fn send_pieces<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>, pause: Duration) {
        for piece in pieces {
            self.send(piece);
            thread::sleep(pause);
        }
    }

    /// Reads one HTTP/1.1 response: its head, and a body by Content-Length or chunks.
    /// `bodyless` for answers to HEAD and the statuses that have none.
    pub fn response(&mut self, bodyless: bool) -> Response {
        let head = self.until(b"\r\n\r\n");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status in {head:?}"));
        let body = if bodyless || matches!(status, 100..=199 | 204 | 304) {
            Vec::new()
        } else if let Some(length) = header(&head, "content-length") {
            self.exactly(length.parse().expect("a length"))
        } else if header(&head, "transfer-encoding").is_some() {
            self.chunks()
        } else {
            Vec::new()
        };
        Response { status, head, body }
    }

    /// Reads until the bytes end with `mark`, which is included.
    pub fn until(&mut self, mark: &[u8]) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(mark) {
            bytes.extend(self.exactly(1));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads `count` bytes.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("receive");
        bytes
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n");
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).expect("a chunk size");
            if size == 0 {
                // Trailers, up to an empty line.
                while self.until(b"\r\n") != "\r\n" {}
                return body;
            }
            body.extend(self.exactly(size));
            self.until(b"\r\n");
        }
    }
}

/// A response as read.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Head with its empty line.
    pub head: String,
    /// Body without transfer coding.
    pub body: Vec<u8>,
}

/// Value of a header, its name in lower case.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
