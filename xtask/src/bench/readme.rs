//! Figures between the markers of README.md.

use std::fs;

use anyhow::{Context as _, Result};

use crate::paths;

const START: &str = "<!-- bench:start -->";
const END: &str = "<!-- bench:end -->";

/// Replaces what stands between the markers.
pub fn write(figures: &str) -> Result<()> {
    let path = paths::root().join("README.md");
    let text = fs::read_to_string(&path).context("read README.md")?;
    let text = replaced(&text, figures).context("README.md lacks the bench markers")?;
    fs::write(&path, text).context("write README.md")
}

fn replaced(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}\n{figures}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "a\n<!-- bench:start -->\nold\n<!-- bench:end -->\nb\n";
        let expected = "a\n<!-- bench:start -->\nnew\n<!-- bench:end -->\nb\n";
        assert_eq!(replaced(text, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced("no markers", "new"), None);
    }
}
