//! The cgroup v2 tree: whose directory is whose, by cgroup id.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{cgroup, naming::name_cgroup, registry::Registry};
use crate::observe::model::Workload;

/// Most directories that are looked at.
const MAX_CGROUPS: usize = 16_384;

/// Where cgroup v2 is mounted; `None` if it is not.
pub fn mount(registry: &Registry) -> Option<PathBuf> {
    cgroup::v2_mount(&registry.procfs().top("mounts").ok()?)
}

/// Workloads of all cgroups that are a unit's, container's or pod's, by cgroup id (the inode
/// number of the directory). The second number says how many directories were not looked at.
pub fn scan(mount: &Path, registry: &Registry) -> (HashMap<u64, Arc<Workload>>, u64) {
    let mut found = HashMap::new();
    let mut waiting = vec![mount.to_path_buf()];
    let mut looked_at = 0;
    let mut left_out = 0;
    while let Some(directory) = waiting.pop() {
        if looked_at >= MAX_CGROUPS {
            left_out += 1;
            continue;
        }
        looked_at += 1;
        if let Some((id, workload)) = name_directory(mount, &directory, registry) {
            found.insert(id, workload);
        }
        // A cgroup may vanish between two looks.
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let directories = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(directories.map(|entry| entry.path()));
    }
    (found, left_out)
}

fn name_directory(
    mount: &Path,
    directory: &Path,
    registry: &Registry,
) -> Option<(u64, Arc<Workload>)> {
    let path = directory.strip_prefix(mount).ok()?.to_str()?;
    let identity = cgroup::identify(path);
    if identity.is_empty() {
        return None;
    }
    let container = registry.container(&identity);
    let workload = name_cgroup(&identity, container.as_ref(), registry.rules())?;
    Some((fs::metadata(directory).ok()?.ino(), workload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::rules::Rules;

    #[test]
    fn directories_of_units_are_named_with_all_below_them() {
        let root = std::env::temp_dir().join(format!("weir-cgroups-{}", std::process::id()));
        let unit = root.join("system.slice/nginx.service");
        fs::create_dir_all(unit.join("workers")).unwrap();
        fs::create_dir_all(root.join("user.slice/session-1.scope")).unwrap();
        let (found, left_out) = scan(&root, &Registry::new(Rules::default()));
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        let mut ids: Vec<u64> = found.keys().copied().collect();
        let mut expected = vec![id(&unit), id(&unit.join("workers"))];
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!((ids, left_out), (expected, 0));
        assert!(found.values().all(|workload| workload.service == "nginx"));
        fs::remove_dir_all(root).unwrap();
    }
}
