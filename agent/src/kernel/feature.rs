//! What this host offers.

use std::{fmt, fs};

use anyhow::{Context as _, Result};

/// A kernel release, e.g. 6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Makes a release for comparison.
pub const fn release(major: u32, minor: u32) -> Release {
    Release { major, minor }
}

/// The running kernel's release string, e.g. `6.1.0-13-amd64`.
pub fn release_string() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The running kernel's release.
pub fn running() -> Result<Release> {
    let text = release_string();
    parse_release(&text)
        .with_context(|| format!("/proc/sys/kernel/osrelease says {text:?}: not a kernel release"))
}

fn parse_release(text: &str) -> Option<Release> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some(Release { major, minor })
}

/// True if the kernel describes its types, without which no program is loaded.
pub fn has_btf() -> bool {
    fs::metadata("/sys/kernel/btf/vmlinux").is_ok()
}

/// True if this process may load programs: `CAP_BPF` and `CAP_NET_ADMIN`, or `CAP_SYS_ADMIN`.
pub fn may_load() -> bool {
    const CAP_NET_ADMIN: u32 = 12;
    const CAP_SYS_ADMIN: u32 = 21;
    const CAP_BPF: u32 = 39;
    let held = effective_capabilities();
    let has = |cap: u32| held & (1 << cap) != 0;
    has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_NET_ADMIN))
}

fn effective_capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        for (text, expected) in [
            ("6.1.0-13-amd64", Some(release(6, 1))),
            ("5.10.0", Some(release(5, 10))),
            ("7.0-rc1", Some(release(7, 0))),
            ("linux", None),
        ] {
            assert_eq!(parse_release(text), expected, "{text}");
        }
        assert!(release(5, 10) < release(5, 18) && release(5, 18) < release(6, 1));
    }
}
