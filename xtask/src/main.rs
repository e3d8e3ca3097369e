//! Developer commands of weir: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod build_ebpf;
mod check;
mod debian;
mod dist;
mod fuzz;
mod paths;
mod release;
mod run;
mod setup;
mod sh;
mod test;
mod tidy;
mod toolchain;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of weir.
#[derive(Parser)]
#[command(name = "cargo xtask", about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// One command, one file.
#[derive(Subcommand)]
enum Command {
    /// Finds or installs the BPF toolchain, the test servers and their helpers
    Setup(setup::Arguments),
    /// Builds the kernel programs into target/bpf/weir.bpf.o
    BuildEbpf(build_ebpf::Arguments),
    /// Builds weir, starts it on this host and shows live edges until Ctrl-C
    Run(run::Arguments),
    /// Runs unit, live and replay tests; in CI the kernel matrix too
    Test(test::Arguments),
    /// Checks format, lints and tidiness
    Check,
    /// Checks the layout and the rules that the compiler cannot see
    Tidy,
    /// Measures what weir costs and how exactly it regulates
    Bench(bench::Arguments),
    /// Runs a fuzz target
    Fuzz(fuzz::Arguments),
    /// Boots Debian kernels in QEMU and runs weir's smoke suite in them
    Vm(vm::Arguments),
    /// Packs a release archive
    Dist,
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::BuildEbpf(arguments) => build_ebpf::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Check => check::run(),
        Command::Tidy => tidy::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Vm(arguments) => vm::run(&arguments),
        Command::Dist => dist::run(),
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
