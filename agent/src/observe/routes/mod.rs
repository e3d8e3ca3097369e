//! Routes: what an HTTP operation is called, so that names stay few.
//!
//! ```text
//!  normalised path ─▶ config ─▶ known APIs ─▶ learned ─▶ as it is
//!                    [[routes]]  Consul, Eureka   /users/{…}   /users/*
//! ```
//!
//! Several counters of the kernel may belong to one route; none belongs to two.

mod known;
mod learned;
mod source;
mod template;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use self::{known::is_blocking, source::RouteSource, template::Template};
use self::{
    known::{CONSUL, EUREKA, EUREKA_ROOTS},
    learned::Tree,
};

/// Operations that a service may show; further ones are `_OTHER`.
const MAX_OPERATIONS: usize = 500;
/// Services whose paths are learned apart; further ones share.
const MAX_SERVICES: usize = 1_024;
/// Segments learned over all services.
const MAX_NODES: usize = 65_536;

/// Rule `[[routes]]` of the configuration: routes of one service, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Service that is called; all if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Its routes.
    pub templates: Vec<Template>,
}

/// A path's name, with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `/users/{id}`.
    pub path: String,
    /// Who says so.
    pub source: RouteSource,
}

/// All routes, and what was learned of services.
#[derive(Debug)]
pub struct Routes {
    /// Those of the configuration, in the order of preference.
    rules: Vec<(Option<String>, Template)>,
    known: Vec<Template>,
    services: HashMap<String, Service>,
    nodes: usize,
    generation: u64,
    max_operations: usize,
}

/// What was learned of a service.
#[derive(Debug, Default)]
struct Service {
    tree: Tree,
    operations: HashSet<String>,
}

impl Default for Routes {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Routes {
    /// The routes of a configuration beside the built-in ones.
    pub fn new(rules: &[RouteRule]) -> Self {
        let mut rules: Vec<(Option<String>, Template)> = rules
            .iter()
            .flat_map(|rule| {
                let service = &rule.service;
                rule.templates
                    .iter()
                    .map(|template| (service.clone(), template.clone()))
            })
            .collect();
        rules.sort_by_key(|(service, template)| (service.is_none(), template.rank()));
        Self {
            rules,
            known: known_templates(),
            services: HashMap::new(),
            nodes: 0,
            generation: 0,
            max_operations: MAX_OPERATIONS,
        }
    }

    /// Another bound on the operations of a service.
    #[must_use]
    pub fn with_max_operations(self, max_operations: usize) -> Self {
        Self {
            max_operations,
            ..self
        }
    }

    /// Grows when names given before may be others now.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The route of a normalised path that `service` serves.
    pub fn find(&self, service: &str, path: &str) -> Route {
        if let Some(template) = self.named(service, path) {
            return template;
        }
        let tree = self.service(service).map(|service| &service.tree);
        match tree.and_then(|tree| tree.template(path)) {
            Some(path) => Route {
                path,
                source: RouteSource::Learned,
            },
            None => Route {
                path: path.into(),
                source: RouteSource::Heuristic,
            },
        }
    }

    /// Takes up a path that has no name of its own.
    pub fn learn(&mut self, service: &str, path: &str) {
        if self.nodes >= MAX_NODES || !path.starts_with('/') || self.named(service, path).is_some()
        {
            return;
        }
        let service = self.service_mut(service);
        let before = service.tree.nodes();
        let folded = service.tree.learn(path);
        let after = service.tree.nodes();
        self.nodes = self.nodes + after - before;
        self.generation += u64::from(folded);
    }

    /// True if the service may show this operation: it does already, or has not too many yet.
    pub fn admit(&mut self, service: &str, operation: &str) -> bool {
        let max = self.max_operations;
        let operations = &mut self.service_mut(service).operations;
        if operations.contains(operation) {
            return true;
        }
        operations.len() < max && operations.insert(operation.into())
    }

    fn named(&self, service: &str, path: &str) -> Option<Route> {
        let of_config = self.rules.iter().find(|(of, template)| {
            of.as_deref().is_none_or(|of| of == service) && template.matches(path)
        });
        let found = match of_config {
            Some((_, template)) => (template, RouteSource::Config),
            None => {
                let known = self.known.iter().find(|known| known.matches(path))?;
                (known, RouteSource::KnownApi)
            }
        };
        Some(Route {
            path: found.0.text().into(),
            source: found.1,
        })
    }

    fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).or_else(|| self.services.get(""))
    }

    fn service_mut(&mut self, name: &str) -> &mut Service {
        let is_known = self.services.contains_key(name);
        let name = if is_known || self.services.len() < MAX_SERVICES {
            name
        } else {
            ""
        };
        self.services.entry(name.into()).or_default()
    }
}

