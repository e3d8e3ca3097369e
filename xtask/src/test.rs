//! `cargo xtask test`: everything that can be tested on this machine.

use std::{env, process::Command};

use anyhow::{Result, bail};

use crate::{
    paths,
    release::{self, Purpose},
    sh, vm,
};

/// Kernels that CI boots: the oldest, whose verifier knows least, and two in wide use.
/// `cargo xtask vm` boots more.
const CI_KERNELS: [&str; 3] = ["5.10", "6.1", "6.12"];

/// Options of `test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Unit tests only: no root, no servers
    #[arg(long, conflicts_with = "live")]
    quick: bool,
    /// Live and replay tests only
    #[arg(long)]
    live: bool,
    /// Boot the kernel matrix too, as CI does
    #[arg(long)]
    vm: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Runs the chosen suites to the end, and fails if any of them failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    release::prepare(if arguments.quick {
        Purpose::Use
    } else {
        Purpose::Test
    })?;
    let mut failed = Vec::new();
    let mut suite = |name: &'static str, result: Result<()>| {
        if let Err(error) = result {
            eprintln!("test: {name}: {error:#}");
            failed.push(name);
        }
    };
    if !arguments.live {
        suite("unit tests", unit(arguments));
    }
    if !arguments.quick {
        sh::step(&mut cargo(&["build", "--release", "-p", "weir"]))?;
        suite("live and replay tests", live(arguments));
        if arguments.vm || in_ci() {
            suite("kernel matrix", vm::run(&vm::Arguments::of(&CI_KERNELS)));
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn in_ci() -> bool {
    env::var("CI").as_deref() == Ok("true")
}

fn unit(arguments: &Arguments) -> Result<()> {
    let packages = ["-p", "weir-common", "-p", "weir", "-p", "xtask"];
    let mut cargo = cargo(&["test", "--no-fail-fast"]);
    cargo.args(packages).args(&arguments.filter);
    sh::step(&mut cargo)
}

/// One at a time: an agent sees the whole host.
fn live(arguments: &Arguments) -> Result<()> {
    if !sh::is_root() {
        eprintln!("test: not root: live tests are skipped; `sudo -E cargo xtask test` runs them");
    }
    let mut cargo = cargo(&["test", "--no-fail-fast", "-p", "weir-tests"]);
    cargo.args(&arguments.filter);
    sh::step(cargo.args(["--", "--test-threads=1"]))
}

fn cargo(words: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(words).current_dir(paths::root());
    cargo
}
