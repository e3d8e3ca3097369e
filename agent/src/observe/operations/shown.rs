//! An operation as it is shown: under its route, of the service that serves it.

use std::{collections::HashMap, sync::Arc};

use weir_common::framing::http1::method;

use super::{OTHER, OperationKey, OperationNames, prefixed, protocol};
use crate::observe::model::RouteSource;

/// Operations remembered; all are forgotten beyond that, and named again.
const MAX_SHOWN: usize = 16_384;

/// What is appended to the name of a request that waits for a change.
pub const WATCH: &str = " (watch)";

/// An operation of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name, e.g. `GET /users/{id}`.
    pub name: Arc<str>,
    /// Where the path in it comes from; `None` if there is none.
    pub route_source: Option<RouteSource>,
    /// True if the service has too many operations to show this one, too.
    pub is_folded: bool,
}

impl Operation {
    fn plain(name: Arc<str>) -> Self {
        Self {
            name,
            route_source: None,
            is_folded: false,
        }
    }
}

/// Operations that were shown, by service.
#[derive(Debug, Default)]
pub(super) struct Shown {
    generation: u64,
    count: usize,
    services: HashMap<Box<str>, HashMap<OperationKey, Operation>>,
}

impl Shown {
    fn get(&self, service: &str, key: &OperationKey, generation: u64) -> Option<&Operation> {
        let operations = self.services.get(service)?;
        operations
            .get(key)
            .filter(|_| self.generation == generation)
    }

    fn keep(&mut self, service: &str, key: OperationKey, operation: Operation, generation: u64) {
        if self.generation != generation || self.count >= MAX_SHOWN {
            self.services.clear();
            self.count = 0;
            self.generation = generation;
        }
        let operations = self.services.entry(service.into()).or_default();
        self.count += usize::from(operations.insert(key, operation).is_none());
    }
}

impl OperationNames {
    /// The operation as it is shown of `service`, under its route.
    pub fn operation(&mut self, key: &OperationKey, service: &str) -> Operation {
        if let Some(shown) = self.shown.get(service, key, self.generation()) {
            return shown.clone();
        }
        let Some(path) = self.path(key) else {
            return Operation::plain(self.name(key));
        };
        let operation = self.route(key, service, &path);
        let generation = self.generation();
        self.shown
            .keep(service, *key, operation.clone(), generation);
        operation
    }

    fn route(&mut self, key: &OperationKey, service: &str, path: &str) -> Operation {
        let (path, within) = path.split_at(path.find(' ').unwrap_or(path.len()));
        self.routes.learn(service, path);
        let route = self.routes.find(service, path);
        let name = with_method(key, &format!("{}{within}", route.path));
        if self.routes.admit(service, &name) {
            return Operation {
                name,
                route_source: Some(route.source),
                is_folded: false,
            };
        }
        Operation {
            is_folded: true,
            ..Operation::plain(prefixed(key, OTHER))
        }
    }

    /// Takes up the path of an operation, so that many like it fold before any of them is shown.
    pub fn observe(&mut self, key: &OperationKey, service: &str) {
        if let Some(path) = self.path(key) {
            let path = path.split(' ').next().unwrap_or_default();
            self.routes.learn(service, path);
        }
    }

    /// Grows when operations that were shown before may have other names now.
    pub fn generation(&self) -> u64 {
        self.routes.generation()
    }

    /// The normalised path of an operation of HTTP, if it is known; of GraphQL with what is asked for
    /// within it.
    fn path(&self, key: &OperationKey) -> Option<Arc<str>> {
        let has_path = matches!(key.protocol, protocol::HTTP1 | protocol::HTTP2);
        let name = self.path_or_name(key).filter(|_| has_path && key.op != 0)?;
        if key.protocol == protocol::HTTP2 {
            return Some(name);
        }
        let path = name.strip_prefix(method::name(key.method))?;
        let path = path.strip_prefix(' ').filter(|path| path.starts_with('/'));
        path.map(Into::into)
    }
}

