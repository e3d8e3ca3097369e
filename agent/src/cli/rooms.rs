//! The seams between the command line and the rooms that do the work without a socket: the
//! daemon, the kernel room, replay. Each function is one call into its room.

use std::{collections::BTreeMap, path::Path};

use rustix::thread::{CapabilitySet, capabilities};

use super::Failure;
use crate::{
    config::Config,
    control::api::{DoctorItem, OffReport, PolicyFile, Refusal},
    observe::model::Exchange,
};

/// Runs the daemon until it is told to end.
pub fn run(config: Config) -> anyhow::Result<()> {
    let _ = config;
    anyhow::bail!("the kernel room cannot start: this build of weir holds no kernel programs")
}

/// Removes everything of weir from the kernel.
pub fn off() -> anyhow::Result<OffReport> {
    anyhow::bail!("the kernel room cannot start: this build of weir holds no kernel programs")
}

/// Finds out what this host can do.
pub fn doctor() -> anyhow::Result<Vec<DoctorItem>> {
    anyhow::bail!("the kernel room cannot start: this build of weir holds no kernel programs")
}

/// What a replay read, and what it could not.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// seen / (seen + lost).
    pub completeness: f64,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    /// Packets that could not be read.
    pub unreadable: u64,
    /// Why reading ended before the end of the file, if it did.
    pub damaged: Option<String>,
}

/// Reads a capture and hands each exchange to `sink`.
pub fn replay(file: &Path, sink: &mut dyn FnMut(Exchange)) -> anyhow::Result<Replayed> {
    let _ = sink;
    anyhow::bail!(
        "{} cannot be read: this build of weir holds no replay",
        file.display()
    )
}

/// Checks policy files without a daemon; `None` if this build cannot.
pub fn check_policies(files: &[PolicyFile]) -> Option<Result<Vec<String>, Vec<Refusal>>> {
    let _ = files;
    None
}

/// Fails with exit code 4 and one sentence unless this process may load programs.
pub fn need_rights(command: &str) -> Result<(), Failure> {
    let needed = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::NET_ADMIN;
    let enough = capabilities(None).is_ok_and(|sets| {
        sets.effective.contains(needed) || sets.effective.contains(CapabilitySet::SYS_ADMIN)
    });
    if enough {
        return Ok(());
    }
    Err(Failure::permission(format!(
        "{command} needs root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN): run `sudo {command}`"
    )))
}
