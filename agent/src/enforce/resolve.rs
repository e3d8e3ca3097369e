//! Selectors → the keys by which the kernel knows callers and callees.

use std::collections::BTreeSet;

use weir_common::policy::comm_key;

use super::policy::Match;
use crate::observe::model::{Workload, WorkloadKind};

/// Longest command name that the kernel keeps.
const COMMAND_BYTES: usize = 15;

/// Ids of the workloads of this host that have every field that is asked for.
pub fn workload_ids(wanted: &Match, workloads: &[Workload]) -> BTreeSet<u64> {
    workloads
        .iter()
        .filter(|workload| is_local(workload) && matches(wanted, workload))
        .map(|workload| workload.id)
        .collect()
}

/// Key of the command that the selector names, if it can be told by command alone.
///
/// `process: X` alone always can. `service: X` alone can unless a workload of another service
/// runs a command of that name: the key would match it too.
pub fn command_key(wanted: &Match, workloads: &[Workload]) -> Option<u64> {
    let alone = wanted
        .fields()
        .iter()
        .filter(|(_, value)| value.is_some())
        .count()
        == 1;
    if !alone {
        return None;
    }
    if let Some(command) = &wanted.process {
        return Some(key_of_command(command));
    }
    let service = wanted.service.as_ref()?;
    let taken = workloads.iter().any(|workload| {
        workload.service != *service
            && workload
                .process
                .as_deref()
                .is_some_and(|name| same_command(name, service))
    });
    (service.len() <= COMMAND_BYTES && !service.contains('/') && !taken)
        .then(|| key_of_command(service))
}

/// [`comm_key`] of a command name of any length.
pub fn key_of_command(command: &str) -> u64 {
    let mut comm = [0u8; 16];
    for (to, from) in comm.iter_mut().zip(command.bytes().take(COMMAND_BYTES)) {
        *to = from;
    }
    comm_key(&comm)
}

fn is_local(workload: &Workload) -> bool {
    !matches!(workload.kind, WorkloadKind::Remote | WorkloadKind::Unknown)
}

fn matches(wanted: &Match, workload: &Workload) -> bool {
    let attribute = |name: &str| workload.attributes.get(name).map(String::as_str);
    let field =
        |wanted: &Option<String>, has: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(has);
    field(&wanted.service, &|name| workload.service == name)
        && field(&wanted.namespace, &|name| {
            workload.namespace.as_deref() == Some(name)
                || attribute("k8s.namespace.name") == Some(name)
                || attribute("service.namespace") == Some(name)
        })
        && field(&wanted.unit, &|name| workload.unit.as_deref() == Some(name))
        && field(&wanted.container, &|id| {
            workload
                .container
                .as_deref()
                .is_some_and(|has| same_container(has, id))
        })
        && field(&wanted.pod, &|name| {
            workload.pod.as_deref() == Some(name) || attribute("k8s.pod.name") == Some(name)
        })
        && field(&wanted.process, &|name| {
            workload
                .process
                .as_deref()
                .is_some_and(|has| same_command(has, name))
        })
}

/// Container ids are known in full or by their first 12 digits.
fn same_container(a: &str, b: &str) -> bool {
    let length = a.len().min(b.len());
    length >= 12 && a.as_bytes()[..length].eq_ignore_ascii_case(&b.as_bytes()[..length])
}

/// The kernel cuts command names after 15 bytes.
fn same_command(a: &str, b: &str) -> bool {
    let cut = |name: &str| name.as_bytes()[..name.len().min(COMMAND_BYTES)].to_vec();
    cut(a) == cut(b)
}
