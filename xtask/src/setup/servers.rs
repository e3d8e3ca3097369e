//! Real servers of the tests: Debian packages of this system, and programs of other suites.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use super::rows;
use crate::{debian::Debian, paths, sh};

const PACKAGES: &str = include_str!("../../../tests/servers/debian.txt");
const FOREIGN: &str = include_str!("../../../tests/servers/foreign.txt");

/// Packages whose proof is not there.
pub fn missing_packages() -> Result<Vec<String>> {
    Ok(rows(PACKAGES)
        .filter(|row| !is_there(row[1]))
        .map(|row| row[0].to_owned())
        .collect())
}

/// A path must exist; a bare word must be a program on the search path.
fn is_there(proof: &str) -> bool {
    if proof.contains('/') {
        Path::new(proof).exists()
    } else {
        sh::which(proof).is_some()
    }
}

/// Installs them with apt.
pub fn install_packages() -> Result<()> {
    apt_install(&missing_packages()?)
}

/// `apt-get install`, or, without the right, an error with the command that has it.
pub fn apt_install(packages: &[String]) -> Result<()> {
    let list = packages.join(" ");
    if sh::which("apt-get").is_none() {
        bail!("this system has no apt-get; install the equivalents of: {list}");
    }
    if !sh::is_root() {
        bail!(
            "installing packages needs root; run\n    sudo apt-get update && sudo apt-get install \
             -y --no-install-recommends {list}\nand then `cargo xtask setup` again"
        );
    }
    sh::step(&mut sh::command(["apt-get", "-q", "update"]))?;
    let mut apt = sh::command(["apt-get", "-q", "install", "-y", "--no-install-recommends"]);
    sh::step(apt.args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Programs of other suites that are not unpacked yet.
pub fn missing_foreign() -> Result<Vec<String>> {
    Ok(rows(FOREIGN)
        .filter(|row| !paths::tools().join(program_of(row)).exists())
        .map(|row| row[1].to_owned())
        .collect())
}

/// Unpacks them into `target/tools`.
pub fn install_foreign() -> Result<()> {
    let debian = Debian::open()?;
    fs::create_dir_all(paths::tools())?;
    for row in rows(FOREIGN) {
        let program = paths::tools().join(program_of(&row));
        if program.exists() {
            continue;
        }
        let (suite, package) = (row[0], row[1]);
        let unpacked = paths::target().join("debian/unpacked").join(package);
        debian.unpack(&format!("{package}/{suite}"), &unpacked)?;
        let from = unpacked.join(row[2]);
        fs::copy(&from, &program).with_context(|| format!("copy {}", from.display()))?;
        let _ = fs::remove_dir_all(&unpacked);
    }
    Ok(())
}

fn program_of<'a>(row: &[&'a str]) -> &'a str {
    row[2].rsplit('/').next().unwrap_or(row[2])
}
