//! Who talks to whom: parties, edges and connection facts shared with the kernel.

use bytemuck::{Pod, Zeroable};

/// An IPv6 address, or an IPv4 address in its v4-mapped form (`::ffff:a.b.c.d`), network order.
pub type Addr = [u8; 16];

/// Puts an IPv4 address (network order octets) into its v4-mapped form.
#[inline(always)]
pub const fn v4_mapped(octets: [u8; 4]) -> Addr {
    let o = octets;
    [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, o[0], o[1], o[2], o[3],
    ]
}

/// True for 127.0.0.0/8 and ::1.
#[inline(always)]
pub fn is_loopback(addr: &Addr) -> bool {
    let v4 = *addr == v4_mapped([127, addr[13], addr[14], addr[15]]);
    v4 || *addr == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
}

/// Which end of a connection the observed socket is.
pub mod role {
    /// Not known yet (taken up in mid-connection, no head seen).
    pub const UNKNOWN: u8 = 0;
    /// The socket called `connect`.
    pub const CLIENT: u8 = 1;
    /// The socket was accepted.
    pub const SERVER: u8 = 2;
}

/// What a connection speaks, as far as the kernel knows. Crosses as `u8`.
pub mod protocol {
    /// No payload seen yet.
    pub const UNKNOWN: u8 = 0;
    /// Payload seen that no framer knows: only bytes and TCP facts are counted.
    pub const TCP: u8 = 1;
    /// HTTP/1.0 and HTTP/1.1.
    pub const HTTP1: u8 = 2;
    /// HTTP/2.
    pub const HTTP2: u8 = 3;
    /// A TLS handshake record began the connection.
    pub const TLS: u8 = 4;
    /// The connection turned opaque after an HTTP/1.1 Upgrade or CONNECT.
    pub const UPGRADED: u8 = 5;
    /// Redis: RESP2 and RESP3.
    pub const REDIS: u8 = 6;
    /// PostgreSQL, version 3 of its protocol.
    pub const POSTGRES: u8 = 7;
    /// MySQL and MariaDB.
    pub const MYSQL: u8 = 8;
    /// MongoDB's wire protocol.
    pub const MONGODB: u8 = 9;
    /// Memcached, text and binary.
    pub const MEMCACHED: u8 = 10;
    /// ZooKeeper.
    pub const ZOOKEEPER: u8 = 11;
    /// DNS.
    pub const DNS: u8 = 12;
    /// gRPC: exchanges on connections of HTTP/2.
    pub const GRPC: u8 = 13;
    /// WebSocket, behind an HTTP/1.1 Upgrade.
    pub const WEBSOCKET: u8 = 14;
    /// Room for protocols in tables that have a place for each.
    pub const SLOTS: usize = 32;
    /// Place of the readers of GraphQL over HTTP/1 among the readers of protocols.
    pub const GRAPHQL: u8 = 30;
    /// Place of the readers of datagrams among the readers of protocols.
    pub const DATAGRAMS: u8 = 31;
}

/// One end of an edge. A party on this host has `workload` or `tgid` set and `addr` zero;
/// a party elsewhere has only `addr` set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct Party {
    /// Workload id ([`crate::stable_hash`] of its identity); 0 when the agent has not named it.
    pub workload: u64,
    /// Address of a party that is not on this host; zero otherwise.
    pub addr: Addr,
    /// Process (thread group) id of a local party that has no workload id yet; 0 otherwise.
    pub tgid: u32,
    /// Explicit padding.
    pub _pad: u32,
}

/// Key of the `EDGES` map: connections that share it are one edge.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct EdgeKey {
    /// The connecting party.
    pub client: Party,
    /// The accepting party.
    pub server: Party,
    /// Server port, host order.
    pub port: u16,
    /// [`role`] of the socket that counts this edge.
    pub role: u8,
    /// Explicit padding.
    pub _pad: [u8; 5],
}

/// Value of the `EDGES` map: the dense id and what was first seen of both ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct EdgeValue {
    /// Connections opened since the edge exists (atomic).
    pub opened: u64,
    /// Connections closed (atomic); `opened - closed` are live.
    pub closed: u64,
    /// Monotonic time of the first connection, ns.
    pub first_seen_ns: u64,
    /// cgroup id of the client, 0 if remote or unknown.
    pub client_cgroup: u64,
    /// cgroup id of the server, 0 if remote or unknown.
    pub server_cgroup: u64,
    /// Client address as the counting socket sees it.
    pub client_addr: Addr,
    /// Server address as the counting socket sees it.
    pub server_addr: Addr,
    /// Command name of the client process (NUL padded), zero if remote or unknown.
    pub client_comm: [u8; 16],
    /// Command name of the server process (NUL padded), zero if remote or unknown.
    pub server_comm: [u8; 16],
    /// Process id of the client at first sight, 0 if remote or unknown.
    pub client_tgid: u32,
    /// Process id of the server at first sight, 0 if remote or unknown.
    pub server_tgid: u32,
    /// Dense edge id, index of the per-edge maps; never 0 ([`EDGE_OTHER`]).
    pub id: u32,
    /// Explicit padding.
    pub _pad: u32,
}

/// Edge id that everything folds into when the `EDGES` map is full (counted as a loss reason).
pub const EDGE_OTHER: u32 = 0;

/// How many ports may have their protocol given.
pub const MAX_PORTS: u32 = 1_024;

/// How many edges the kernel tells apart at once.
pub const MAX_EDGES: u32 = 16_384;

/// Who owns a socket on this host.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Owner {
    /// Workload id, 0 when the agent has not named the process yet.
    pub workload: u64,
    /// cgroup v2 id of the socket.
    pub cgroup_id: u64,
    /// Command name, NUL padded.
    pub comm: [u8; 16],
    /// Thread group id.
    pub tgid: u32,
    /// Explicit padding.
    pub _pad: u32,
}

/// Key of the `PAIRS` map: the initial sequence numbers of a connection. Both ends know both, and
/// NAT, published ports and namespaces leave them unchanged.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct PairKey {
    /// The client's initial sequence number.
    pub client_isn: u32,
    /// The server's initial sequence number.
    pub server_isn: u32,
}

/// Value of the `PAIRS` map: the client end waits here for its server end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct PairValue {
    /// Owner of the client socket.
    pub client: Owner,
    /// Socket cookie of the client end.
    pub client_cookie: u64,
    /// Socket cookie of the server end; 0 until it is established on this host.
    pub server_cookie: u64,
    /// Owner of the server socket; zero until it is established on this host.
    pub server: Owner,
    /// Time from SYN to ESTABLISHED at the client, ns; 0 if unknown.
    pub connect_ns: u64,
}

/// Key of the `ADDRESSES` map: a local listening address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
pub struct AddressKey {
    /// Network namespace cookie for loopback addresses, 0 for all others.
    pub netns_cookie: u64,
    /// The address.
    pub addr: Addr,
    /// Port, host order.
    pub port: u16,
    /// Explicit padding.
    pub _pad: [u8; 6],
}

const _: () = assert!(size_of::<Party>() == 32);
const _: () = assert!(size_of::<EdgeKey>() == 72);
const _: () = assert!(size_of::<EdgeValue>() == 120);
const _: () = assert!(size_of::<Owner>() == 40);
const _: () = assert!(size_of::<AddressKey>() == 32);