fn with_method(key: &OperationKey, path: &str) -> Arc<str> {
    if key.protocol == protocol::HTTP2 {
        return prefixed(key, path);
    }
    format!("{} {path}", method::name(key.method)).into()
}

/// Path or route in the name of an operation that has one; without [`WATCH`], or what is asked for
/// within it.
pub fn path_in<'a>(operation: &'a str, method: Option<&str>) -> Option<&'a str> {
    let path = match method {
        Some(method) => operation.strip_prefix(method)?.strip_prefix(' ')?,
        None => operation,
    };
    let path = path.split(' ').next()?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use weir_common::framing::http1::op_hash;

    use super::*;
    use crate::observe::routes::{RouteRule, Routes, Template};

    fn key(protocol: u8, method: u8, target: &str) -> OperationKey {
        OperationKey {
            protocol,
            method,
            op: op_hash(target.as_bytes()),
        }
    }

    #[test]
    fn operations_of_http_are_shown_under_their_routes() {
        let rule = RouteRule {
            service: Some("shop".into()),
            templates: vec![Template::parse("/users/{id}").unwrap()],
        };
        let mut names = OperationNames::with_routes(16, Routes::new(&[rule]));
        for (protocol, code, service, target, expected, source) in [
            (
                protocol::HTTP1,
                1,
                "shop",
                "/users/42?x",
                "GET /users/{id}",
                Some(RouteSource::Config),
            ),
            (
                protocol::HTTP1,
                1,
                "shop",
                "/users/me",
                "GET /users/{id}",
                Some(RouteSource::Config),
            ),
            (
                protocol::HTTP2,
                3,
                "shop",
                "/users/42",
                "POST /users/{id}",
                Some(RouteSource::Config),
            ),
            (
                protocol::HTTP1,
                1,
                "other",
                "/users/42",
                "GET /users/*",
                Some(RouteSource::Heuristic),
            ),
            (
                protocol::HTTP1,
                2,
                "kv",
                "/v1/kv/a/b",
                "HEAD /v1/kv/{key...}",
                Some(RouteSource::KnownApi),
            ),
            (protocol::REDIS, 0, "shop", "/users/42", "_UNNAMED", None),
        ] {
            let key = key(protocol, code, target);
            match protocol {
                protocol::HTTP1 => drop(names.learn(key, target.as_bytes())),
                _ => names.learn_path(key.op, target.as_bytes()),
            }
            for _ in 0..2 {
                let operation = names.operation(&key, service);
                assert_eq!(
                    (&*operation.name, operation.route_source),
                    (expected, source)
                );
            }
        }
        let unnamed = names.operation(&key(protocol::HTTP1, 1, "/later"), "shop");
        assert_eq!(
            (&*unnamed.name, unnamed.route_source),
            ("GET _UNNAMED", None)
        );
    }

    #[test]
    fn beyond_its_bound_a_service_shows_others() {
        let routes = Routes::default().with_max_operations(1);
        let mut names = OperationNames::with_routes(16, routes);
        for (target, expected, is_folded) in [
            ("/a", "GET /a", false),
            ("/b", "GET _OTHER", true),
            ("/a", "GET /a", false),
        ] {
            let key = key(protocol::HTTP1, 1, target);
            names.learn(key, target.as_bytes());
            let operation = names.operation(&key, "shop");
            assert_eq!(
                (&*operation.name, operation.is_folded),
                (expected, is_folded)
            );
        }
    }

    #[test]
    fn a_route_is_found_in_a_name() {
        for (operation, method, expected) in [
            ("GET /a/{b}", Some("GET"), Some("/a/{b}")),
            (
                "GET /v1/kv/{key...} (watch)",
                Some("GET"),
                Some("/v1/kv/{key...}"),
            ),
            ("/a", None, Some("/a")),
            ("POST /graphql query A", Some("POST"), Some("/graphql")),
            ("GET _OTHER", Some("GET"), None),
            ("GETAWAY", Some("GET"), None),
        ] {
            assert_eq!(path_in(operation, method), expected, "{operation}");
        }
    }
}
