//! Operation hash → operation name, learned from the heads of the detail lane.

mod shown;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use weir_common::{
    counter::OpKey,
    flow::protocol,
    framing::{
        detect::is_framed,
        http1::{MAX_TARGET_BYTES, graphql::combine, method, normalise, op_hash},
        http2::UNSEEN_OP,
    },
    stable_hash,
};

pub use self::shown::{Operation, WATCH, path_in};
pub use super::protocol::name as protocol_name;
use super::{
    protocol::{Meaning, fixed_path, graphql_name, graphql_word, grpc_method, operation_of_key},
    routes::Routes,
};

/// Name of what was folded away.
pub const OTHER: &str = "_OTHER";

/// What tells operations apart, whatever the edge and outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationKey {
    /// [`protocol`].
    pub protocol: u8,
    /// Method code of the framer; 0 for other protocols of frames, whose hash says all.
    pub method: u8,
    /// Operation hash; 0 is `_OTHER`.
    pub op: u64,
}

impl OperationKey {
    /// Key of an operation whose request was of this kind.
    pub fn new(protocol: u8, method: u8, op: u64) -> Self {
        let has_methods = !is_framed(protocol) || protocol == protocol::HTTP2;
        let method = if has_methods { method } else { 0 };
        Self {
            protocol,
            method,
            op,
        }
    }
}

impl From<&OpKey> for OperationKey {
    fn from(key: &OpKey) -> Self {
        Self::new(key.protocol, key.method, key.op)
    }
}

/// The names learned so far, in bounded space. The oldest name goes when the table is full; it
/// is learned again from the next head.
#[derive(Debug)]
pub struct OperationNames {
    names: HashMap<OperationKey, Arc<str>>,
    order: VecDeque<OperationKey>,
    fresh: Vec<(OperationKey, Arc<str>)>,
    capacity: usize,
    evicted: u64,
    routes: Routes,
    shown: shown::Shown,
}

impl OperationNames {
    /// An empty table of at most `capacity` names, with the built-in routes.
    pub fn new(capacity: usize) -> Self {
        Self::with_routes(capacity, Routes::default())
    }

    /// An empty table of at most `capacity` names that are shown under `routes`.
    pub fn with_routes(capacity: usize, routes: Routes) -> Self {
        Self {
            names: HashMap::new(),
            order: VecDeque::new(),
            fresh: Vec::new(),
            capacity: capacity.max(1),
            evicted: 0,
            routes,
            shown: shown::Shown::default(),
        }
    }

    /// Learns a name from the target in a head, unless it is known or the hash is of another
    /// target (the head was cut, or begins elsewhere). True if it was new.
    pub fn learn(&mut self, key: OperationKey, target: &[u8]) -> bool {
        if key.op == 0 || self.names.contains_key(&key) || !self.is_of(key.op, target) {
            return false;
        }
        let mut out = [0; MAX_TARGET_BYTES + 1];
        let len = normalise(target, &mut out);
        let path = String::from_utf8_lossy(&out[..len]);
        let mut name = format!("{} {path}", method::name(key.method));
        if let Some(operation) = self.within(key.op, target) {
            name.push(' ');
            name.push_str(&operation);
        }
        self.keep(key, name.into());
        true
    }

    /// True if the operation is one of this target.
    pub fn is_of(&self, op: u64, target: &[u8]) -> bool {
        op_hash(target) == op || self.within(op, target).is_some()
    }

    /// What a request to a target asks for within it, e.g. `query GetUser`, if the key says so.
    fn within(&self, op: u64, target: &[u8]) -> Option<Arc<str>> {
        let key = combine(op, op_hash(target));
        let learned = self.names.get(&within_key(key)).map(Arc::clone);
        learned.or_else(|| graphql_word(key).map(Arc::from))
    }

    /// Learns the path of an operation of HTTP/2, or the method of one of gRPC, or the name of one of
    /// GraphQL: which of them it is, the kernel knows, and a hash that fits.
    pub fn learn_path(&mut self, op: u64, path: &[u8]) {
        if let Some(name) = graphql_name(path) {
            if stable_hash(path) == op {
                self.learn_name(within_key(op), &name);
            }
            return;
        }
        let is_end = |byte: &u8| matches!(byte, b'?' | b'#' | b' ');
        let len = path.iter().position(is_end).unwrap_or(path.len());
        let text = String::from_utf8_lossy(&path[..len]);
        let key = |protocol| OperationKey {
            protocol,
            method: 0,
            op,
        };
        if stable_hash(&path[..len]) == op {
            self.learn_name(key(protocol::GRPC), grpc_method(&text));
        }
        if op_hash(path) == op {
            let mut out = [0; MAX_TARGET_BYTES + 1];
            let len = normalise(path, &mut out);
            let path = String::from_utf8_lossy(&out[..len]);
            self.learn_name(key(protocol::HTTP2), &path);
        }
    }

