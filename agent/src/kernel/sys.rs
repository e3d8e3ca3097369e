//! The few `bpf(2)` and process calls that aya does not offer.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

const BPF_MAP_UPDATE_ELEM: i64 = 2;
const BPF_OBJ_GET: i64 = 7;
const BPF_PROG_TEST_RUN: i64 = 10;
const BPF_LINK_UPDATE: i64 = 29;
const BPF_LINK_DETACH: i64 = 34;

/// `union bpf_attr` of `BPF_OBJ_GET` (linux/bpf.h).
#[repr(C)]
struct ObjectGet {
    path: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Opens a pinned program, map or link.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = ObjectGet {
        path: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    let raw = bpf(BPF_OBJ_GET, &attributes)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

/// `union bpf_attr` of `BPF_LINK_UPDATE` (linux/bpf.h).
#[repr(C)]
struct LinkUpdate {
    link_fd: u32,
    new_prog_fd: u32,
    flags: u32,
    old_prog_fd: u32,
}

/// `union bpf_attr` of `BPF_MAP_UPDATE_ELEM` (linux/bpf.h).
#[repr(C)]
struct ElementUpdate {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn bpf<T>(command: i64, attributes: &T) -> io::Result<i64> {
    // SAFETY: the attributes are a live struct of the size that is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// `union bpf_attr` of `BPF_PROG_TEST_RUN` (linux/bpf.h), as far as it is used.
#[repr(C)]
struct ProgramRun {
    program_fd: u32,
    result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// Bytes before the packet that a program of a socket sees: it is made as an Ethernet frame.
const ETHERNET_BYTES: usize = 14;

/// Runs a `cgroup_skb` program once over a packet that is made of `bytes`.
pub fn run_program(program: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let mut frame = vec![0; ETHERNET_BYTES];
    frame.extend_from_slice(bytes);
    bpf(
        BPF_PROG_TEST_RUN,
        &ProgramRun {
            program_fd: program.as_raw_fd() as u32,
            result: 0,
            data_size_in: frame.len() as u32,
            data_size_out: 0,
            data_in: frame.as_ptr() as u64,
            data_out: 0,
            repeat: 1,
            duration: 0,
        },
    )
    .map(drop)
}

/// Puts another program behind a link, atomically.
pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    bpf(
        BPF_LINK_UPDATE,
        &LinkUpdate {
            link_fd: link.as_raw_fd() as u32,
            new_prog_fd: program.as_raw_fd() as u32,
            flags: 0,
            old_prog_fd: 0,
        },
    )
    .map(drop)
}

/// Takes a link's program out of force at once (Linux 5.9); links of tracepoints cannot be
/// detached and answer `EOPNOTSUPP`.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    bpf(BPF_LINK_DETACH, &(link.as_raw_fd() as u32)).map(drop)
}

/// Sets a socket's storage; the key of such a map is a file descriptor of the socket.
pub fn set_socket_storage<T: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    socket: BorrowedFd<'_>,
    value: &T,
    flags: u64,
) -> io::Result<()> {
    let key = socket.as_raw_fd();
    bpf(
        BPF_MAP_UPDATE_ELEM,
        &ElementUpdate {
            map_fd: map.as_raw_fd() as u32,
            _pad: 0,
            key: std::ptr::from_ref(&key) as u64,
            value: std::ptr::from_ref(value) as u64,
            flags,
        },
    )
    .map(drop)
}

/// A copy of another process's file descriptor (`pidfd_getfd`, Linux 5.6).
pub fn steal_fd(pid: u32, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed; the result is a new descriptor of ours.
    let pidfd = unsafe {
        let raw = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(raw as i32)
    };
    // SAFETY: as above.
    unsafe {
        let raw = libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_fd().as_raw_fd(), fd, 0);
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(raw as i32))
    }
}
