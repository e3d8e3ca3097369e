//! What works on this host, what does not, and what would be lost.

use super::{
    attach::HOOKS,
    bpffs::{self, Pins},
    cgroup,
    feature::{self, Release},
};
use crate::control::api::DoctorItem;

fn item(name: &str, ok: bool, detail: String, lost_without: &str, min: Release) -> DoctorItem {
    DoctorItem {
        name: name.to_owned(),
        ok,
        detail,
        lost_without: lost_without.to_owned(),
        min_kernel: min.to_string(),
    }
}

/// Looks at everything weir needs.
pub fn doctor() -> Vec<DoctorItem> {
    let oldest = feature::release(5, 10);
    let running = feature::running().ok();
    let cgroup = cgroup::root();
    let pins = Pins::default();
    let mount = pins
        .root()
        .parent()
        .map(std::path::Path::to_path_buf)
        .unwrap_or_default();
    let mut items = vec![
        item(
            "kernel",
            running.is_some_and(|running| running >= oldest),
            feature::release_string(),
            "everything",
            oldest,
        ),
        item(
            "permission",
            feature::may_load(),
            if feature::may_load() {
                "may load programs"
            } else {
                "run as root"
            }
            .to_owned(),
            "everything",
            oldest,
        ),
        item(
            "btf",
            feature::has_btf(),
            "/sys/kernel/btf/vmlinux".to_owned(),
            "everything",
            oldest,
        ),
        item(
            "cgroup2",
            cgroup.is_ok(),
            cgroup.map_or_else(|error| error.to_string(), |path| path.display().to_string()),
            "everything",
            oldest,
        ),
        item(
            "bpffs",
            bpffs::is_bpffs(&mount),
            if bpffs::is_bpffs(&mount) {
                mount.display().to_string()
            } else {
                format!("not mounted at {}; `weir run` mounts it", mount.display())
            },
            "enforcement that outlives the daemon",
            oldest,
        ),
    ];
    items.extend(features(running));
    items.extend(HOOKS.iter().map(|hook| {
        let there = pins.link(hook.name).exists();
        let can = running.is_some_and(|running| running >= hook.since);
        let detail = match (there, can) {
            (true, _) => "in force",
            (false, true) => "not in force; `weir run` attaches it",
            (false, false) => "this kernel lacks it",
        };
        item(
            hook.name,
            there || can,
            detail.to_owned(),
            hook.lost_without,
            hook.since,
        )
    }));
    items
}

fn features(running: Option<Release>) -> Vec<DoctorItem> {
    const FEATURES: &[(&str, Release, &str)] = &[
        (
            "refuse with ECONNREFUSED",
            feature::release(5, 18),
            "a refused caller sees EPERM instead",
        ),
        (
            "netns of a caller in sockops",
            feature::release(5, 15),
            "bandwidth rules by service on loopback addresses",
        ),
        (
            "small segments at low limits",
            feature::release(6, 0),
            "smooth limits below 320 Mbit/s on loopback; they hold on average",
        ),
    ];
    FEATURES
        .iter()
        .map(|(name, since, lost)| {
            let ok = running.is_some_and(|running| running >= *since);
            let detail = if ok { "there" } else { "this kernel lacks it" };
            item(name, ok, detail.to_owned(), lost, *since)
        })
        .collect()
}
