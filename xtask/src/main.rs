//! Developer commands of weir: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod build_ebpf;
mod debian;
mod paths;
mod setup;
mod sh;
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
    /// Measures what weir costs and how exactly it regulates
    Bench(bench::Arguments),
    /// Boots Debian kernels in QEMU and runs weir's smoke suite in them
    Vm(vm::Arguments),
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::BuildEbpf(arguments) => build_ebpf::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Vm(arguments) => vm::run(&arguments),
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
