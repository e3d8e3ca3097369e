//! Just enough of netlink to dump tables: one request, many answers.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
    socket_with, sockopt,
};

const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER_BYTES: usize = 16;

/// The kernel fills at most 32 KiB per read of a dump.
const BUFFER_BYTES: usize = 64 * 1024;

/// A dump that stops in the middle must not stop the daemon.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which tables are dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `NETLINK_ROUTE`: interface addresses.
    Route,
    /// `NETLINK_SOCK_DIAG`: sockets.
    SockDiag,
}

/// A netlink socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// Opens a socket.
    pub fn open(family: Family) -> io::Result<Self> {
        let protocol: Option<Protocol> = match family {
            Family::Route => None,
            Family::SockDiag => Some(netlink::SOCK_DIAG),
        };
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(TIMEOUT))?;
        Ok(Self { socket })
    }

    /// Asks for a dump and gives every answer's type and payload to `take`.
    pub fn dump(
        &self,
        message_type: u16,
        request: &[u8],
        mut take: impl FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        let mut message = Vec::with_capacity(HEADER_BYTES + request.len());
        message.extend_from_slice(&((HEADER_BYTES + request.len()) as u32).to_ne_bytes());
        message.extend_from_slice(&message_type.to_ne_bytes());
        message.extend_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(request);
        send(&self.socket, &message, SendFlags::empty())?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let (received, _) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            if walk(&buffer[..received], &mut take)? {
                return Ok(());
            }
            if received == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Walks the messages of one datagram; true once the dump is over.
fn walk(mut bytes: &[u8], take: &mut impl FnMut(u16, &[u8])) -> io::Result<bool> {
    while let Some(header) = bytes.get(..HEADER_BYTES) {
        let length = u32_at(header, 0) as usize;
        let message_type = u16_at(header, 4);
        let Some(payload) = bytes.get(HEADER_BYTES..length) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match message_type {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR if payload.len() >= 4 => {
                let code = u32_at(payload, 0) as i32;
                return match code {
                    0 => Ok(true),
                    code => Err(io::Error::from_raw_os_error(-code)),
                };
            }
            _ => take(message_type, payload),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes after a message's fixed part: type and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.get(..4)?;
        let length = usize::from(u16_at(header, 0));
        // The two highest bits are flags.
        let kind = u16_at(header, 2) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Native-endian number at an offset that the caller knows to be inside.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message_type: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + payload.len()) as u32)
            .to_ne_bytes()
            .to_vec();
        bytes.extend_from_slice(&message_type.to_ne_bytes());
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn datagrams_hold_several_messages() {
        let mut bytes = message(20, b"abc");
        bytes.extend(message(20, b"defg"));
        let mut seen = Vec::new();
        let over = walk(&bytes, &mut |_, payload| seen.push(payload.to_vec())).unwrap();
        assert!(!over);
        assert_eq!(seen, [b"abc".to_vec(), b"defg".to_vec()]);
        bytes.extend(message(NLMSG_DONE, &[0; 4]));
        assert!(walk(&bytes, &mut |_, _| ()).unwrap());
    }

    #[test]
    fn errors_and_damage_are_values() {
        let refused = message(NLMSG_ERROR, &(-13_i32).to_ne_bytes());
        let error = walk(&refused, &mut |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let mut long = message(20, b"abcd");
        long[0] = 200;
        assert!(walk(&long, &mut |_, _| ()).is_err());
        let mut none = message(20, b"abcd");
        none[0] = 0;
        assert!(walk(&none, &mut |_, _| ()).is_err());
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[200, 0, 1, 0, 9]).count(), 0);
        assert_eq!(
            attributes(&[5, 0, 1, 0, 9, 0, 0, 0, 4, 0, 2, 0]).collect::<Vec<_>>(),
            [(1, &[9][..]), (2, &[][..])]
        );
    }
}
