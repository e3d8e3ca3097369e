//! The `weir` command: one file per subcommand.
//!
//! Data goes to stdout, words to stderr. Exit codes: 0 ok, 1 failure, 2 usage, 3 daemon
//! unreachable, 4 permission. A closed pipe is a graceful end.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

mod args;
mod check_config;
mod completion;
mod doctor;
mod edges;
mod failure;
mod flows;
mod follow;
mod graph;
mod items;
mod list;
mod off;
mod out;
mod policy;
mod replay;
mod rooms;
pub mod run;
mod services;
mod status;
mod stop;
mod tap;
mod tcp;
mod verdicts;

pub use failure::Failure;

const ABOUT: &str = "\
Watches and regulates the traffic between services on a Linux host, from the kernel.

`weir run` starts the daemon (as root); the other commands ask it over its socket. off, doctor,
replay, check-config and completion need no daemon.";

const EXAMPLES: &str = "\
Examples:
  sudo weir run                          start watching
  weir edges                             who calls whom, how often, how fast
  weir tap --to payments --status 5xx    failed calls to payments, as they happen
  weir graph -o svg > graph.svg          a picture of it
  weir policy apply deny-egress.yaml     enforce a policy
  weir edges -o json | jq '.items[]'     for programs

Exit codes: 0 ok, 1 failure, 2 usage, 3 daemon unreachable, 4 permission";

#[derive(Parser)]
#[command(name = "weir", version, about = ABOUT, after_help = EXAMPLES)]
#[command(propagate_version = true)]
struct Cli {
    /// Socket of the daemon [default: /run/weir/weir.sock]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "WEIR_SOCKET",
        hide_env_values = true
    )]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Off(off::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Services(services::Args),
    Edges(edges::Args),
    Graph(graph::Args),
    Tap(tap::Args),
    Flows(flows::Args),
    Tcp(tcp::Args),
    Verdicts(verdicts::Args),
    Policy(policy::Args),
    Replay(replay::Args),
    CheckConfig(check_config::Args),
    Completion(completion::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads any more is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let socket = cli.socket;
    // `run` must tell "not given" (the file decides) from the default.
    let path = || {
        socket
            .clone()
            .unwrap_or_else(|| crate::config::DEFAULT_SOCKET.into())
    };
    match cli.command {
        Command::Run(args) => run::run(args, socket),
        Command::Off(args) => off::run(args),
        Command::Status(args) => status::run(args, &path()),
        Command::Doctor(args) => doctor::run(args),
        Command::Services(args) => services::run(args, &path()),
        Command::Edges(args) => edges::run(args, &path()),
        Command::Graph(args) => graph::run(args, &path()),
        Command::Tap(args) => tap::run(args, &path()),
        Command::Flows(args) => flows::run(args, &path()),
        Command::Tcp(args) => tcp::run(args, &path()),
        Command::Verdicts(args) => verdicts::run(args, &path()),
        Command::Policy(args) => policy::run(args, &path()),
        Command::Replay(args) => replay::run(args),
        Command::CheckConfig(args) => check_config::run(args),
        Command::Completion(args) => completion::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
