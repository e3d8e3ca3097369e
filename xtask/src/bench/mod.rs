//! `cargo xtask bench`: what weir costs and how exactly it regulates, on this machine.

mod pairs;
mod plot;
mod readme;
mod report;
mod scenario;
mod stats;

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail};

use self::report::Report;
use crate::{paths, release, sh};

/// Where the picture lies that README.md shows.
const PICTURE: &str = "xtask/figures/benchmarks.svg";

/// Options of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Scenarios to run; default: all
    scenarios: Vec<String>,
    /// Pairs of each kind per comparison
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// Seconds per window
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Put the figures and the picture into README.md
    #[arg(long)]
    write_readme: bool,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Measure what target/release/weir is now, without building
    #[arg(long)]
    no_build: bool,
}

/// How long and how often to measure.
pub struct Plan {
    /// Pairs of each kind.
    pub pairs: usize,
    /// One window.
    pub window: Duration,
}

/// Runs the scenarios, prints tables, and saves `target/bench/results.json` and the picture.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for scenario in scenario::ALL {
            println!("{:<12} {}", scenario.name, scenario.about);
        }
        return Ok(());
    }
    if !sh::is_root() {
        bail!("benchmarks need root; run `sudo -E cargo xtask bench`");
    }
    let chosen = chosen(&arguments.scenarios)?;
    if !arguments.no_build {
        release::build(release::Purpose::Test)?;
    }
    let plan = Plan {
        pairs: arguments.pairs,
        window: Duration::from_secs(arguments.seconds),
    };
    let mut report = Report::new();
    for scenario in chosen {
        eprintln!("bench: {}: {}", scenario.name, scenario.about);
        for outcome in (scenario.run)(&plan).with_context(|| scenario.name.to_owned())? {
            report.add(outcome);
        }
    }
    publish(&report, arguments.write_readme)
}

fn chosen(names: &[String]) -> Result<Vec<&'static scenario::Scenario>> {
    if names.is_empty() {
        return Ok(scenario::ALL.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            let found = scenario::ALL.iter().find(|scenario| scenario.name == *name);
            found.with_context(|| format!("no scenario {name}; see `cargo xtask bench --list`"))
        })
        .collect()
}

fn publish(report: &Report, write_readme: bool) -> Result<()> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    report.save(&folder.join("results.json"))?;
    let picture = plot::svg(&report.ratios);
    fs::write(folder.join("benchmarks.svg"), &picture)?;
    let figures = report.markdown();
    println!("{figures}");
    eprintln!("bench: saved {}", folder.display());
    if write_readme {
        let path = paths::root().join(PICTURE);
        fs::create_dir_all(path.parent().context("the picture lies in a folder")?)?;
        fs::write(path, picture)?;
        readme::write(&format!(
            "{figures}\n![comparisons as box plots]({PICTURE})\n"
        ))?;
        eprintln!("bench: README.md holds the figures of this run now");
    }
    Ok(())
}
