//! One edge of the graph: the value that answers show, and what is needed to keep it.

use std::collections::BTreeMap;

use weir_common::{flow::protocol, stable_hash};

use super::{kernel_edge::KernelEdge, previous::OpDelta, window::Window};
use crate::observe::{
    model::{EdgeState, Endpoint, OperationId, TcpCounts, WorkloadKind},
    operations::{OTHER, protocol_name},
    parties::{Ends, Named},
};

/// What makes two kernel edges one edge: who stands at both ends, whatever the address, and the
/// port. The protocol is not in it: it is learned later than the edge, and one port speaks one
/// protocol. Names are hashed, so that the thousands of look-ups of each second cost little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GraphKey {
    client: u64,
    server: u64,
    port: u16,
}

impl GraphKey {
    pub(super) fn of(ends: &Ends, port: u16) -> Self {
        Self {
            client: party_id(&ends.client),
            server: party_id(&ends.server),
            port,
        }
    }

    /// The edge that everything folds into.
    pub(super) fn other() -> Self {
        Self::of(&other_ends(), 0)
    }
}

/// A workload's id; of anybody else the hash of kind, namespace and service.
fn party_id(named: &Named) -> u64 {
    if let Some(workload) = &named.workload {
        return workload.id;
    }
    let end = &named.endpoint;
    let namespace = end.namespace.as_deref().unwrap_or_default();
    // The slash in front keeps these apart from the ids of workloads, which are hashed alike.
    let text = format!("/{:?}/{namespace}/{}", end.kind, end.service);
    stable_hash(text.as_bytes())
}

/// One edge of the graph.
#[derive(Clone, Debug)]
pub(super) struct GraphEdge {
    pub(super) state: EdgeState,
    /// Connections by protocol code, as reported.
    pub(super) protocols: [u64; protocol::SLOTS],
    /// Protocol of the latest exchanges.
    pub(super) spoken: Option<u8>,
    /// True once a kernel edge of the server's end belongs to it: that end owns the counts.
    pub(super) server_side: bool,
    /// Calls so far, over all operations.
    pub(super) calls: u64,
    pub(super) window: Window,
}

impl GraphEdge {
    /// An edge without counts.
    pub(super) fn new(ends: &Ends, port: u16, first_seen_ns: u64) -> Self {
        Self {
            state: EdgeState {
                client: ends.client.endpoint.clone(),
                server: ends.server.endpoint.clone(),
                client_workload: ends.client.workload.clone(),
                server_workload: ends.server.workload.clone(),
                protocol: protocol_name(protocol::TCP).into(),
                port,
                counted_at_server: false,
                local_pair: false,
                operations: BTreeMap::new(),
                tcp: TcpCounts::default(),
                bytes_out: 0,
                bytes_in: 0,
                tls: false,
                lost: BTreeMap::new(),
                first_seen_ns,
                last_seen_ns: first_seen_ns,
                rate: 0.0,
            },
            protocols: [0; protocol::SLOTS],
            spoken: None,
            server_side: false,
            calls: 0,
            window: Window::default(),
        }
    }

    /// True if this kernel edge's counts are the edge's: the server's end owns them once it is
    /// seen, and what the client's end counts then is the same traffic again.
    pub(super) fn is_counted_by(&self, kernel: &KernelEdge) -> bool {
        kernel.is_server_side() || !self.server_side
    }

    /// Adds calls to an operation. True if the operation is new on this edge.
    pub(super) fn add_operation(&mut self, id: OperationId, code: u8, delta: &OpDelta) -> bool {
        // A WebSocket begins as an exchange of HTTP on the same edge, which goes on by that name.
        let is_websocket = code == protocol::WEBSOCKET;
        self.spoken = Some(if is_websocket { protocol::HTTP1 } else { code });
        let known = self.state.operations.len();
        delta.add_to(self.state.operations.entry(id).or_default());
        self.calls += delta.calls;
        self.state.operations.len() > known
    }

    /// Names the protocol by what was seen of it. That of the exchanges wins, because they are what
    /// the edge counts; without exchanges the most frequent one of the connections.
    pub(super) fn settle_protocol(&mut self) {
        let seen = |code: u8| self.protocols[usize::from(code)];
        let most = || {
            let codes = 0..protocol::SLOTS as u8;
            codes
                .filter(|code| *code != protocol::UNKNOWN && seen(*code) > 0)
                .max_by_key(|code| (*code == protocol::HTTP1, seen(*code)))
        };
        let code = self.spoken.or_else(most).unwrap_or(protocol::TCP);
        let name = protocol_name(code);
        if self.state.protocol != name {
            self.state.protocol = name.into();
        }
    }

    /// Takes up everything that another edge has counted; its operations become `_OTHER`.
    pub(super) fn fold(&mut self, other: &Self) {
        for (id, counts) in &other.state.operations {
            let folded = OperationId {
                operation: OTHER.into(),
                method: None,
                status: id.status,
                route_source: None,
            };
            self.state.operations.entry(folded).or_default().add(counts);
        }
        self.calls += other.calls;
        self.state.add_connection_facts(&other.state);
        for (mine, theirs) in self.protocols.iter_mut().zip(other.protocols) {
            *mine += theirs;
        }
    }
}

/// Both ends of the edge that everything folds into.
pub(super) fn other_ends() -> Ends {
    let party = || Named {
        endpoint: Endpoint {
            service: OTHER.into(),
            namespace: None,
            kind: WorkloadKind::Unknown,
            instance: None,
            addr: String::new(),
        },
        workload: None,
        settled: true,
    };
    Ends {
        client: party(),
        server: party(),
    }
}
