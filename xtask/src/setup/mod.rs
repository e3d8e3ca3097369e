//! `cargo xtask setup`: what building and testing weir needs, found or installed.
//!
//! Each part answers two questions: is it there (a few file checks, so that a machine with
//! everything is done in well under two seconds), and how is it installed.

mod python;
mod servers;
mod toolchain;

use anyhow::Result;

/// Options of `setup`.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Only what building needs: no test servers
    #[arg(long)]
    pub build_only: bool,
    /// Only say what is missing; exit 1 if anything is
    #[arg(long)]
    pub dry_run: bool,
}

/// Something that can be missing.
struct Part {
    /// What it is, for the lines that setup prints.
    name: &'static str,
    /// What is missing, in words; empty when nothing is.
    missing: fn() -> Result<Vec<String>>,
    /// Installs what is missing.
    install: fn() -> Result<()>,
    /// True if only tests and benchmarks need it.
    for_tests: bool,
}

/// In the order of dependence: the venv needs python3-venv.
const PARTS: [Part; 4] = [
    Part {
        name: "BPF toolchain",
        missing: toolchain::missing,
        install: toolchain::install,
        for_tests: false,
    },
    Part {
        name: "test servers (Debian)",
        missing: servers::missing_packages,
        install: servers::install_packages,
        for_tests: true,
    },
    Part {
        name: "test servers (Python)",
        missing: python::missing,
        install: python::install,
        for_tests: true,
    },
    Part {
        name: "test servers (other Debian suites)",
        missing: servers::missing_foreign,
        install: servers::install_foreign,
        for_tests: true,
    },
];

/// Finds or installs every part.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut lacking = 0;
    for part in &PARTS {
        if part.for_tests && arguments.build_only {
            continue;
        }
        let missing = (part.missing)()?;
        if missing.is_empty() {
            continue;
        }
        lacking += 1;
        eprintln!("setup: {}: missing {}", part.name, missing.join(", "));
        if !arguments.dry_run {
            (part.install)()?;
            eprintln!("setup: {}: installed", part.name);
        }
    }
    if arguments.dry_run && lacking > 0 {
        anyhow::bail!("{lacking} parts are missing; run `cargo xtask setup`");
    }
    if lacking == 0 {
        eprintln!("setup: nothing is missing ({})", toolchain::describe());
    }
    Ok(())
}

/// Lines of a list under tests/servers, split into words, comments left out.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn rows_skip_comments_and_blank_lines() {
        let read: Vec<_> = rows("# title\n\na  b # note\n c\n").collect();
        assert_eq!(read, [vec!["a", "b"], vec!["c"]]);
    }
}
