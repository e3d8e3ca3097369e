//! Takes weir out of the kernel: links, programs, maps, folders.

use std::{fs, os::fd::AsFd as _, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{bpffs::Pins, maps::Maps, readers, sys};

/// A paced connection learns of a lifted limit with its next acknowledgement.
const LIFTED: Duration = Duration::from_millis(1500);

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffReport {
    /// Links, and with them their programs.
    pub links: usize,
    /// Maps.
    pub maps: usize,
}

/// Removes everything that is pinned. A program goes with its last link, a map with its last
/// program.
pub fn off() -> Result<OffReport> {
    off_at(&Pins::default())
}

fn off_at(pins: &Pins) -> Result<OffReport> {
    // A socket keeps its pacing rate when the program that set it is gone.
    if Maps::open(pins)
        .and_then(|mut maps| maps.lift_budgets())
        .unwrap_or(false)
    {
        thread::sleep(LIFTED);
    }
    detach_all(&pins.links());
    readers::clear(pins);
    let links = remove_all(&pins.links())?;
    let maps = remove_all(&pins.maps())?;
    if pins.root().exists() {
        fs::remove_dir(pins.root()).with_context(|| format!("remove {}", pins.root().display()))?;
    }
    Ok(OffReport { links, maps })
}

/// Without it the programs would stay in force for moments after `off`: newer kernels free what
/// was pinned only after a grace period.
fn detach_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // What cannot be detached goes with its pin.
        let _ = sys::open_pin(&entry.path()).and_then(|link| sys::detach_link(link.as_fd()));
    }
}

fn remove_all(folder: &Path) -> Result<usize> {
    if !folder.exists() {
        return Ok(0);
    }
    let mut count = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        count += 1;
    }
    fs::remove_dir(folder).with_context(|| format!("remove {}", folder.display()))?;
    Ok(count)
}
