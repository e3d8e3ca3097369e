//! The Python environment with test servers that only PyPI has.

use std::{
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result};

use super::rows;
use crate::{paths, sh};

const REQUIREMENTS: &str = include_str!("../../../tests/servers/pypi.txt");

/// The requirements, unless this very list is installed.
pub fn missing() -> Result<Vec<String>> {
    if stamp().exists() && paths::venv().join("bin/python").exists() {
        return Ok(Vec::new());
    }
    Ok(rows(REQUIREMENTS).map(|row| row[0].to_owned()).collect())
}

/// Makes the environment and installs the list.
pub fn install() -> Result<()> {
    let venv = paths::venv();
    if !venv.join("bin/pip").exists() {
        // Debian's own python3: another first on the path may lack venv.
        let python = ["/usr/bin/python3", "python3"]
            .into_iter()
            .find(|python| sh::which(python).is_some() || fs::exists(python).unwrap_or(false))
            .context("python3 is not installed")?;
        sh::step(sh::command([python, "-m", "venv"]).arg(&venv))?;
    }
    // Not `bin/pip`: that names the folder it was installed in, and a copied workspace has another.
    let mut pip = sh::command([venv.join("bin/python")]);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    sh::step(pip.args(rows(REQUIREMENTS).map(|row| row[0])))?;
    fs::write(stamp(), "").context("write the stamp of the Python environment")
}

/// A file named after the list, so that another list is installed anew.
fn stamp() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    hasher.write(REQUIREMENTS.as_bytes());
    paths::venv().join(format!("weir-{:016x}", hasher.finish()))
}
