//! The cgroup v2 root, where the socket hooks are attached.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

/// Finds the cgroup v2 mount in the form of `/proc/mounts`; unified or hybrid.
fn find(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(at))
    })
}

/// The cgroup v2 root of this host.
pub fn root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
    find(&mounts).context(
        "no cgroup v2 is mounted, and the socket hooks are attached to it: run `mount -t cgroup2 \
         cgroup2 /sys/fs/cgroup/unified` (hybrid), or boot with systemd.unified_cgroup_hierarchy=1",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_and_hybrid_mounts_are_found() {
        for (mounts, expected) in [
            (
                "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0",
                Some("/sys/fs/cgroup"),
            ),
            (
                "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                 cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0",
                Some("/sys/fs/cgroup/unified"),
            ),
            ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0", None),
        ] {
            assert_eq!(find(mounts), expected.map(PathBuf::from), "{mounts}");
        }
    }
}
