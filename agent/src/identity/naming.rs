//! Who a process is: the workload with its service name. Pure.
//!
//! The first that is known names the service: a rule of the configuration, `OTEL_SERVICE_NAME`
//! (or `service.name` among `OTEL_RESOURCE_ATTRIBUTES`), the pod or container, the systemd unit,
//! the script of an interpreter, the program. A process that forked and runs on with its
//! parent's program (a worker of nginx or gunicorn) is its parent.

use std::{collections::BTreeMap, sync::Arc};

use weir_common::stable_hash;

use super::{
    cgroup::CgroupIdentity,
    container::{ContainerInfo, controller_of},
    procfs::ProcessInfo,
    program::program_name,
    rules::Rules,
};
use crate::observe::model::{Workload, WorkloadKind};

/// What is known of a process when it is named.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The process.
    pub process: &'a ProcessInfo,
    /// What its cgroup says.
    pub cgroup: &'a CgroupIdentity,
    /// What the container manager says, if it runs in a container that one knows.
    pub container: Option<&'a ContainerInfo>,
    /// The workload of a parent that runs the same program.
    pub parent: Option<&'a Arc<Workload>>,
}

/// Names a process.
pub fn name_process(known: &Known<'_>, rules: &Rules) -> Arc<Workload> {
    let process = known.process;
    if process.forked_no_exec
        && let Some(parent) = known.parent
    {
        return Arc::clone(parent);
    }
    let environment = &process.environment;
    let unit = known.cgroup.unit.as_deref();
    let by_rule = rules
        .service(&process.comm, &process.exe, unit)
        .map(str::to_owned);
    let by_environment = || {
        let attribute = environment.attributes.get("service.name").cloned();
        environment.service_name.clone().or(attribute)
    };
    let service = by_rule
        .or_else(by_environment)
        .or_else(|| container_service(known))
        .or_else(|| unit_service(known.cgroup))
        .unwrap_or_else(|| program_name(&process.exe, &process.comm, &process.cmdline));
    let namespace = environment
        .attributes
        .get("service.namespace")
        .cloned()
        .or_else(|| known.container?.namespace.clone());
    let mut attributes = environment.attributes.clone();
    attributes.remove("service.name");
    attributes.remove("service.namespace");
    let parts = Parts {
        service,
        namespace,
        process: Some(process.comm.clone()),
        attributes,
    };
    Arc::new(workload(parts, known.cgroup))
}

/// Names everything in a cgroup at once; `None` for cgroups that are nobody's.
pub fn name_cgroup(
    cgroup: &CgroupIdentity,
    container: Option<&ContainerInfo>,
    rules: &Rules,
) -> Option<Arc<Workload>> {
    let by_container = || container.and_then(container_name);
    // A container without a name is named by its program, so by each process.
    let service = cgroup
        .unit
        .as_deref()
        .and_then(|unit| rules.service("", "", Some(unit)))
        .map(str::to_owned)
        .or_else(by_container)
        .or_else(|| unit_service(cgroup))?;
    let parts = Parts {
        service,
        namespace: container.and_then(|info| info.namespace.clone()),
        process: None,
        attributes: BTreeMap::new(),
    };
    Some(Arc::new(workload(parts, cgroup)))
}

/// Names a process that is gone before it could be read: by its command name.
pub fn name_by_comm(comm: &str) -> Arc<Workload> {
    let parts = Parts {
        service: comm.to_owned(),
        namespace: None,
        process: Some(comm.to_owned()),
        attributes: BTreeMap::new(),
    };
    Arc::new(workload(parts, &CgroupIdentity::default()))
}

struct Parts {
    service: String,
    namespace: Option<String>,
    process: Option<String>,
    attributes: BTreeMap<String, String>,
}

fn workload(parts: Parts, cgroup: &CgroupIdentity) -> Workload {
    let kind = match cgroup {
        CgroupIdentity { pod: Some(_), .. } => WorkloadKind::Pod,
        CgroupIdentity {
            container: Some(_), ..
        } => WorkloadKind::Container,
        CgroupIdentity { unit: Some(_), .. } => WorkloadKind::Unit,
        _ => WorkloadKind::Process,
    };
    Workload {
        id: workload_id(kind, parts.namespace.as_deref(), &parts.service),
        service: parts.service,
        namespace: parts.namespace,
        kind,
        unit: cgroup.unit.clone(),
        container: cgroup.container.clone(),
        pod: cgroup.pod.clone(),
        process: parts.process,
        attributes: parts.attributes,
    }
}

/// The stable id of a workload: hash of `kind/namespace/service`.
pub fn workload_id(kind: WorkloadKind, namespace: Option<&str>, service: &str) -> u64 {
    let kind = match kind {
        WorkloadKind::Unit => "unit",
        WorkloadKind::Container => "container",
        WorkloadKind::Pod => "pod",
        WorkloadKind::Process => "process",
        WorkloadKind::Remote => "remote",
        WorkloadKind::Unknown => "unknown",
    };
    let text = format!("{kind}/{}/{service}", namespace.unwrap_or_default());
    match stable_hash(text.as_bytes()) {
        // Small numbers mean "anybody" and the like in policy keys.
        reserved @ 0..=15 => reserved + 16,
        id => id,
    }
}

fn container_service(known: &Known<'_>) -> Option<String> {
    if let Some(name) = known.container.and_then(container_name) {
        return Some(name);
    }
    let hostname = known.process.environment.hostname.as_deref();
    known.cgroup.pod.as_ref()?;
    hostname.map(|pod| controller_of(pod).to_owned())
}

