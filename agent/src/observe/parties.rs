//! Who stands at an end: what the kernel knows of a party, and what it is called.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weir_common::{
    event::{ConnectionRecord, ExchangeRecord},
    flow::{Addr, EdgeKey, EdgeValue, Owner, Party, role},
};

use super::model::{Endpoint, Workload, WorkloadKind, ip_of};

/// What the kernel knows of one end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartyFacts {
    /// Workload id; 0 if the kernel has none.
    pub workload: u64,
    /// Process id; 0 if remote or unknown.
    pub tgid: u32,
    /// cgroup v2 id; 0 if remote or unknown.
    pub cgroup_id: u64,
    /// Command name, NUL padded; zero if remote or unknown.
    pub comm: [u8; 16],
    /// Address as the counting socket sees it.
    pub addr: Addr,
    /// Server port; 0 for a client, whose port says nothing.
    pub port: u16,
    /// True if the party is on this host.
    pub local: bool,
}

/// What a party is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As answers show it.
    pub endpoint: Endpoint,
    /// The workload, when it is on this host.
    pub workload: Option<Arc<Workload>>,
    /// False while a better name may still come (the process has not been read yet).
    pub settled: bool,
}

/// Names parties. Implemented by `identity`, by `replay` and by tests; quick, no blocking I/O.
pub trait Names: Send + Sync {
    /// Names one end.
    fn party(&self, facts: &PartyFacts) -> Named;

    /// Changes whenever a party that was settled might be called otherwise now.
    fn generation(&self) -> u64;
}

/// Both ends of an edge, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Calling side.
    pub client: Named,
    /// Called side.
    pub server: Named,
}

impl Ends {
    /// True while either end may still get a better name.
    pub fn settled(&self) -> bool {
        self.client.settled && self.server.settled
    }
}

/// Facts of both ends of a kernel edge: client, then server.
pub fn facts_of_edge(key: &EdgeKey, value: &EdgeValue) -> (PartyFacts, PartyFacts) {
    let end = |party: &Party, tgid, cgroup_id, comm, addr, port| PartyFacts {
        workload: party.workload,
        tgid: if party.tgid != 0 { party.tgid } else { tgid },
        cgroup_id,
        comm,
        addr: if is_local(party) { addr } else { party.addr },
        port,
        local: is_local(party),
    };
    (
        end(
            &key.client,
            value.client_tgid,
            value.client_cgroup,
            value.client_comm,
            value.client_addr,
            0,
        ),
        end(
            &key.server,
            value.server_tgid,
            value.server_cgroup,
            value.server_comm,
            value.server_addr,
            key.port,
        ),
    )
}

/// Facts of both ends of an exchange: client, then server.
pub fn facts_of_exchange(record: &ExchangeRecord) -> (PartyFacts, PartyFacts) {
    let end = |tgid, addr, port| PartyFacts {
        tgid,
        addr,
        port,
        local: tgid != 0,
        ..PartyFacts::default()
    };
    (
        end(record.client_tgid, record.client_addr, 0),
        end(record.server_tgid, record.server_addr, record.server_port),
    )
}

/// Facts of both ends of a connection: client, then server.
pub fn facts_of_connection(record: &ConnectionRecord) -> (PartyFacts, PartyFacts) {
    let server_port = if record.role == role::SERVER {
        record.local_port
    } else {
        record.remote_port
    };
    let mine = facts_of_owner(&record.owner, record.local_addr, 0, true);
    let theirs = facts_of_owner(&record.peer, record.remote_addr, 0, is_owned(&record.peer));
    let (client, mut server) = if record.role == role::SERVER {
        (theirs, mine)
    } else {
        (mine, theirs)
    };
    server.port = server_port;
    (client, server)
}

/// Facts of the owner of a socket.
pub fn facts_of_owner(owner: &Owner, addr: Addr, port: u16, local: bool) -> PartyFacts {
    PartyFacts {
        workload: owner.workload,
        tgid: owner.tgid,
        cgroup_id: owner.cgroup_id,
        comm: owner.comm,
        addr,
        port,
        local,
    }
}

/// True if the owner is known at all, that is, on this host.
pub fn is_owned(owner: &Owner) -> bool {
    owner.workload != 0 || owner.tgid != 0 || owner.cgroup_id != 0
}

/// True for a party on this host.
pub fn is_local(party: &Party) -> bool {
    // A party without any address is on this host too: its owner was not caught.
    party.workload != 0 || party.tgid != 0 || party.addr == [0; 16]
}

/// `address`, or `address:port` when there is a port (IPv6 in brackets then).
///
/// Stands twice in every exchange: the standard library's way through its formatter takes three times
/// as long.
pub fn address_text(addr: &Addr, port: u16) -> String {
    let ip = match ip_of(addr) {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) if port == 0 => return ip.to_string(),
        IpAddr::V6(ip) => return SocketAddr::new(ip.into(), port).to_string(),
    };
    let mut digits = itoa::Buffer::new();
    let mut text = String::with_capacity("255.255.255.255:65535".len());
    for (at, octet) in ip.octets().into_iter().enumerate() {
        if at != 0 {
            text.push('.');
        }
        text.push_str(digits.format(octet));
    }
    if port != 0 {
        text.push(':');
        text.push_str(digits.format(port));
    }
    text
}

/// A command name as text.
pub fn comm_text(comm: &[u8; 16]) -> String {
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(16);
    String::from_utf8_lossy(&comm[..len]).into_owned()
}

/// The endpoint of a workload on this host.
pub fn endpoint_of(workload: &Workload, addr: &Addr, port: u16) -> Endpoint {
    let instance = match workload.kind {
        WorkloadKind::Unit => workload.unit.clone(),
        WorkloadKind::Container | WorkloadKind::Pod => workload.container.clone(),
        _ => None,
    };
    Endpoint {
        service: workload.service.clone(),
        namespace: workload.namespace.clone(),
        kind: workload.kind,
        instance,
        addr: address_text(addr, port),
    }
}

/// The endpoint of a peer that is known by its address alone.
pub fn remote_endpoint(addr: &Addr, port: u16) -> Endpoint {
    Endpoint {
        service: ip_of(addr).to_string(),
        namespace: None,
        kind: WorkloadKind::Remote,
        instance: None,
        addr: address_text(addr, port),
    }
}

#[cfg(test)]
mod tests {
    use weir_common::flow::v4_mapped;

    use super::*;

    #[test]
    fn addresses_read_as_people_write_them() {
        let six = "2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets();
        for (addr, port, expected) in [
            (v4_mapped([10, 0, 0, 1]), 0, "10.0.0.1"),
            (v4_mapped([10, 0, 0, 1]), 80, "10.0.0.1:80"),
            (six, 0, "2001:db8::1"),
            (six, 443, "[2001:db8::1]:443"),
        ] {
            assert_eq!(address_text(&addr, port), expected);
        }
    }

    #[test]
    fn the_server_port_follows_the_role() {
        for (role, expected_server_tgid) in [(role::SERVER, 7), (role::CLIENT, 0)] {
            let record = ConnectionRecord {
                owner: Owner {
                    tgid: 7,
                    ..Owner::default()
                },
                local_port: 80,
                remote_port: 50_000,
                role,
                ..bytemuck::Zeroable::zeroed()
            };
            let (client, server) = facts_of_connection(&record);
            assert_eq!(server.tgid, expected_server_tgid);
            assert_eq!(client.tgid, 7 - expected_server_tgid);
            assert_eq!(client.port, 0);
            let expected_port = if role == role::SERVER { 80 } else { 50_000 };
            assert_eq!(server.port, expected_port);
        }
    }
}
