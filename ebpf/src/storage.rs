//! Socket storage: what belongs to a socket lives and dies with it.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{
        BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type, bpf_sock,
    },
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use weir_common::{
    connection::{ConnectionState, OwnerRecord},
    framing::http2::Http2,
};

/// A `BPF_MAP_TYPE_SK_STORAGE` map; the crate's own type offers neither flags nor all contexts.
#[repr(C)]
pub struct SocketStorage<T, const FLAGS: usize> {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; FLAGS],
}

// SAFETY: the fields are placeholders for the loader and are never read.
unsafe impl<T, const FLAGS: usize> Sync for SocketStorage<T, FLAGS> {}

impl<T, const FLAGS: usize> SocketStorage<T, FLAGS> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    #[inline(always)]
    fn call(&self, socket: *mut bpf_sock, flags: u64) -> Option<&'static mut T> {
        let map = core::ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the kernel checks `socket`; the answer is null or this socket's value, which
        // outlives the program run.
        unsafe {
            bpf_sk_storage_get(map, socket.cast(), core::ptr::null_mut(), flags)
                .cast::<T>()
                .as_mut()
        }
    }

    /// The socket's value, if it has one.
    #[inline(always)]
    pub fn get(&self, socket: *mut bpf_sock) -> Option<&'static mut T> {
        self.call(socket, 0)
    }

    /// The socket's value; made of zeroes if it has none.
    #[inline(always)]
    pub fn get_or_create(&self, socket: *mut bpf_sock) -> Option<&'static mut T> {
        self.call(socket, BPF_SK_STORAGE_GET_F_CREATE as u64)
    }
}

const PLAIN: usize = BPF_F_NO_PREALLOC as usize;
const CLONED: usize = (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize;

/// Who made a socket. Accepted sockets get a copy of their listener's.
#[btf_map]
pub static OWNERS: SocketStorage<OwnerRecord, CLONED> = SocketStorage::new();

/// What only connections of HTTP/2 need.
#[btf_map]
pub static HTTP2: SocketStorage<Http2, PLAIN> = SocketStorage::new();

/// The connection record.
#[btf_map]
pub static CONNECTIONS: SocketStorage<ConnectionState, PLAIN> = SocketStorage::new();
