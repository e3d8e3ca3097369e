//! The asking side: blocking, one connection per question.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Write},
    net::Shutdown,
    ops::ControlFlow,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::wire::{Code, Head, Notice, Request, WireError};
use crate::observe::model::Answer;

/// A daemon that does not answer within this time is as good as absent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or who listens does not answer.
    #[error(
        "cannot reach the weir daemon on {path}: {why}; start it with `sudo weir run`, or name another --socket"
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The socket may not be opened by this user.
    #[error("not allowed to use {path}: run with sudo, or join the group of the socket")]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon said no.
    #[error("{}; {}", .0.reason, .0.remedy)]
    Refused(WireError),
    /// The other end does not speak the protocol.
    #[error(
        "{path} does not answer like a weir daemon ({why}); is another program using that socket?"
    )]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        why: String,
    },
}

/// What a stream brings.
#[derive(Debug, PartialEq)]
pub enum Event<T> {
    /// A head: the beginning of the stream, or of the next repetition.
    Head(Head),
    /// An item.
    Item(T),
    /// What the stream lost so far.
    Notice(Notice),
}

/// A connection to the daemon.
pub struct Client {
    path: PathBuf,
    reader: BufReader<UnixStream>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line<T> {
    Error { error: WireError },
    Notice { notice: Notice },
    Item(T),
}

impl Client {
    /// Connects to the daemon.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|error| refused(path, &error))?;
        Ok(Self {
            path: path.into(),
            reader: BufReader::new(stream),
        })
    }

    /// Asks once and takes the whole answer.
    pub fn ask<T: DeserializeOwned>(mut self, request: &Request) -> Result<Answer<T>, ClientError> {
        let patience = Some(PATIENCE);
        self.stream()
            .set_read_timeout(patience)
            .map_err(|e| self.broken(&e))?;
        self.send(request)?;
        let head: Head = self.line()?.ok_or_else(|| self.gone())?;
        let count = head.items.unwrap_or(0);
        let mut items = Vec::with_capacity(count.min(65_536) as usize);
        for _ in 0..count {
            items.push(self.line()?.ok_or_else(|| self.gone())?);
        }
        Ok(Answer {
            v: head.v,
            completeness: head.completeness,
            lost: head.lost,
            items,
        })
    }

    /// A handle that ends a stream politely when it is used: the daemon then sends what still
    /// waits and the final notice.
    pub fn stopper(&self) -> io::Result<Stopper> {
        self.stream().try_clone().map(Stopper)
    }

    /// Asks and hands over what comes until the stream ends or `each` breaks.
    ///
    /// `stopped` tells at the end of the stream whether the end was asked for; if not, the
    /// daemon has gone, which is an error.
    pub fn follow<T: DeserializeOwned>(
        mut self,
        request: &Request,
        stopped: impl Fn() -> bool,
        each: impl FnMut(Event<T>) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        self.send(request)?;
        match self.events(each) {
            Ok(ControlFlow::Break(())) => Ok(()),
            Ok(ControlFlow::Continue(())) if !stopped() => Err(self.gone()),
            Err(error @ ClientError::Refused(_)) => Err(error),
            // A stream that had to be cut off may end within a line.
            Err(error) if !stopped() => Err(error),
            Ok(ControlFlow::Continue(())) | Err(_) => Ok(()),
        }
    }

    /// Hands over events; `Continue` when the stream ended by itself.
    fn events<T: DeserializeOwned>(
        &mut self,
        mut each: impl FnMut(Event<T>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ClientError> {
        let mut left = 0;
        loop {
            let next = match left {
                0 => self.line::<Head>()?.map(Event::Head),
                _ => self.event()?,
            };
            let Some(event) = next else {
                return Ok(ControlFlow::Continue(()));
            };
            match &event {
                Event::Head(head) => left = head.items.unwrap_or(u64::MAX),
                Event::Item(_) => left -= 1,
                Event::Notice(_) => {}
            }
            if each(event).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn stream(&self) -> &UnixStream {
        self.reader.get_ref()
    }

    fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(request).map_err(|error| self.protocol(&error))?;
        line.push(b'\n');
        // A daemon that refuses at once (no right, busy) closes while the question is under way:
        // its reason is in the buffer and says more than the broken pipe.
        match self.stream().write_all(&line) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(self.broken(&error)),
            _ => Ok(()),
        }
    }

    /// The next line as `T`; `None` at the end.
    fn line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        match self.read::<T>()? {
            None => Ok(None),
            Some(Line::Item(item)) => Ok(Some(item)),
            Some(Line::Error { error }) => Err(self.refused(error)),
            Some(Line::Notice { .. }) => Err(self.protocol(&"a notice out of place")),
        }
    }

    fn event<T: DeserializeOwned>(&mut self) -> Result<Option<Event<T>>, ClientError> {
        match self.read::<T>()? {
            None => Ok(None),
            Some(Line::Item(item)) => Ok(Some(Event::Item(item))),
            Some(Line::Notice { notice }) => Ok(Some(Event::Notice(notice))),
            Some(Line::Error { error }) => Err(self.refused(error)),
        }
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<Option<Line<T>>, ClientError> {
        let mut line = Vec::new();
        let got = self.reader.read_until(b'\n', &mut line);
        if got.map_err(|error| self.broken(&error))? == 0 {
            return Ok(None);
        }
        // Most lines are items; the envelopes are tried only where one may stand.
        if let Ok(item) = serde_json::from_slice(&line) {
            return Ok(Some(Line::Item(item)));
        }
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| self.protocol(&error))
    }

    fn refused(&self, error: WireError) -> ClientError {
        match error.code {
            Code::Permission => ClientError::Permission {
                path: self.path.clone(),
            },
            _ => ClientError::Refused(error),
        }
    }

    fn gone(&self) -> ClientError {
        self.unreachable("it closed the connection")
    }

    fn broken(&self, error: &io::Error) -> ClientError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                self.unreachable(&format!("no answer within {} s", PATIENCE.as_secs()))
            }
            _ => self.unreachable(&error.to_string()),
        }
    }

    fn unreachable(&self, why: &str) -> ClientError {
        ClientError::Unreachable {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    fn protocol(&self, why: &dyn std::fmt::Display) -> ClientError {
        ClientError::Protocol {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }
}

/// Ends a stream from another thread.
pub struct Stopper(UnixStream);

impl Stopper {
    /// Tells the daemon that nothing more is wanted; the stream then ends by itself.
    pub fn stop(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Ends the stream at once, whatever the daemon does.
    pub fn cut(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn refused(path: &Path, error: &io::Error) -> ClientError {
    let path = path.to_path_buf();
    let why = match error.kind() {
        ErrorKind::PermissionDenied => return ClientError::Permission { path },
        ErrorKind::NotFound => "there is no such socket".into(),
        ErrorKind::ConnectionRefused => "nobody listens on it".into(),
        _ => error.to_string(),
    };
    ClientError::Unreachable { path, why }
}
