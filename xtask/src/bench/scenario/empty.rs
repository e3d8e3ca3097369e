//! A program that does nothing: what the kernel's own accounting of a program run costs.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use weir_tests::{kernel::cgroup2, process::must};

use crate::{paths, sh, toolchain::BpfToolchain};

const MANIFEST: &str = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
                        [workspace]\n[profile.release]\npanic = \"abort\"\n";
const SOURCE: &str = "#![no_std]\n#![no_main]\n\
#[unsafe(no_mangle)]\n#[unsafe(link_section = \"cgroup_skb/ingress\")]\n\
pub fn weir_empty(_: *mut core::ffi::c_void) -> i32 { 1 }\n\
#[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n";

/// Pin of the program while it is attached.
const PIN: &str = "/sys/fs/bpf/weir-bench-empty";
/// Both directions, as weir's own.
const HOOKS: [&str; 2] = ["cgroup_inet_ingress", "cgroup_inet_egress"];

/// The program, attached to the root cgroup until dropped.
pub struct Empty;

impl Empty {
    /// Builds, loads and attaches it.
    pub fn attach() -> Result<Self> {
        let object = build()?;
        let mounts = fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
        if !mounts.contains(" /sys/fs/bpf bpf ") {
            must(&mut sh::command([
                "mount",
                "-t",
                "bpf",
                "bpf",
                "/sys/fs/bpf",
            ]));
        }
        let mut load = sh::command(["bpftool", "prog", "load"]);
        must(load.arg(&object).args([PIN, "type", "cgroup/skb"]));
        let empty = Self;
        for hook in HOOKS {
            must(&mut empty.bpftool("attach", hook));
        }
        Ok(empty)
    }

    fn bpftool(&self, verb: &str, hook: &str) -> Command {
        let mut command = sh::command(["bpftool", "cgroup", verb]);
        command.arg(cgroup2()).args([hook, "pinned", PIN]);
        if verb == "attach" {
            command.arg("multi");
        }
        command
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        for hook in HOOKS {
            let _ = self.bpftool("detach", hook).output();
        }
        let _ = fs::remove_file(PIN);
    }
}

/// Compiles it with the toolchain of the real programs.
fn build() -> Result<PathBuf> {
    let folder = paths::target().join("bench/empty");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    fs::write(folder.join("src/main.rs"), SOURCE)?;
    let toolchain = BpfToolchain::find().context("no BPF toolchain; run `cargo xtask setup`")?;
    let mut cargo = toolchain.cargo()?;
    cargo
        .current_dir(&folder)
        .env("RUSTFLAGS", "-C linker=bpf-linker -C target-cpu=v3")
        .args(["build", "--quiet", "--release", "-Zbuild-std=core"])
        .args(["--target", "bpfel-unknown-none", "--target-dir", "target"]);
    sh::quiet(&mut cargo)?;
    Ok(folder.join("target/bpfel-unknown-none/release/empty"))
}