fn known_templates() -> Vec<Template> {
    let eureka = EUREKA_ROOTS
        .iter()
        .flat_map(|root| EUREKA.iter().map(move |path| format!("{root}{path}")));
    let all = CONSUL.iter().map(|path| (*path).to_owned()).chain(eureka);
    let mut templates: Vec<Template> = all.filter_map(|path| Template::parse(&path).ok()).collect();
    templates.sort_by_key(Template::rank);
    templates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(service: Option<&str>, templates: &[&str]) -> RouteRule {
        RouteRule {
            service: service.map(Into::into),
            templates: templates
                .iter()
                .map(|text| Template::parse(text).unwrap())
                .collect(),
        }
    }

    #[test]
    fn the_configuration_goes_before_known_apis_and_those_before_guesses() {
        let routes = Routes::new(&[
            rule(None, &["/{any...}", "/users/{id}"]),
            rule(Some("shop"), &["/users/{name}", "/users/me"]),
            rule(Some("kv"), &["/v1/kv/{bucket}/{key...}"]),
        ]);
        let none = Routes::default();
        for (routes, service, path, expected, source) in [
            (
                &routes,
                "shop",
                "/users/me",
                "/users/me",
                RouteSource::Config,
            ),
            (
                &routes,
                "shop",
                "/users/*",
                "/users/{name}",
                RouteSource::Config,
            ),
            (
                &routes,
                "other",
                "/users/me",
                "/users/{id}",
                RouteSource::Config,
            ),
            (&routes, "other", "/x/y", "/{any...}", RouteSource::Config),
            (
                &routes,
                "kv",
                "/v1/kv/a/b",
                "/v1/kv/{bucket}/{key...}",
                RouteSource::Config,
            ),
            (
                &none,
                "kv",
                "/v1/kv/a/b",
                "/v1/kv/{key...}",
                RouteSource::KnownApi,
            ),
            (&none, "", "/users/*", "/users/*", RouteSource::Heuristic),
        ] {
            let route = routes.find(service, path);
            assert_eq!(
                (route.path.as_str(), route.source),
                (expected, source),
                "{path}"
            );
        }
    }

    #[test]
    fn apis_of_service_discovery_are_known() {
        let routes = Routes::default();
        assert_eq!(routes.known.len(), CONSUL.len() + 2 * EUREKA.len());
        for (path, expected) in [
            ("/v1/health/service/web", "/v1/health/service/{service}"),
            ("/v1/agent/service/register", "/v1/agent/service/register"),
            ("/v1/agent/service/web", "/v1/agent/service/{id}"),
            (
                "/v1/agent/service/deregister/*",
                "/v1/agent/service/deregister/{id}",
            ),
            ("/v1/catalog/items", "/v1/catalog/items"),
            ("/eureka/apps/", "/eureka/apps"),
            ("/eureka/apps/delta", "/eureka/apps/delta"),
            ("/eureka/apps/SHOP", "/eureka/apps/{app}"),
            ("/eureka/v2/apps/SHOP/*", "/eureka/v2/apps/{app}/{instance}"),
            (
                "/eureka/apps/SHOP/*/status",
                "/eureka/apps/{app}/{instance}/status",
            ),
        ] {
            assert_eq!(routes.find("any", path).path, expected, "{path}");
        }
    }

    #[test]
    fn names_learned_of_one_service_are_not_those_of_another() {
        let mut routes = Routes::default();
        for n in 0..=learned::MAX_CHILDREN {
            let word: String = format!("{n:03}")
                .bytes()
                .map(|b| char::from(b + 49))
                .collect();
            routes.learn("shop", &format!("/u/{word}"));
            routes.learn("kv", &format!("/v1/kv/{word}"));
        }
        assert_eq!(routes.generation(), 1, "what has a name needs none");
        let of = |service, path| routes.find(service, path).path;
        assert_eq!(of("shop", "/u/abc"), "/u/{…}");
        assert_eq!(of("other", "/u/abc"), "/u/abc");
    }

    #[test]
    fn a_service_shows_so_many_operations_and_no_more() {
        let mut routes = Routes::default().with_max_operations(2);
        for (service, operation, expected) in [
            ("a", "GET /x", true),
            ("a", "GET /y", true),
            ("a", "GET /z", false),
            ("a", "GET /x", true),
            ("b", "GET /z", true),
        ] {
            assert_eq!(
                routes.admit(service, operation),
                expected,
                "{service} {operation}"
            );
        }
    }
}
