//! Sockets that are older than weir: their records are made from outside.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use bytemuck::Zeroable as _;
use weir_common::{
    connection::{ConnectionState, OwnerRecord, flag},
    flow::{EDGE_OTHER, Owner, role},
    framing::detect::READ,
    policy::NO_RULE,
};

use super::{maps::Maps, sys};
use crate::daemon::port::OldConnection;

const BPF_NOEXIST: u64 = 1;

impl Maps {
    /// Notes the owner of a listener that is older than weir: accepted sockets inherit it.
    pub fn adopt_listener(&self, pid: u32, fd: i32, owner: &Owner) -> Result<()> {
        let socket = sys::steal_fd(pid, fd).with_context(|| format!("fd {fd} of process {pid}"))?;
        let record = OwnerRecord {
            owner: *owner,
            connect_started_ns: 0,
        };
        sys::set_socket_storage(self.owners.fd().as_fd(), socket.as_fd(), &record, 0)
            .with_context(|| format!("note the owner of fd {fd} of process {pid}"))
    }

    /// Takes up a connection in mid-stream. One that the kernel has seen begin stays as it is.
    pub fn adopt_connection(
        &self,
        pid: u32,
        fd: i32,
        facts: &OldConnection,
        now_ns: u64,
    ) -> Result<()> {
        let socket = sys::steal_fd(pid, fd).with_context(|| format!("fd {fd} of process {pid}"))?;
        let mut state = state_of(facts, now_ns);
        let port = match facts.role {
            role::SERVER => facts.local.1,
            _ => facts.remote.1,
        };
        // Only that nobody is to read it: what is under way begins anywhere in a message, where
        // evidence says more than the port.
        if let Some(code) = self.given_protocol(port)
            && !READ.contains(&code)
        {
            state.conversation.assume(code);
        }
        let done = sys::set_socket_storage(
            self.connections.fd().as_fd(),
            socket.as_fd(),
            &state,
            BPF_NOEXIST,
        );
        match done {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other.with_context(|| format!("take up fd {fd} of process {pid}")),
        }
    }
}

fn state_of(facts: &OldConnection, now_ns: u64) -> ConnectionState {
    let mut state = ConnectionState::zeroed();
    state.cookie = facts.cookie;
    state.opened_ns = now_ns;
    state.reported_ns = now_ns;
    state.edge_id = EDGE_OTHER;
    state.bandwidth_rule = NO_RULE;
    (state.local_addr, state.local_port) = facts.local;
    (state.remote_addr, state.remote_port) = facts.remote;
    state.role = facts.role;
    state.owner = facts.owner;
    state.flags = flag::ADOPTED;
    if let Some(peer) = facts.peer {
        state.peer = peer;
        state.flags |= flag::LOCAL_PAIR;
        if facts.role == role::CLIENT {
            state.flags |= flag::SETTLED | flag::PEER_COUNTS;
        }
    }
    state.conversation.start_midstream();
    state
}
