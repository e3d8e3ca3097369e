//! `cargo xtask tidy`: what the compiler cannot see of the layout and the rules of the house.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::{paths, sh};

/// Everything that may stand at the top level, besides dot files.
const TOP_LEVEL: [&str; 14] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "agent",
    "common",
    "dashboards",
    "ebpf",
    "rust-toolchain.toml",
    "tests",
    "xtask",
    ".gitignore",
];

/// Rooms without clock, file, socket, aya or tokio: their code takes these as arguments.
const PURE_ROOMS: [&str; 4] = [
    "agent/src/observe/",
    "agent/src/enforce/",
    "agent/src/view/",
    "common/src/",
];
/// What pure rooms do not use.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::os",
    "Instant::now",
    "SystemTime::now",
    "TcpStream",
    "UnixStream",
    "UdpSocket",
    "tokio::",
    "aya::",
];
/// The only room of the agent that knows aya.
const KERNEL_ROOM: &str = "agent/src/kernel";
/// Files longer than this are listed: is each still one concern?
const LONG: usize = 500;

/// Checks every Rust file that git knows, and lists what it finds.
pub fn run() -> Result<()> {
    let list = sh::capture(
        sh::command([
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(paths::root()),
    )?;
    let (mut findings, mut remarks) = (Vec::new(), Vec::new());
    for name in list.lines() {
        let top = name.split('/').next().unwrap_or(name);
        if !TOP_LEVEL.contains(&top) && !top.starts_with('.') {
            findings.push(format!("{name}: does not belong at the top level"));
        }
        let path = paths::root().join(name);
        if name.ends_with(".rs") && path.exists() {
            let text = fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
            findings.extend(of_file(name, &text));
            remarks.extend(length_remark(name, &text));
        }
    }
    findings.dedup();
    for line in remarks.iter().chain(&findings) {
        println!("{line}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    eprintln!("tidy: no findings");
    Ok(())
}

/// Findings in one Rust file.
fn of_file(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    // A room's tests may read files and clocks; the room itself may not.
    let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
    let pure = !is_test && PURE_ROOMS.iter().any(|room| name.starts_with(room));
    let knows_aya = name.starts_with(KERNEL_ROOM) || !name.starts_with("agent/src/");
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let place = format!("{name}:{}", index + 1);
        let code = line.split("//").next().unwrap_or_default();
        if pure && let Some(word) = IMPURE.iter().find(|word| uses(code, word)) {
            findings.push(format!("{place}: `{word}` in a pure room"));
        }
        if !knows_aya && uses(code, "aya::") {
            findings.push(format!("{place}: only {KERNEL_ROOM} knows aya"));
        }
        if is_unsafe(code) && !is_justified(&lines, index) {
            findings.push(format!("{place}: unsafe without SAFETY comment"));
        }
    }
    findings
}

/// A remark on a file that outgrew its room; for a person to judge, so it fails nothing.
fn length_remark(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LONG).then(|| format!("{name}: {lines} lines; is it still one concern?"))
}

/// True if `code` names `path` itself, not a longer word that ends with it.
fn uses(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn is_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"]
        .iter()
        .any(|form| uses(code, form) && !code.contains(&format!("\"{form}")))
}

/// A SAFETY comment or section in the comments and attributes right above, or on the line.
fn is_justified(lines: &[&str], index: usize) -> bool {
    let says_why = |line: &str| line.contains("SAFETY") || line.contains("# Safety");
    if says_why(lines[index]) {
        return true;
    }
    let above = lines[..index].iter().rev();
    above
        .take_while(|line| {
            let line = line.trim_start();
            line.starts_with("//") || line.starts_with("#[") || !line.ends_with([';', '{', '}'])
        })
        .take(40)
        .any(|line| says_why(line))
}

#[cfg(test)]
mod tests {
    use super::{length_remark, of_file};

    fn check(name: &str, text: &str, expected: &[&str]) {
        let found = of_file(name, text);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn pure_rooms_import_no_io() {
        check("agent/src/observe/a.rs", "use std::fs;\n", &["pure room"]);
        check(
            "agent/src/observe/a.rs",
            "let now = Instant::now();\n",
            &["pure room"],
        );
        check("agent/src/observe/a.rs", "// std::fs is not used\n", &[]);
        check("agent/src/store/a.rs", "use std::fs;\n", &[]);
    }

    #[test]
    fn only_the_kernel_room_knows_aya() {
        check("agent/src/export/a.rs", "use aya::Ebpf;\n", &["knows aya"]);
        check("agent/src/kernel/a.rs", "use aya::Ebpf;\n", &[]);
        check("agent/src/export/a.rs", "use himalaya::Peak;\n", &[]);
    }

    #[test]
    fn unsafe_has_its_reason_beside_it() {
        check("ebpf/src/a.rs", "let x = unsafe { f() };\n", &["SAFETY"]);
        check(
            "ebpf/src/a.rs",
            "// SAFETY: f is fine.\nlet x = unsafe { f() };\n",
            &[],
        );
        let function = "/// # Safety\n/// As f.\n#[inline]\npub unsafe fn g() {\n";
        check("ebpf/src/a.rs", function, &[]);
        check(
            "ebpf/src/a.rs",
            "// SAFETY: of a.\na();\nunsafe { f() };\n",
            &["SAFETY"],
        );
    }

    #[test]
    fn long_files_are_listed() {
        let remark = |lines| length_remark("agent/src/cli/a.rs", &"\n".repeat(lines));
        assert_eq!(remark(500), None);
        assert!(remark(501).is_some_and(|remark| remark.contains("501 lines")));
    }
}
