//! Who a point or span speaks for: OpenTelemetry resources of workloads and of weir itself.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{
    export::names::attr,
    observe::model::{Endpoint, Workload, WorkloadKind},
};

/// Resource attributes in name order; equal attributes are one resource. Clones are cheap and
/// quick to compare, because every point of a collection carries one in its key.
#[derive(Clone, Debug, Default)]
pub struct Resource(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    fingerprint: u64,
    attributes: BTreeMap<String, String>,
}

impl Resource {
    /// The resource that `attributes` describe.
    pub fn new(attributes: BTreeMap<String, String>) -> Self {
        let mut fingerprint = weir_common::FNV_OFFSET;
        for text in attributes.iter().flat_map(|(name, value)| [name, value]) {
            let bytes = text.bytes().chain([0]);
            fingerprint = bytes.fold(fingerprint, weir_common::fnv1a_step);
        }
        Self(Arc::new(Inner {
            fingerprint,
            attributes,
        }))
    }

    /// All attributes.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.0.attributes
    }

    /// Value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.attributes.get(name).map(String::as_str)
    }
}

impl Ord for Resource {
    /// By fingerprint, so that long common prefixes of attributes cost nothing.
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        let fingerprints = self.0.fingerprint.cmp(&other.0.fingerprint);
        fingerprints.then_with(|| self.0.attributes.cmp(&other.0.attributes))
    }
}

impl PartialOrd for Resource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Resource {}

impl Hash for Resource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.fingerprint.hash(state);
    }
}

/// Resources of workloads and nameless ends, made once each.
pub struct Resources<'a> {
    host: &'a Host,
    by_workload: HashMap<*const Workload, Resource>,
    all: HashSet<Resource>,
}

impl<'a> Resources<'a> {
    /// Resources on `host`.
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            by_workload: HashMap::new(),
            all: HashSet::new(),
        }
    }

    /// The resource of a workload, which has to outlive `self`: its address is its key.
    pub fn of(&mut self, workload: &'a Arc<Workload>) -> Resource {
        if let Some(made) = self.by_workload.get(&Arc::as_ptr(workload)) {
            return made.clone();
        }
        let made = self.interned(self.host.workload(workload));
        self.by_workload.insert(Arc::as_ptr(workload), made.clone());
        made
    }

    /// The resource of an end on this host that has no workload (yet).
    pub fn unnamed(&mut self, end: &Endpoint) -> Resource {
        self.interned(self.host.unnamed(end))
    }

    fn interned(&mut self, resource: Resource) -> Resource {
        if let Some(there) = self.all.get(&resource) {
            return there.clone();
        }
        self.all.insert(resource.clone());
        resource
    }
}

/// This host as resources name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `host.name`.
    pub name: String,
    /// Version of weir.
    pub version: String,
}

impl Host {
    /// weir's own resource.
    pub fn agent(&self) -> Resource {
        let instance = format!("weir@{}", self.name);
        Resource::new(
            [
                (attr::SERVICE_NAME, "weir"),
                (attr::SERVICE_VERSION, &self.version),
                (attr::SERVICE_INSTANCE, &instance),
                (attr::HOST_NAME, &self.name),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        )
    }

    /// The resource of a workload. What the workload says of itself in
    /// `OTEL_RESOURCE_ATTRIBUTES` stands, except for its name, which weir has already settled.
    pub fn workload(&self, workload: &Workload) -> Resource {
        let mut attributes = workload.attributes.clone();
        let mut offer = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                attributes
                    .entry(name.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        };
        offer(attr::SERVICE_NAMESPACE, workload.namespace.as_deref());
        offer(attr::SERVICE_INSTANCE, Some(&self.instance(workload)));
        offer(attr::HOST_NAME, Some(&self.name));
        offer(attr::CONTAINER_ID, workload.container.as_deref());
        offer(attr::K8S_POD_UID, workload.pod.as_deref());
        offer(attr::PROCESS_EXECUTABLE, workload.process.as_deref());
        offer(attr::UNIT, workload.unit.as_deref());
        if workload.kind == WorkloadKind::Pod {
            offer(attr::K8S_NAMESPACE, workload.namespace.as_deref());
        }
        attributes.insert(attr::SERVICE_NAME.to_owned(), workload.service.clone());
        Resource::new(attributes)
    }

    /// The resource of an end on this host that has no workload (yet): what its endpoint tells.
    pub fn unnamed(&self, end: &Endpoint) -> Resource {
        let instance = end.instance.as_deref().unwrap_or(&end.service);
        let mut attributes: BTreeMap<String, String> = [
            (attr::SERVICE_NAME, end.service.clone()),
            (attr::SERVICE_INSTANCE, format!("{instance}@{}", self.name)),
            (attr::HOST_NAME, self.name.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(namespace) = &end.namespace {
            attributes.insert(attr::SERVICE_NAMESPACE.to_owned(), namespace.clone());
        }
        Resource::new(attributes)
    }

    /// Container ids and pod uids are unique in the world; all else only on its host.
    fn instance(&self, workload: &Workload) -> String {
        let unique = workload.container.as_deref().or(workload.pod.as_deref());
        if let Some(id) = unique {
            return id.to_owned();
        }
        let local = workload.unit.as_deref().or(workload.process.as_deref());
        format!("{}@{}", local.unwrap_or(&workload.service), self.name)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn host() -> Host {
        Host {
            name: "node-1".into(),
            version: "0.1.0".into(),
        }
    }

    pub(crate) fn unit(service: &str) -> Arc<Workload> {
        Arc::new(Workload {
            id: weir_common::stable_hash(service.as_bytes()),
            service: service.into(),
            namespace: None,
            kind: WorkloadKind::Unit,
            unit: Some(format!("{service}.service")),
            container: None,
            pod: None,
            process: Some(service.into()),
            attributes: BTreeMap::new(),
        })
    }

    fn check(workload: &Workload, expected: &[(&str, &str)]) {
        let resource = host().workload(workload);
        for (name, value) in expected {
            assert_eq!(resource.get(name), Some(*value), "{name} in {resource:?}");
        }
    }

    #[test]
    fn workloads_are_told_by_what_they_are() {
        check(
            &unit("nginx"),
            &[
                ("service.name", "nginx"),
                ("service.instance.id", "nginx.service@node-1"),
                ("host.name", "node-1"),
                ("process.executable.name", "nginx"),
                ("weir.unit", "nginx.service"),
            ],
        );
        let mut pod = Workload::clone(&unit("cart"));
        pod.kind = WorkloadKind::Pod;
        pod.namespace = Some("shop".into());
        pod.container = Some("c0ffee".into());
        pod.pod = Some("1-2-3".into());
        pod.attributes = [
            ("service.name", "liar"),
            ("service.instance.id", "cart-7"),
            ("deployment.environment.name", "test"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        check(
            &pod,
            &[
                ("service.name", "cart"),
                ("service.namespace", "shop"),
                ("k8s.namespace.name", "shop"),
                ("service.instance.id", "cart-7"),
                ("container.id", "c0ffee"),
                ("k8s.pod.uid", "1-2-3"),
                ("deployment.environment.name", "test"),
            ],
        );
        assert_eq!(host().agent().get("service.name"), Some("weir"));
    }
}
