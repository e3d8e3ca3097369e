//! Where things lie in the workspace.

use std::path::{Path, PathBuf};

/// The workspace folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ lies in the workspace")
}

/// `target/`: everything that is made or fetched.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The kernel object.
pub fn bpf_object() -> PathBuf {
    target().join("bpf/weir.bpf.o")
}

/// Python environment of the test servers.
pub fn venv() -> PathBuf {
    target().join("venv")
}

/// Programs fetched from other Debian suites.
pub fn tools() -> PathBuf {
    target().join("tools")
}
