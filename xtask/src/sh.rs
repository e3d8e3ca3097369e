//! Running other programs, with their command line in every error.

use std::{
    env,
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// A command from words: `command(["apt-get", "update"])`.
pub fn command<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().expect("a command has a name"));
    command.args(words);
    command
}

/// Prints the command, runs it with this terminal, and fails unless it succeeds.
pub fn step(command: &mut Command) -> Result<()> {
    eprintln!("+ {}", shown(command));
    run(command)
}

/// Runs the command with this terminal and fails unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}`: {status}", shown(command));
    }
    Ok(())
}

/// Runs the command in silence; its output appears only in the error.
pub fn quiet(command: &mut Command) -> Result<()> {
    capture(command).map(drop)
}

/// Standard output of the command, trimmed; fails with its standard error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}`: {}\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Full path of a program on the search path.
pub fn which(program: &str) -> Option<PathBuf> {
    // Debian keeps daemons in sbin, which is not on everybody's path.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// True when this process may install packages and load kernel programs.
pub fn is_root() -> bool {
    capture(&mut command(["id", "-u"])).is_ok_and(|uid| uid == "0")
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| {
            let root = format!("{}/", crate::paths::root().display());
            let word = word.to_string_lossy().replace(&root, "");
            if word.contains([' ', '$', '"', '*', ';', '|']) {
                format!("'{word}'")
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