fn container_name(info: &ContainerInfo) -> Option<String> {
    info.service
        .clone()
        .or_else(|| Some(controller_of(info.pod_name.as_deref()?).to_owned()))
        .or_else(|| info.name.clone())
}

/// `nginx` of `nginx.service`.
fn unit_service(cgroup: &CgroupIdentity) -> Option<String> {
    let unit = cgroup.unit.as_deref()?;
    Some(unit.strip_suffix(".service").unwrap_or(unit).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::rules::ServiceRule;

    fn process(exe: &str, command: &str) -> ProcessInfo {
        ProcessInfo {
            pid: 7,
            comm: "comm".into(),
            exe: exe.into(),
            cmdline: command.split(' ').map(Into::into).collect(),
            ..ProcessInfo::default()
        }
    }

    fn unit(name: &str) -> CgroupIdentity {
        CgroupIdentity {
            unit: Some(name.into()),
            ..CgroupIdentity::default()
        }
    }

    fn pod() -> CgroupIdentity {
        CgroupIdentity {
            container: Some("c".repeat(64)),
            pod: Some("p".into()),
            ..CgroupIdentity::default()
        }
    }

    fn name(process: &ProcessInfo, cgroup: &CgroupIdentity) -> (String, WorkloadKind) {
        let known = Known {
            process,
            cgroup,
            container: None,
            parent: None,
        };
        let workload = name_process(&known, &Rules::default());
        (workload.service.clone(), workload.kind)
    }

    #[test]
    fn names_by_place_and_program() {
        let none = CgroupIdentity::default();
        let nginx = process("/usr/sbin/nginx", "nginx");
        let python = process("/usr/bin/python3", "python3 app.py");
        let mut labelled = python.clone();
        labelled.environment.service_name = Some("checkout".into());
        let mut attributed = python.clone();
        let attributes = &mut attributed.environment.attributes;
        attributes.insert("service.name".into(), "cart".into());
        let mut in_pod = python.clone();
        in_pod.environment.hostname = Some("web-7d4b9c8f6d-x2x4z".into());
        for (process, cgroup, service, kind) in [
            (&nginx, unit("web.service"), "web", WorkloadKind::Unit),
            (&nginx, none.clone(), "nginx", WorkloadKind::Process),
            (&python, none.clone(), "app", WorkloadKind::Process),
            (&labelled, unit("x.service"), "checkout", WorkloadKind::Unit),
            (&labelled, pod(), "checkout", WorkloadKind::Pod),
            (&attributed, none.clone(), "cart", WorkloadKind::Process),
            (&in_pod, pod(), "web", WorkloadKind::Pod),
            (&in_pod, none, "app", WorkloadKind::Process),
            (&python, pod(), "app", WorkloadKind::Pod),
        ] {
            assert_eq!(name(process, &cgroup), (service.to_owned(), kind));
        }
    }

    #[test]
    fn a_rule_goes_before_everything() {
        let mut process = process("/usr/bin/python3", "python3 app.py");
        process.environment.service_name = Some("checkout".into());
        let rules = Rules::new(
            vec![ServiceRule {
                name: "payments".into(),
                unit: Some("x.service".into()),
                ..ServiceRule::default()
            }],
            &[],
        );
        let cgroup = unit("x.service");
        let known = Known {
            process: &process,
            cgroup: &cgroup,
            container: None,
            parent: None,
        };
        assert_eq!(name_process(&known, &rules).service, "payments");
        let named = name_cgroup(&cgroup, None, &rules).expect("a unit");
        assert_eq!(named.service, "payments");
        assert_eq!(name_cgroup(&CgroupIdentity::default(), None, &rules), None);
        assert_eq!(name_cgroup(&pod(), None, &rules), None);
    }

    #[test]
    fn workers_belong_to_their_parent_and_executed_children_do_not() {
        let parent = name_by_comm("nginx");
        let cgroup = CgroupIdentity::default();
        for (forked, expected) in [(true, "nginx"), (false, "helper")] {
            let mut process = process("/usr/bin/helper", "helper");
            process.forked_no_exec = forked;
            let known = Known {
                process: &process,
                cgroup: &cgroup,
                container: None,
                parent: Some(&parent),
            };
            assert_eq!(name_process(&known, &Rules::default()).service, expected);
        }
    }

    #[test]
    fn managers_name_containers_and_pods() {
        let process = process("/usr/bin/python3", "python3 app.py");
        for (info, service, namespace) in [
            (
                ContainerInfo {
                    name: Some("shop-web-1".into()),
                    service: Some("web".into()),
                    ..ContainerInfo::default()
                },
                "web",
                None,
            ),
            (
                ContainerInfo {
                    name: Some("main".into()),
                    pod_name: Some("api-0".into()),
                    namespace: Some("shop".into()),
                    ..ContainerInfo::default()
                },
                "api",
                Some("shop"),
            ),
        ] {
            let cgroup = pod();
            let known = Known {
                process: &process,
                cgroup: &cgroup,
                container: Some(&info),
                parent: None,
            };
            let workload = name_process(&known, &Rules::default());
            assert_eq!(workload.service, service);
            assert_eq!(workload.namespace.as_deref(), namespace);
        }
    }

    #[test]
    fn ids_are_stable_and_tell_kind_namespace_and_name_apart() {
        let id = |kind, namespace, service| workload_id(kind, namespace, service);
        let unit = id(WorkloadKind::Unit, None, "web");
        assert_eq!(unit, stable_hash(b"unit//web"));
        assert_ne!(unit, id(WorkloadKind::Process, None, "web"));
        assert_ne!(unit, id(WorkloadKind::Unit, Some("shop"), "web"));
    }
}
