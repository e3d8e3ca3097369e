//! `cargo xtask build-ebpf`: the kernel programs, into `target/bpf/weir.bpf.o`.

use std::{
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    paths, sh,
    toolchain::{self, BpfToolchain},
};

/// Full debug info carries the BTF, and v3 has the 32-bit jumps and atomics with results.
const RUSTFLAGS: &str = "-C linker=bpf-linker -C link-arg=--btf -C debuginfo=2 -C target-cpu=v3";
const TARGET: &str = "bpfel-unknown-none";

/// Options of `build-ebpf`.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Build even when no source changed
    #[arg(long)]
    force: bool,
}

/// Builds the object unless it is newer than every change of its sources.
pub fn run(arguments: &Arguments) -> Result<()> {
    let object = paths::bpf_object();
    // Not beside the object: the agent is compiled again when that folder changes.
    let stamp = paths::target().join("bpf-build/weir.stamp");
    let fingerprint = fingerprint()?;
    let known = fs::read_to_string(&stamp).unwrap_or_default();
    if !arguments.force && object.exists() && known == fingerprint {
        eprintln!("build-ebpf: {} is up to date", shown(&object));
        return Ok(());
    }
    build(&object)?;
    fs::write(&stamp, fingerprint).with_context(|| format!("write {}", stamp.display()))?;
    let size = fs::metadata(&object)?.len();
    eprintln!("build-ebpf: {} ({} KiB)", shown(&object), size / 1024);
    Ok(())
}

fn build(object: &Path) -> Result<()> {
    let toolchain = BpfToolchain::find()
        .context("no toolchain can build the kernel programs; run `cargo xtask setup`")?;
    toolchain::bpf_linker().with_context(|| {
        let version = toolchain::BPF_LINKER_VERSION;
        format!("bpf-linker {version} is not installed; run `cargo xtask setup`")
    })?;
    let target_folder = paths::target().join("bpf-build");
    let mut cargo = toolchain.cargo()?;
    cargo
        .current_dir(paths::root())
        .env("RUSTFLAGS", RUSTFLAGS)
        .args(["build", "--release", "--locked", "-Zbuild-std=core"])
        .args(["--target", TARGET, "-p", "weir-ebpf", "--target-dir"])
        .arg(&target_folder);
    sh::step(&mut cargo)?;
    let built = target_folder.join(TARGET).join("release/weir");
    let folder = object.parent().expect("the object lies in a folder");
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let bytes = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
    // An equal object keeps its time, so that the agent is not compiled again for nothing.
    if fs::read(object).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    fs::write(object, bytes).with_context(|| format!("write {}", object.display()))
}

/// A hash over the recipe and every source of the object.
fn fingerprint() -> Result<String> {
    let mut files = vec![
        paths::root().join("Cargo.toml"),
        paths::root().join("Cargo.lock"),
    ];
    for crate_folder in ["common", "ebpf"] {
        files.push(paths::root().join(crate_folder).join("Cargo.toml"));
        collect(&paths::root().join(crate_folder).join("src"), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    hasher.write(RUSTFLAGS.as_bytes());
    for file in files {
        let text = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        hasher.write(file.as_os_str().as_encoded_bytes());
        hasher.write(&text);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    let short = path.strip_prefix(paths::root()).unwrap_or(path);
    short.display().to_string()
}
