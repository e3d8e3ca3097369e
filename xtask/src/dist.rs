//! `cargo xtask dist`: the release as one archive.

use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::{paths, release, sh};

/// Texts that travel with the binary.
const TEXTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Builds `target/dist/weir-VERSION-ARCH.tar.gz` with the binary, its texts and the dashboards.
pub fn run() -> Result<()> {
    release::build(release::Purpose::Use)?;
    let name = format!(
        "weir-{}-{}-linux",
        env!("CARGO_PKG_VERSION"),
        env::consts::ARCH
    );
    let (folder, dist) = (
        paths::target().join("dist").join(&name),
        paths::target().join("dist"),
    );
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    fs::copy(paths::target().join("release/weir"), folder.join("weir")).context("copy weir")?;
    sh::quiet(sh::command(["strip", "--strip-debug"]).arg(folder.join("weir")))?;
    for text in TEXTS {
        fs::copy(paths::root().join(text), folder.join(text))
            .with_context(|| format!("copy {text}"))?;
    }
    let dashboards = paths::root().join("dashboards");
    if dashboards.exists() {
        sh::quiet(sh::command(["cp", "-r"]).arg(dashboards).arg(&folder))?;
    }
    let archive = dist.join(format!("{name}.tar.gz"));
    let mut tar = sh::command(["tar", "--owner=0", "--group=0", "--sort=name", "-C"]);
    sh::quiet(tar.arg(&dist).arg("-czf").arg(&archive).arg(&name))?;
    println!("{}", archive.display());
    Ok(())
}
