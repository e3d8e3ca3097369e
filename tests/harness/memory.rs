//! A cgroup that may be given no more memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use crate::scratch::unique;

/// Ample time for each processor to give back what it charged in advance.
const DRAINED: Duration = Duration::from_millis(500);

/// A memory cgroup of this test's own, of the new hierarchy or the old one.
pub struct MemoryGroup {
    path: PathBuf,
    files: &'static Files,
}

/// Names of the files of a hierarchy.
struct Files {
    limit: &'static str,
    no_limit: &'static str,
}

const OLD: Files = Files {
    limit: "memory.limit_in_bytes",
    no_limit: "-1",
};

const NEW: Files = Files {
    limit: "memory.max",
    no_limit: "max",
};

impl MemoryGroup {
    /// Makes one.
    ///
    /// # Panics
    /// If no hierarchy here has the memory controller.
    pub fn new() -> Self {
        let (root, files) = hierarchy();
        let path = root.join(format!("weir-t-{}-{}", std::process::id(), unique()));
        fs::create_dir(&path).expect("make a memory cgroup");
        Self { path, files }
    }

    /// A command that runs another one in this group.
    pub fn command(&self, inner: &Command) -> Command {
        let mut outer = Command::new("sh");
        let enter = r#"echo $$ > "$1" && shift && exec "$@""#;
        outer.args(["-c", enter, "sh"]);
        outer.arg(self.path.join("cgroup.procs"));
        outer.arg(inner.get_program()).args(inner.get_args());
        let set = inner.get_envs();
        outer.envs(set.filter_map(|(name, value)| Some((name, value?))));
        outer
    }

    /// What is charged to it may not grow from now on. No process may be in it.
    pub fn freeze(&self) {
        // Drops files in memory and what processors have charged in advance. The old hierarchy then
        // refuses a limit below what is in use.
        let limit = self.path.join(self.files.limit);
        if fs::write(&limit, "0").is_ok() {
            return;
        }
        thread::sleep(DRAINED);
        let usage = fs::read_to_string(self.path.join("memory.usage_in_bytes"));
        self.limit(usage.expect("its memory").trim());
    }

    /// Ends what [`Self::freeze`] began.
    pub fn thaw(&self) {
        self.limit(self.files.no_limit);
    }

    fn limit(&self, bytes: &str) {
        fs::write(self.path.join(self.files.limit), bytes).expect("limit its memory");
    }
}

impl Default for MemoryGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}

/// Where memory cgroups are made.
fn hierarchy() -> (PathBuf, &'static Files) {
    let mounts = fs::read_to_string("/proc/mounts").expect("read the mounts");
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(place), Some(kind), Some(options)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let place = Path::new(place);
        if kind == "cgroup" && options.split(',').any(|option| option == "memory") {
            return (place.to_owned(), &OLD);
        }
        let children = fs::read_to_string(place.join("cgroup.subtree_control"));
        if kind == "cgroup2"
            && children.is_ok_and(|it| it.split_whitespace().any(|it| it == "memory"))
        {
            return (place.to_owned(), &NEW);
        }
    }
    panic!("no memory controller in {mounts}");
}