    /// Learns a name that a protocol's reader found, unless it is known or of another operation.
    pub fn learn_meaning(&mut self, key: OperationKey, meaning: &Meaning) {
        if key.op == meaning.op {
            self.learn_name(key, &meaning.operation);
        }
        for (op, name) in &meaning.others {
            self.learn_name(OperationKey { op: *op, ..key }, name);
        }
    }

    fn learn_name(&mut self, key: OperationKey, name: &str) {
        if key.op != 0 && !name.is_empty() && !self.names.contains_key(&key) {
            self.keep(key, name.into());
        }
    }

    fn keep(&mut self, key: OperationKey, name: Arc<str>) {
        if self.fresh.len() < self.capacity {
            self.fresh.push((key, Arc::clone(&name)));
        }
        self.insert(key, name);
    }

    /// Takes up a name learned by an earlier run.
    pub fn restore(&mut self, key: OperationKey, name: &str) {
        if key.op != 0 && !self.names.contains_key(&key) {
            self.insert(key, name.into());
        }
    }

    fn insert(&mut self, key: OperationKey, name: Arc<str>) {
        while self.names.len() >= self.capacity {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.names.remove(&oldest);
            self.evicted += 1;
        }
        self.names.insert(key, name);
        self.order.push_back(key);
    }

    /// True if the operation has its final name (`_OTHER` counts).
    pub fn is_named(&self, key: &OperationKey) -> bool {
        let never = key.protocol != protocol::HTTP1 && key.op == UNSEEN_OP;
        key.op == 0 || never || self.path_or_name(key).is_some()
    }

    /// The name of an operation: `GET /users/*`, `GET _OTHER` when folded, `GET _UNNAMED` before
    /// its first head came.
    pub fn name(&self, key: &OperationKey) -> Arc<str> {
        if key.op == 0 {
            return prefixed(key, OTHER);
        }
        match self.path_or_name(key) {
            Some(path) if key.protocol == protocol::HTTP2 => prefixed(key, &path),
            Some(name) => name,
            None => prefixed(key, "_UNNAMED"),
        }
    }

    /// What is known of an operation: of HTTP/2 the path, which is learned without methods.
    fn path_or_name(&self, key: &OperationKey) -> Option<Arc<str>> {
        if key.protocol != protocol::HTTP2 {
            let learned = self.names.get(key).map(Arc::clone);
            return learned.or_else(|| operation_of_key(key.protocol, key.op).map(Arc::from));
        }
        let learned = self.names.get(&OperationKey { method: 0, ..*key });
        learned
            .map(Arc::clone)
            .or_else(|| fixed_path(key.op).map(Arc::from))
    }

    /// Names learned since the last call: for the store. Bounded by the table's capacity.
    pub fn take_fresh(&mut self) -> Vec<(OperationKey, Arc<str>)> {
        std::mem::take(&mut self.fresh)
    }

    /// Gives names back that could not be written, for the next [`Self::take_fresh`].
    pub fn put_back(&mut self, names: Vec<(OperationKey, String)>) {
        let room = self.capacity.saturating_sub(self.fresh.len());
        let names = names.into_iter().take(room);
        self.fresh
            .extend(names.map(|(key, name)| (key, name.into())));
    }

    /// Names held.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if no name is held.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Greatest number of names held.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Names that had to go.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// Key of a name that belongs to no path yet.
fn within_key(op: u64) -> OperationKey {
    OperationKey {
        protocol: protocol::HTTP1,
        method: method::NONE,
        op,
    }
}

fn prefixed(key: &OperationKey, name: &str) -> Arc<str> {
    match method_name(key.protocol, key.method) {
        Some(method) => format!("{method} {name}").into(),
        None => name.into(),
    }
}

/// Method of a request, if the protocol has methods and this one is known.
pub fn method_name(protocol_code: u8, method_code: u8) -> Option<&'static str> {
    let has_methods = matches!(protocol_code, protocol::HTTP1 | protocol::HTTP2);
    (has_methods && method_code != 0).then(|| method::name(method_code))
}

