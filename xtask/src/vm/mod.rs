//! `cargo xtask vm [KERNEL…]`: weir on other kernels, in QEMU without hardware help.
//!
//! Debian's kernels boot with an initramfs that holds nothing but busybox, `weir`, the smoke suite
//! of `tests/vm/guest.rs` and the programs that it runs; the serial console tells how it went.

mod image;
mod kernel;
mod machine;

use anyhow::{Result, bail};

use crate::{paths, release, sh};

/// Kernels that a plain `cargo xtask vm` boots.
const DEFAULT: [&str; 4] = ["5.10", "6.1", "6.12", "7"];

/// Options of `vm`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Kernel versions by their first numbers, e.g. `6.1`; default: 5.10 6.1 6.12 7
    kernels: Vec<String>,
    /// Boot what target/release/weir is now, without building
    #[arg(long)]
    no_build: bool,
}

impl Arguments {
    /// These kernels, with what is built already.
    pub fn of(kernels: &[&str]) -> Self {
        Self {
            kernels: kernels.iter().map(|&kernel| kernel.to_owned()).collect(),
            no_build: true,
        }
    }
}

/// Boots each kernel and fails if any guest failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.no_build {
        release::build(release::Purpose::Test)?;
    }
    // The suite is small and waits most of the time: a debug build does.
    let guest = [
        "cargo",
        "build",
        "-p",
        "weir-tests",
        "--bin",
        "weir-vm-guest",
    ];
    sh::step(sh::command(guest).current_dir(paths::root()))?;
    let kernels = if arguments.kernels.is_empty() {
        DEFAULT.map(str::to_owned).to_vec()
    } else {
        arguments.kernels.clone()
    };
    let mut failed = Vec::new();
    for version in kernels {
        if let Err(error) = boot(&version) {
            eprintln!("vm: {version}: {error:#}");
            failed.push(version);
        }
    }
    if !failed.is_empty() {
        bail!("kernels that failed: {}", failed.join(", "));
    }
    Ok(())
}

fn boot(version: &str) -> Result<()> {
    let kernel = kernel::fetch(version)?;
    let initramfs = image::build(&kernel)?;
    eprintln!("vm: {version}: booting {}", kernel.release);
    let report = machine::run(&kernel, &initramfs)?;
    for line in &report.lines {
        println!("{}: {line}", kernel.release);
    }
    println!("{} passed, {} failed", report.passed, report.failed);
    if report.failed > 0 || report.passed == 0 {
        eprintln!("{}", report.words.join("\n"));
        bail!(
            "{} checks failed; console: {}",
            report.failed,
            report.console.display()
        );
    }
    Ok(())
}
