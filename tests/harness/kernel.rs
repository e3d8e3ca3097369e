//! What the kernel holds of weir: programs by id, pins in bpffs.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::process::must;

/// Loaded BPF programs: id → name.
pub fn programs() -> BTreeMap<u64, String> {
    let text = must(Command::new("bpftool").args(["prog", "show", "-j"]));
    let programs: Vec<serde_json::Value> = serde_json::from_str(&text).expect("bpftool's JSON");
    programs
        .iter()
        .filter_map(|program| {
            let id = program["id"].as_u64()?;
            Some((id, program["name"].as_str().unwrap_or("?").to_owned()))
        })
        .collect()
}

/// Files under bpffs whose path says weir.
pub fn pins() -> Vec<String> {
    let mut found = Vec::new();
    collect(Path::new("/sys/fs/bpf"), &mut found);
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.to_string_lossy().contains("weir") {
            found.push(path.display().to_string());
        }
        if path.is_dir() {
            collect(&path, found);
        }
    }
}
