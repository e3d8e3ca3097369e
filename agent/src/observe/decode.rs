//! Ring-buffer bytes → typed records.

use bytemuck::{AnyBitPattern, pod_read_unaligned};
use weir_common::event::{
    AnswerRecord, ConnectionRecord, ExchangeRecord, Header, PathRecord, ProcessRecord,
    VerdictRecord, kind,
};

/// One record of the ring buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request with its response.
    Exchange(Box<ExchangeRecord>),
    /// A connection opened, reported, closed or failed.
    Connection(Box<ConnectionRecord>),
    /// A policy decision.
    Verdict(Box<VerdictRecord>),
    /// A process executed a program or ended.
    Process(ProcessRecord),
    /// The path of an operation of HTTP/2.
    Path(Box<PathRecord>),
    /// A DNS answer.
    Answer(Box<AnswerRecord>),
}

/// Bytes that are no record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the record has.
    #[error("record kind {kind} has {found} bytes, needs {needed}")]
    Short {
        /// Kind as read; 0 if not even the header is there.
        kind: u32,
        /// Bytes given.
        found: usize,
        /// Bytes of such a record.
        needed: usize,
    },
    /// A kind that this version does not know.
    #[error("record kind {0} is unknown")]
    UnknownKind(u32),
}

/// Reads one record. Bytes past its end are ignored: the ring buffer pads to 8.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let header: Header = read(0, bytes)?;
    match header.kind {
        kind::EXCHANGE => Ok(Event::Exchange(Box::new(read(header.kind, bytes)?))),
        kind::CONNECTION => Ok(Event::Connection(Box::new(read(header.kind, bytes)?))),
        kind::VERDICT => Ok(Event::Verdict(Box::new(read(header.kind, bytes)?))),
        kind::PROCESS => Ok(Event::Process(read(header.kind, bytes)?)),
        kind::PATH => Ok(Event::Path(Box::new(read(header.kind, bytes)?))),
        kind::ANSWER => Ok(Event::Answer(Box::new(read(header.kind, bytes)?))),
        other => Err(DecodeError::UnknownKind(other)),
    }
}

fn read<T: AnyBitPattern>(kind: u32, bytes: &[u8]) -> Result<T, DecodeError> {
    let needed = size_of::<T>();
    match bytes.get(..needed) {
        Some(record) => Ok(pod_read_unaligned(record)),
        None => Err(DecodeError::Short {
            kind,
            found: bytes.len(),
            needed,
        }),
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::{Zeroable, bytes_of};

    use super::*;

    fn header(kind: u32) -> Header {
        Header {
            kind,
            cpu: 1,
            time_ns: 7,
        }
    }

    #[test]
    fn every_kind_comes_back_as_written_whatever_the_alignment() {
        let exchange = ExchangeRecord {
            header: header(kind::EXCHANGE),
            op: 9,
            ..Zeroable::zeroed()
        };
        let connection = ConnectionRecord {
            header: header(kind::CONNECTION),
            cookie: 3,
            ..Zeroable::zeroed()
        };
        let verdict = VerdictRecord {
            header: header(kind::VERDICT),
            port: 80,
            ..Zeroable::zeroed()
        };
        let process = ProcessRecord {
            header: header(kind::PROCESS),
            tgid: 12,
            ..Zeroable::zeroed()
        };
        let path = PathRecord {
            header: header(kind::PATH),
            op: 5,
            ..Zeroable::zeroed()
        };
        let answer = AnswerRecord {
            header: header(kind::ANSWER),
            len: 17,
            ..Zeroable::zeroed()
        };
        for (bytes, expected) in [
            (bytes_of(&answer), Event::Answer(Box::new(answer))),
            (bytes_of(&exchange), Event::Exchange(Box::new(exchange))),
            (
                bytes_of(&connection),
                Event::Connection(Box::new(connection)),
            ),
            (bytes_of(&verdict), Event::Verdict(Box::new(verdict))),
            (bytes_of(&process), Event::Process(process)),
            (bytes_of(&path), Event::Path(Box::new(path))),
        ] {
            for shift in 0..8 {
                let mut moved = vec![0xff; shift];
                moved.extend_from_slice(bytes);
                moved.extend_from_slice(&[0; 5]);
                assert_eq!(decode(&moved[shift..]).as_ref(), Ok(&expected));
            }
        }
    }

    #[test]
    fn damaged_records_are_errors() {
        let connection = ConnectionRecord {
            header: header(kind::CONNECTION),
            ..Zeroable::zeroed()
        };
        let bytes = bytes_of(&connection);
        for cut in 0..bytes.len() {
            assert!(
                matches!(decode(&bytes[..cut]), Err(DecodeError::Short { found, .. }) if found == cut)
            );
        }
        for unknown in [0, 99, u32::MAX] {
            assert_eq!(
                decode(bytes_of(&header(unknown))),
                Err(DecodeError::UnknownKind(unknown))
            );
        }
    }
}
