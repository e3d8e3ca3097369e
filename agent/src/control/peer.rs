//! Who may ask: root, the daemon's own user, and members of the socket's group.

use std::{io, os::fd::AsRawFd};

use tokio::net::UnixStream;

/// Most supplementary groups that are looked at; Linux allows 65,536, real users have dozens.
const MAX_GROUPS: usize = 65_536;

/// Whom the socket serves besides root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The daemon's user.
    pub uid: u32,
    /// The socket's group.
    pub gid: u32,
}

/// True if the process at the other end of `stream` may ask.
pub fn is_allowed(stream: &UnixStream, allowed: Allowed) -> io::Result<bool> {
    let peer = stream.peer_cred()?;
    if peer.uid() == 0 || peer.uid() == allowed.uid || peer.gid() == allowed.gid {
        return Ok(true);
    }
    Ok(groups_of(stream)?.contains(&allowed.gid))
}

/// Supplementary groups of the process at the other end, as they were when it connected.
fn groups_of(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut bytes = (groups.len() * size_of::<u32>()) as libc::socklen_t;
        // SAFETY: `groups` has room for `bytes` bytes, the kernel writes at most that many and
        // stores in `bytes` how many there are.
        let result = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        let too_small = error.raw_os_error() == Some(libc::ERANGE);
        if !too_small || count <= groups.len() || count > MAX_GROUPS {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// Number of a group of `/etc/group`.
pub fn group_id(name: &str) -> Option<u32> {
    let text = std::fs::read_to_string("/etc/group").ok()?;
    find_group(&text, name)
}

fn find_group(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name)
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let text = "root:x:0:\nweird:x:7:\nweir:x:991:ann,bob\nbroken\n";
        for (name, expected) in [("weir", Some(991)), ("root", Some(0)), ("wei", None)] {
            assert_eq!(find_group(text, name), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn the_own_user_is_allowed_and_its_groups_are_readable() {
        let (near, _far) = UnixStream::pair().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let own = Allowed { uid, gid: u32::MAX };
        assert!(is_allowed(&near, own).unwrap());
        assert!(groups_of(&near).is_ok());
    }
}
