//! The policies in force: `enforce` decides what they mean, this keeps them and their file.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, anyhow};
use tracing::{error, warn};
use weir_common::policy::RuleCounter;

use super::policy::{Active, Install, PolicyEngine};
use crate::{
    control::api::{ExplainQuery, Explanation, PolicyFile, PolicyItem, Refusal},
    enforce::{engine::PolicySet, explain::Host},
    observe::model::Workload,
};

/// Who listens at an address on this host, by workload id.
pub type Listener = Box<dyn Fn(IpAddr, u16) -> Option<u64> + Send + Sync>;

/// The policy set with the file that carries it over restarts.
pub struct Policies {
    set: Mutex<PolicySet>,
    /// Holds what was applied over the socket, as YAML.
    kept: PathBuf,
    listener: Mutex<Option<Listener>>,
}

impl Policies {
    /// Takes up what an earlier run kept, then the files of the policy folder, which win.
    ///
    /// A folder that is refused is told and left out: what the pinned programs hold stays.
    pub fn open(
        slots: std::collections::BTreeMap<String, u32>,
        folder: &Path,
        kept: PathBuf,
    ) -> Self {
        let mut set = PolicySet::new(slots);
        for files in [read_kept(&kept), read_folder(folder)] {
            if files.is_empty() {
                continue;
            }
            if let Err(refusals) = set.apply(&files, &[]) {
                for refusal in &refusals {
                    error!(
                        "policy refused: {}:{}: {} ({})",
                        refusal.file, refusal.line, refusal.reason, refusal.remedy
                    );
                }
            }
        }
        Self {
            set: Mutex::new(set),
            kept,
            listener: Mutex::new(None),
        }
    }

    /// Lets `explain` know who listens where.
    pub fn set_listener(&self, listener: Listener) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    fn set(&self) -> MutexGuard<'_, PolicySet> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs what `change` makes of the set; the old set stays if that fails.
    fn change<T>(
        &self,
        install: Install<'_>,
        change: impl FnOnce(&mut PolicySet) -> Result<T, Vec<Refusal>>,
    ) -> Result<T, Vec<Refusal>> {
        let mut set = self.set();
        let mut next = set.clone();
        let answer = change(&mut next)?;
        install(next.rules()).map_err(|error| vec![not_installed(&error)])?;
        for warning in next.warnings() {
            warn!("policy: {warning:?}");
        }
        if let Err(error) = keep(&self.kept, &next.yaml()) {
            warn!("policies are in force, but would not survive a restart: {error:#}");
        }
        *set = next;
        Ok(answer)
    }
}

fn not_installed(error: &anyhow::Error) -> Refusal {
    Refusal {
        file: String::new(),
        line: 0,
        reason: format!("the kernel did not take the rules: {error:#}"),
        remedy: "the old rules stay in force; see `weir status` for the fill of the maps".into(),
    }
}

fn read_kept(path: &Path) -> Vec<PolicyFile> {
    match fs::read_to_string(path) {
        Ok(text) => vec![PolicyFile {
            name: path.display().to_string(),
            text,
        }],
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            error!(
                "{}: {error}: policies applied earlier are not known",
                path.display()
            );
            Vec::new()
        }
    }
}

fn read_folder(folder: &Path) -> Vec<PolicyFile> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ext| ext == "yaml" || ext == "yml")
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| match fs::read_to_string(&path) {
            Ok(text) => Some(PolicyFile {
                name: path.display().to_string(),
                text,
            }),
            Err(error) => {
                error!("{}: {error}", path.display());
                None
            }
        })
        .collect()
}

/// Writes beside the file and renames, so that a crash leaves the old or the new one.
fn keep(path: &Path, yaml: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, yaml).with_context(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("rename to {}", path.display()))
}

impl PolicyEngine for Policies {
    fn apply(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
        install: Install<'_>,
    ) -> Result<Vec<String>, Vec<Refusal>> {
        self.change(install, |set| set.apply(files, workloads))
    }

    fn check(
        &self,
        files: &[PolicyFile],
        workloads: &[Workload],
    ) -> Result<Vec<String>, Vec<Refusal>> {
        self.set().check(files, workloads).map(|(names, _)| names)
    }

    fn delete(&self, name: &str, workloads: &[Workload], install: Install<'_>) -> Result<bool> {
        self.change(install, |set| set.delete(name, workloads))
            .map_err(|refusals| anyhow!("{}", refusals.first().map_or("", |r| &r.reason)))
    }

    fn recompile(&self, workloads: &[Workload], install: Install<'_>) -> Result<()> {
        let mut set = self.set();
        let mut next = set.clone();
        next.recompile(workloads)
            .map_err(|refusals| anyhow!("{}", refusals.first().map_or("", |r| &r.reason)))?;
        install(next.rules())?;
        *set = next;
        Ok(())
    }

    fn active(&self) -> Active {
        let set = self.set();
        Active {
            access: set.rules().has_access_rules(),
            bandwidth: set.rules().has_bandwidth_rules(),
            connections: set.rules().has_connection_limits(),
        }
    }

    fn list(&self, counters: &[(u32, RuleCounter)]) -> Vec<PolicyItem> {
        self.set().list(counters)
    }

    fn yaml(&self) -> String {
        self.set().yaml()
    }

    fn explain(&self, query: &ExplainQuery, workloads: &[Workload]) -> Result<Explanation> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |addr, port| listener.as_ref().and_then(|listener| listener(addr, port));
        Ok(self.set().explain(
            query,
            Host {
                workloads,
                listener: &at,
            },
        )?)
    }

    fn policy_of(&self, slot: u32) -> Option<String> {
        self.set().rules().name_of(slot).map(str::to_owned)
    }
}
