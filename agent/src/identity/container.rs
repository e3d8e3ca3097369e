//! What container managers leave on disk about a container: its name and labels.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Names of a container, each if it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerInfo {
    /// Name of the container.
    pub name: Option<String>,
    /// Service name by label (Compose, Kubernetes recommended labels).
    pub service: Option<String>,
    /// Pod that it belongs to.
    pub pod_name: Option<String>,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
}

/// Where container managers keep their state, below a root folder.
#[derive(Clone, Debug)]
pub struct ContainerState {
    root: PathBuf,
}

impl Default for ContainerState {
    fn default() -> Self {
        Self::below("/")
    }
}

impl ContainerState {
    /// The state below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Looks a container up with Docker, then containerd (also under Kubernetes). `None` if
    /// neither knows it.
    pub fn find(&self, id: &str) -> Option<ContainerInfo> {
        // The id comes from a cgroup name and becomes part of a path.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        self.docker(id).or_else(|| self.containerd(id))
    }

    fn docker(&self, id: &str) -> Option<ContainerInfo> {
        let config = self.root.join("var/lib/docker/containers").join(id);
        let config = read_json(&config.join("config.v2.json"))?;
        let label = |name: &str| text(&config["Config"]["Labels"][name]);
        Some(ContainerInfo {
            name: text(&config["Name"]).map(|name| name.trim_start_matches('/').to_owned()),
            service: label("com.docker.compose.service")
                .or_else(|| label("app.kubernetes.io/name")),
            pod_name: label("io.kubernetes.pod.name"),
            namespace: label("io.kubernetes.pod.namespace"),
        })
    }

    fn containerd(&self, id: &str) -> Option<ContainerInfo> {
        let tasks = self
            .root
            .join("run/containerd/io.containerd.runtime.v2.task");
        let config = fs::read_dir(tasks)
            .ok()?
            .flatten()
            .find_map(|namespace| read_json(&namespace.path().join(id).join("config.json")))?;
        let note = |name: &str| text(&config["annotations"][name]);
        Some(ContainerInfo {
            name: note("io.kubernetes.cri.container-name").or_else(|| note("nerdctl/name")),
            service: None,
            pod_name: note("io.kubernetes.cri.sandbox-name"),
            namespace: note("io.kubernetes.cri.sandbox-namespace"),
        })
    }
}

/// Largest state file that is read, bytes.
const MAX_BYTES: u64 = 1 << 20;

fn read_json(path: &Path) -> Option<Value> {
    if fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(Into::into)
}

/// The name that a pod's controller has: `web` of `web-7d4b9c8f6d-x2x4z`, `db` of `db-0`,
/// `agent` of `agent-x2x4z`. Kubernetes draws these suffixes from letters without vowels.
pub fn controller_of(pod_name: &str) -> &str {
    let is_drawn = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len())
            && text
                .bytes()
                .all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
    };
    let Some((rest, last)) = pod_name.rsplit_once('-') else {
        return pod_name;
    };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return rest;
    }
    if !is_drawn(last, 5..=5) {
        return pod_name;
    }
    match rest.rsplit_once('-') {
        Some((deployment, hash)) if is_drawn(hash, 6..=10) => deployment,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_lose_what_their_controller_added() {
        for (pod, expected) in [
            ("web-7d4b9c8f6d-x2x4z", "web"),
            ("shop-api-7d4b9c8f6d-x2x4z", "shop-api"),
            ("db-0", "db"),
            ("agent-x2x4z", "agent"),
            ("etcd-master", "etcd-master"),
            ("web", "web"),
            ("front-proxy", "front-proxy"),
        ] {
            assert_eq!(controller_of(pod), expected);
        }
    }

    #[test]
    fn state_of_both_managers_is_read() {
        let root = std::env::temp_dir().join(format!("weir-containers-{}", std::process::id()));
        let docker = root.join("var/lib/docker/containers/abc");
        let task = root.join("run/containerd/io.containerd.runtime.v2.task/k8s.io/def");
        fs::create_dir_all(&docker).unwrap();
        fs::create_dir_all(&task).unwrap();
        let config =
            r#"{"Name":"/shop-web-1","Config":{"Labels":{"com.docker.compose.service":"web"}}}"#;
        fs::write(docker.join("config.v2.json"), config).unwrap();
        let config = r#"{"annotations":{"io.kubernetes.cri.container-name":"api",
            "io.kubernetes.cri.sandbox-name":"api-0","io.kubernetes.cri.sandbox-namespace":"shop"}}"#;
        fs::write(task.join("config.json"), config).unwrap();
        let state = ContainerState::below(&root);
        let web = state.find("abc").expect("docker");
        assert_eq!(web.name.as_deref(), Some("shop-web-1"));
        assert_eq!(web.service.as_deref(), Some("web"));
        let api = state.find("def").expect("containerd");
        assert_eq!(api.pod_name.as_deref(), Some("api-0"));
        assert_eq!(api.namespace.as_deref(), Some("shop"));
        for unknown in ["nobody", "", "../abc"] {
            assert_eq!(state.find(unknown), None);
        }
        fs::remove_dir_all(root).unwrap();
    }
}
