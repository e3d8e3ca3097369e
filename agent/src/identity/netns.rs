//! Network namespaces: which there are, and working inside one.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
    thread,
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::procfs::Procfs;

/// `SO_NETNS_COOKIE`, Linux 5.14.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// A network namespace with a process that lives in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetNs {
    /// Inode number, as in `/proc/PID/ns/net`.
    pub inode: u64,
    /// A process inside.
    pub pid: u32,
}

/// Every namespace that has a process, by inode number.
pub fn namespaces(procfs: &Procfs) -> Vec<NetNs> {
    let mut found = BTreeMap::new();
    for pid in procfs.pids() {
        if let Ok(inode) = procfs.netns(pid) {
            found.entry(inode).or_insert(NetNs { inode, pid });
        }
    }
    found.into_values().collect()
}

/// Runs `work` in a namespace. Another namespace than the caller's is entered by a thread of its
/// own, which ends with the work, so that no other thread ever stands in the wrong one.
/// Errors: the process is gone, or the right to enter (`CAP_SYS_ADMIN`) is missing.
pub fn within<T: Send>(
    procfs: &Procfs,
    netns: NetNs,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    if procfs.netns(std::process::id()).ok() == Some(netns.inode) {
        return work();
    }
    let namespace = File::open(procfs.path(netns.pid, "ns/net"))?;
    thread::scope(|scope| {
        let entered = scope.spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        entered
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("work in a network namespace panicked")))
    })
}

/// Cookie of the calling thread's namespace, as the kernel programs see it; 0 where the kernel
/// does not tell (before 5.14).
pub fn cookie() -> u64 {
    let Ok(socket) = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    ) else {
        return 0;
    };
    let mut cookie = MaybeUninit::<u64>::zeroed();
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: `cookie` has room for `length` bytes and `socket` is open for the whole call.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            cookie.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return 0;
    }
    // SAFETY: zeroed above, so initialised whatever the kernel wrote; every pattern is a u64.
    unsafe { cookie.assume_init() }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_own_namespace_is_found_and_entered() {
        let procfs = Procfs::default();
        let own = procfs.netns(std::process::id()).expect("own namespace");
        let netns = namespaces(&procfs)
            .into_iter()
            .find(|netns| netns.inode == own)
            .expect("own namespace is listed");
        let seen = within(&procfs, netns, || Ok(cookie())).expect("within");
        assert_eq!(seen, cookie());
    }

    #[test]
    fn another_namespace_is_entered_by_a_thread_of_its_own() {
        let Ok(mut child) = Command::new("unshare").args(["-n", "sleep", "30"]).spawn() else {
            println!("skipped: no unshare command here");
            return;
        };
        let procfs = Procfs::default();
        let own = procfs.netns(std::process::id()).expect("own");
        let entered = (0..100).find_map(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            procfs.netns(child.id()).ok().filter(|inode| *inode != own)
        });
        let result = entered.map(|inode| {
            let netns = NetNs {
                inode,
                pid: child.id(),
            };
            (
                namespaces(&procfs).iter().any(|found| found.inode == inode),
                within(&procfs, netns, || Ok(cookie())),
            )
        });
        child.kill().expect("kill");
        child.wait().expect("wait");
        let Some((is_listed, Ok(inside))) = result else {
            println!("skipped: needs the right to make network namespaces");
            return;
        };
        assert!(is_listed);
        assert_eq!(procfs.netns(std::process::id()).ok(), Some(own));
        assert!(inside == 0 || inside != cookie());
    }
}
