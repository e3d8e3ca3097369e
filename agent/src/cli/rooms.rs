//! The seams between the command line and the rooms that do the work without a socket: the
//! daemon, the kernel room, replay. Each function is one call into its room.

use std::path::Path;

use rustix::thread::{CapabilitySet, capabilities};

use super::Failure;
use crate::{
    config::Config,
    control::api::{DoctorItem, OffReport},
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

/// Reads a capture and writes its exchanges.
pub fn replay(file: &Path) -> anyhow::Result<()> {
    anyhow::bail!(
        "{} cannot be read: this build of weir holds no replay",
        file.display()
    )
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
