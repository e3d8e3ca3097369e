//! Where programs and maps outlive the daemon: a folder on the bpf file system.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

const BPFFS_MAGIC: i64 = 0xcafe_4a11;

/// The pins of one installation of weir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    root: PathBuf,
}

impl Default for Pins {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/sys/fs/bpf/weir"),
        }
    }
}

impl Pins {
    /// Folder of everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the maps.
    pub fn maps(&self) -> PathBuf {
        self.root.join("maps")
    }

    /// Path of a map.
    pub fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    /// Folder of the links.
    pub fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Path of a hook's link.
    pub fn link(&self, hook: &str) -> PathBuf {
        self.links().join(hook)
    }

    /// True if anything is pinned.
    pub fn exist(&self) -> bool {
        self.map("CONTROL").exists()
    }

    /// Makes the folders, and mounts the bpf file system if it is not there.
    pub fn prepare(&self) -> Result<()> {
        let mount = self.root.parent().context("the pin folder has a parent")?;
        if !is_bpffs(mount) {
            mount_bpffs(mount)?;
        }
        for folder in [self.maps(), self.links()] {
            fs::create_dir_all(&folder).with_context(|| {
                format!(
                    "create {}: is the bpf file system writable?",
                    folder.display()
                )
            })?;
        }
        Ok(())
    }
}

/// True if `path` lies on a bpf file system.
pub fn is_bpffs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == BPFFS_MAGIC)
}

fn mount_bpffs(at: &Path) -> Result<()> {
    if !at.exists() {
        bail!(
            "{} is missing: this kernel has no bpf file system; pins, and with them enforcement \
             that outlives the daemon, need one",
            at.display()
        );
    }
    rustix::mount::mount(
        "bpf",
        at,
        "bpf",
        rustix::mount::MountFlags::NOSUID
            | rustix::mount::MountFlags::NODEV
            | rustix::mount::MountFlags::NOEXEC,
        None::<&std::ffi::CStr>,
    )
    .with_context(|| {
        format!(
            "mount the bpf file system at {}: run `mount -t bpf bpf {}` with the rights to do so",
            at.display(),
            at.display()
        )
    })
}