#[cfg(test)]
mod tests {
    use weir_common::framing::http1::graphql::{kind, nameless};

    use super::*;

    fn key(method: u8, target: &str) -> OperationKey {
        OperationKey {
            protocol: protocol::HTTP1,
            method,
            op: op_hash(target.as_bytes()),
        }
    }

    #[test]
    fn operations_are_named_by_their_first_head() {
        let mut names = OperationNames::new(16);
        for (method, target, before, after) in [
            (1, "/users/42?x=1", "GET _UNNAMED", "GET /users/*"),
            (3, "/users", "POST _UNNAMED", "POST /users"),
            (10, "/", "_OTHER _UNNAMED", "_OTHER /"),
        ] {
            let key = key(method, target);
            assert_eq!(&*names.name(&key), before);
            assert!(!names.is_named(&key));
            assert!(names.learn(key, target.as_bytes()));
            assert!(!names.learn(key, target.as_bytes()), "known by now");
            assert_eq!(&*names.name(&key), after);
        }
        assert_eq!(names.take_fresh().len(), 3);
        assert!(names.take_fresh().is_empty());
    }

    #[test]
    fn folded_operations_and_foreign_targets_stay_apart() {
        let mut names = OperationNames::new(16);
        let folded = OperationKey {
            op: 0,
            ..key(1, "/")
        };
        assert!(!names.learn(folded, b"/"));
        assert_eq!(&*names.name(&folded), "GET _OTHER");
        assert!(names.is_named(&folded));
        assert!(!names.learn(key(1, "/a"), b"/b"), "hash of another target");
        assert!(names.is_empty());
    }

    #[test]
    fn paths_of_http2_and_methods_of_grpc_are_told_once() {
        let mut names = OperationNames::new(16);
        let op = op_hash(b"/users/42?x=1");
        names.learn_path(op, b"/users/7?y=2");
        let method = stable_hash(b"/helloworld.v1.Greeter/SayHello");
        names.learn_path(method, b"/helloworld.v1.Greeter/SayHello");
        names.learn_path(op_hash(b"/a"), b"/b");
        for (protocol, method_code, op, expected) in [
            (protocol::HTTP2, 1, op, "GET /users/*"),
            (protocol::HTTP2, 3, op, "POST /users/*"),
            (protocol::HTTP2, 0, op, "/users/*"),
            (protocol::HTTP2, 1, op_hash(b"/"), "GET /"),
            (
                protocol::HTTP2,
                1,
                op_hash(b"/index.html"),
                "GET /index.html",
            ),
            (protocol::GRPC, 0, method, "helloworld.v1.Greeter/SayHello"),
            (protocol::GRPC, 0, op, "_UNNAMED"),
            (protocol::HTTP2, 1, op_hash(b"/a"), "GET _UNNAMED"),
        ] {
            let key = OperationKey::new(protocol, method_code, op);
            assert_eq!(&*names.name(&key), expected);
            assert_eq!(names.is_named(&key), !expected.ends_with("_UNNAMED"));
        }
    }

    #[test]
    fn operations_of_graphql_are_named_within_their_path() {
        let mut names = OperationNames::new(16);
        let told = b"GetUser\x01";
        let batch = nameless(kind::BATCH);
        for (target, within, before, after) in [
            (
                "/graphql?x",
                stable_hash(told),
                false,
                "POST /graphql query GetUser",
            ),
            (
                "/v1/graphql",
                stable_hash(told),
                true,
                "POST /v1/graphql query GetUser",
            ),
            ("/graphql", batch, true, "POST /graphql batch"),
            ("/graphql", 7, false, "POST _UNNAMED"),
        ] {
            let path = key(3, target);
            let key = OperationKey {
                op: combine(path.op, within),
                ..path
            };
            assert_eq!(names.learn(key, target.as_bytes()), before, "{target}");
            names.learn_path(stable_hash(told), told);
            names.learn_path(7, told);
            names.learn(key, target.as_bytes());
            assert_eq!(&*names.name(&key), after);
        }
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_counts_it() {
        let mut names = OperationNames::new(2);
        for target in ["/a", "/b", "/c"] {
            names.learn(key(1, target), target.as_bytes());
        }
        assert_eq!(names.len(), 2);
        assert_eq!(names.evicted(), 1);
        assert_eq!(&*names.name(&key(1, "/a")), "GET _UNNAMED");
        assert!(names.learn(key(1, "/a"), b"/a"), "learned again");
    }
}
