//! Policy files named on the command line.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use crate::{cli::Failure, control::api::PolicyFile};

/// Reads each path: a file, a folder (its `*.yaml` and `*.yml` in name order), or `-` for stdin.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<PolicyFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push(stdin()?);
        } else if path.is_dir() {
            for file in folder(path)? {
                files.push(one(&file)?);
            }
        } else {
            files.push(one(path)?);
        }
    }
    Ok(files)
}

fn one(path: &Path) -> Result<PolicyFile, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))?;
    Ok(PolicyFile {
        name: path.display().to_string(),
        text,
    })
}

fn stdin() -> Result<PolicyFile, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::failed(format!("stdin cannot be read: {error}")))?;
    Ok(PolicyFile {
        name: "stdin".into(),
        text,
    })
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| {
            file.extension()
                .is_some_and(|end| end == "yaml" || end == "yml")
        })
        .collect();
    files.sort();
    if files.is_empty() {
        let reason = format!("{} holds no *.yaml or *.yml", path.display());
        return Err(Failure::failed(reason));
    }
    Ok(files)
}
