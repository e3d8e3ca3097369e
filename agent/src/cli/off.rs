//! `weir off`.

use clap::ValueEnum;

use super::{
    Failure,
    out::{self, Out},
    rooms,
};
use crate::view::json;

/// Removes everything of weir from the kernel: programs, rules, counters
///
/// Policies stop being enforced at once; connections live on. A running daemon should be ended
/// first, or it will say that its programs have gone.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    /// A sentence on stderr
    #[default]
    Table,
    /// {programs, maps, links}
    Json,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    rooms::need_rights("weir off")?;
    let report = rooms::off()?;
    if matches!(args.output, Form::Json) {
        let mut out = Out::new();
        out.text(&json::document(&report))?;
        return out.flush();
    }
    let (programs, maps, links) = (report.programs, report.maps, report.links);
    match programs + maps + links {
        0 => out::say("nothing of weir was in the kernel"),
        _ => out::say(&format!(
            "removed {programs} programs, {maps} maps, {links} links"
        )),
    }
    Ok(())
}
