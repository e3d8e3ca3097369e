//! The BPF toolchain: found, or installed by the recipe that this machine allows.

use std::path::Path;

use anyhow::{Result, bail};

use super::servers::apt_install;
use crate::{
    sh,
    toolchain::{BPF_LINKER_VERSION, BpfToolchain, bpf_linker, nightly_sysroot},
};

/// Debian's packages: a compiler of 1.96 with the source of the very same core.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What is missing of the toolchain.
pub fn missing() -> Result<Vec<String>> {
    let mut missing = Vec::new();
    if BpfToolchain::find().is_none() {
        missing.push("a compiler for bpfel-unknown-none".to_owned());
    }
    if bpf_linker().is_none() {
        missing.push(format!("bpf-linker {BPF_LINKER_VERSION}"));
    }
    Ok(missing)
}

/// In words, what was found.
pub fn describe() -> String {
    BpfToolchain::find().map_or_else(
        || "no BPF toolchain".to_owned(),
        |toolchain| format!("kernel programs are built by {}", toolchain.describe()),
    )
}

/// Installs what is missing.
pub fn install() -> Result<()> {
    if BpfToolchain::find().is_none() {
        install_compiler()?;
    }
    if bpf_linker().is_none() {
        install_linker()?;
    }
    Ok(())
}

fn install_compiler() -> Result<()> {
    if debian_offers() {
        eprintln!("setup: recipe: Debian's rustc-web with its matching source");
        return apt_install(&DEBIAN_PACKAGES.map(str::to_owned));
    }
    if sh::which("rustup").is_none() {
        bail!(
            "this system offers neither Debian's rustc-web nor rustup; install rustup \
             (https://rustup.rs) and run `cargo xtask setup` again"
        );
    }
    eprintln!("setup: recipe: rustup nightly with rust-src");
    if nightly_sysroot().is_none() {
        let mut rustup = sh::command(["rustup", "toolchain", "install", "nightly"]);
        sh::step(rustup.args(["--profile", "minimal"]))?;
    }
    let mut rustup = sh::command(["rustup", "component", "add", "rust-src"]);
    sh::step(rustup.args(["--toolchain", "nightly"]))
}

/// True if apt knows `rustc-web` (lists may be empty on a fresh machine: Debian 12 decides then).
fn debian_offers() -> bool {
    if sh::which("apt-get").is_none() {
        return false;
    }
    let shown = sh::capture(&mut sh::command(["apt-cache", "show", "rustc-web"]));
    shown.is_ok_and(|text| !text.is_empty())
        || std::fs::read_to_string("/etc/os-release").is_ok_and(|text| {
            text.lines().any(|line| line == "ID=debian")
                && text.lines().any(|line| line == "VERSION_ID=\"12\"")
        })
}

fn install_linker() -> Result<()> {
    eprintln!("setup: building bpf-linker {BPF_LINKER_VERSION} takes about three minutes");
    // A C++ runtime and zlib are linked in by the LLVM bindings of bpf-linker.
    if !Path::new("/usr/bin/cc").exists() {
        apt_install(&["build-essential".to_owned()])?;
    }
    let mut cargo = sh::command(["cargo", "install", "bpf-linker", "--locked", "--force"]);
    sh::step(cargo.args(["--version", BPF_LINKER_VERSION]))
}
