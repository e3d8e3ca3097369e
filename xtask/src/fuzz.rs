//! `cargo xtask fuzz`: the fuzz targets of `common/fuzz`, with any stable compiler.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::{paths, sh};

/// Options of `fuzz`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A target of common/fuzz
    #[arg(default_value = "framing")]
    target: String,
    /// Executions
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
    /// End after so many seconds, however many executions that were
    #[arg(long)]
    seconds: Option<u64>,
}

/// Runs one target; a crash leaves its input under `target/fuzz`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = paths::root().join("common/fuzz");
    let target = &arguments.target;
    if !folder.join("src").join(format!("{target}.rs")).exists() {
        bail!(
            "no fuzz target {target}; see {}",
            folder.join("src").display()
        );
    }
    // What the fuzzer finds goes to target/; the seeds in the repository are only read.
    let found = paths::target().join("fuzz/corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
    let mut cargo = sh::command(["cargo", "run", "--release", "--bin", target]);
    if target == "replay" {
        cargo.args(["--features", "replay"]);
    }
    cargo.current_dir(&folder).arg("--");
    cargo.arg(format!("-runs={}", arguments.runs));
    cargo.arg("-max_len=2048");
    cargo.arg(format!(
        "-artifact_prefix={}/",
        paths::target().join("fuzz").display()
    ));
    if let Some(seconds) = arguments.seconds {
        cargo.arg(format!("-max_total_time={seconds}"));
    }
    let dictionary = folder.join("dict").join(format!("{target}.dict"));
    if dictionary.exists() {
        cargo.arg(format!("-dict={}", dictionary.display()));
    }
    cargo.arg(&found);
    let seeds = if target == "replay" {
        paths::root().join("tests/replay/captures")
    } else {
        folder.join("seeds").join(target)
    };
    if seeds.exists() {
        cargo.arg(seeds);
    }
    sh::step(&mut cargo)
}
