//! Tests of the room as a whole; `world` and `reference` make and judge random cases.

mod diff;
mod engine;
mod explain;
mod files;
mod files_bad;
mod reference;
mod values;
mod world;

use crate::{
    control::api::PolicyFile,
    observe::model::{Workload, WorkloadKind},
};

/// A file of this text.
fn file(text: &str) -> PolicyFile {
    PolicyFile {
        name: "test.yaml".to_owned(),
        text: text.to_owned(),
    }
}

/// A policy document with this `spec`, each line of it indented by two.
fn document(kind: &str, name: &str, spec: &str) -> String {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!("apiVersion: weir.dev/v1\nkind: {kind}\nmetadata: {{ name: {name} }}\nspec:\n{spec}")
}

/// A traffic policy.
fn traffic(name: &str, spec: &str) -> String {
    document("TrafficPolicy", name, spec)
}

/// A workload of this host.
fn workload(id: u64, kind: WorkloadKind, service: &str) -> Workload {
    Workload {
        id,
        service: service.to_owned(),
        namespace: None,
        kind,
        unit: None,
        container: None,
        pod: None,
        process: None,
        attributes: std::collections::BTreeMap::new(),
    }
}
