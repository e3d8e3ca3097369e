//! What the kernel holds of weir: programs by id, pins in bpffs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::must;

/// Where cgroup v2 is mounted: alone, or beside the old hierarchies.
///
/// # Panics
/// If it is not.
pub fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").expect("read the mounts");
    let line = mounts.lines().find(|line| line.contains(" cgroup2 "));
    let place = line.and_then(|line| line.split(' ').nth(1));
    PathBuf::from(place.expect("cgroup v2 is mounted"))
}

/// True if this kernel is of this release or a later one.
///
/// # Panics
/// If it does not say which one it is.
pub fn is_at_least(major: u32, minor: u32) -> bool {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let running = number().zip(number()).expect("two numbers");
    running >= (major, minor)
}

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

/// The value of a map of one slot.
///
/// # Panics
/// If there is no map of that name, or several.
pub fn map_value(name: &str) -> Vec<u8> {
    let text = must(Command::new("bpftool").args(["map", "dump", "name", name, "-j"]));
    let slots: serde_json::Value = serde_json::from_str(&text).expect("bpftool's JSON");
    let bytes = slots[0]["value"].as_array().expect("the bytes of a value");
    let byte = |byte: &serde_json::Value| {
        let digits = byte.as_str()?.strip_prefix("0x")?;
        u8::from_str_radix(digits, 16).ok()
    };
    bytes
        .iter()
        .map(|word| byte(word).expect("a byte"))
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
