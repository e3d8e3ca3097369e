//! `cargo xtask check`: format, lints and tidiness, before a commit.

use anyhow::{Result, bail};

use crate::{paths, sh, tidy};

/// Runs every check to the end, and fails if any of them failed.
pub fn run() -> Result<()> {
    let format = ["cargo", "fmt", "--all", "--check"];
    // The kernel crate builds for bpfel only; its compiler warnings show in build-ebpf.
    let lint = [
        "cargo",
        "clippy",
        "--workspace",
        "--exclude",
        "weir-ebpf",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    let results = [
        sh::step(sh::command(format).current_dir(paths::root())),
        sh::step(sh::command(lint).current_dir(paths::root())),
        tidy::run(),
    ];
    let failed = results.iter().filter(|result| result.is_err()).count();
    for error in results.into_iter().filter_map(Result::err) {
        eprintln!("check: {error:#}");
    }
    if failed > 0 {
        bail!("{failed} of 3 checks failed");
    }
    Ok(())
}
