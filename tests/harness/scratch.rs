//! Folders that vanish with their handle.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A number that no other handle of this process has.
pub fn unique() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A folder of this test's own.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes `weir-t-<pid>-<n>` in the system's temporary folder.
    pub fn new() -> Self {
        let name = format!("weir-t-{}-{}", process::id(), unique());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("create a scratch folder");
        Self(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("write into the scratch folder");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
