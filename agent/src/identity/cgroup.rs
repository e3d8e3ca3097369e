//! What a cgroup path says: systemd unit, container, pod. Pure.

use std::path::PathBuf;

/// Whose cgroup it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupIdentity {
    /// systemd unit, e.g. `nginx.service`.
    pub unit: Option<String>,
    /// Container id, 64 hex digits (or the name that LXC uses).
    pub container: Option<String>,
    /// Pod uid with dashes.
    pub pod: Option<String>,
}

impl CgroupIdentity {
    /// True if the path names nobody.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Greater for what is more specific.
    fn rank(&self) -> u8 {
        match (&self.pod, &self.container, &self.unit) {
            (Some(_), Some(_), _) => 4,
            (Some(_), None, _) => 3,
            (None, Some(_), _) => 2,
            (None, None, Some(_)) => 1,
            (None, None, None) => 0,
        }
    }
}

/// Reads one cgroup path, relative to the mount.
///
/// Known forms: Docker, containerd, CRI-O, Podman, nerdctl and ECS, as cgroupfs and as systemd
/// drivers write them; LXC; Kubernetes pods of both drivers, also nested (kind); systemd units
/// of the system and of users. Sessions and scopes are no units: what runs there belongs to a
/// person's shell, not to a service.
pub fn identify(path: &str) -> CgroupIdentity {
    let mut found = CgroupIdentity::default();
    for segment in path.split(['/', ':']).filter(|segment| !segment.is_empty()) {
        if let Some(id) = container_id(segment) {
            found.container = Some(id);
            found.unit = None;
        } else if let Some(uid) = pod_uid(segment) {
            found.pod = Some(uid);
            found.unit = None;
        } else if let Some(unit) = unit_name(segment) {
            found.unit = unit;
        }
    }
    found
}

/// Reads `/proc/PID/cgroup`. In the hybrid layout each hierarchy has a path of its own, and
/// container managers and systemd do not write to the same one: the most specific wins.
pub fn identify_proc_file(text: &str) -> CgroupIdentity {
    let mut best = CgroupIdentity::default();
    for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        let found = identify(path);
        if found.rank() > best.rank() {
            best = found;
        }
    }
    best
}

/// Path in the cgroup v2 hierarchy, from `/proc/PID/cgroup`.
pub fn v2_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Where cgroup v2 is mounted, from `/proc/mounts`.
pub fn v2_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let place = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
    })
}

fn container_id(segment: &str) -> Option<String> {
    if let Some(name) = segment.strip_prefix("lxc.payload.") {
        return Some(name.to_owned());
    }
    let name = segment.strip_suffix(".scope").unwrap_or(segment);
    let (runtime, id) = name.rsplit_once('-').unwrap_or(("", name));
    // conmon and its like watch over a container; they are not in it.
    let is_monitor = runtime.ends_with("conmon");
    (is_long_hex(id) && !is_monitor).then(|| id.to_owned())
}

fn is_long_hex(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn pod_uid(segment: &str) -> Option<String> {
    let name = segment.strip_suffix(".slice").unwrap_or(segment);
    let at = name.rfind("pod")?;
    let is_prefix = at == 0 || name[..at].ends_with('-');
    let uid = name[at + 3..].replace('_', "-");
    let digits = uid.replace('-', "");
    let is_uid = digits.len() == 32 && is_lower_hex(&digits);
    (is_prefix && is_uid).then_some(uid)
}

/// `Some(Some(unit))` for a service, `Some(None)` for what takes a former name back.
fn unit_name(segment: &str) -> Option<Option<String>> {
    if segment.ends_with(".scope") {
        return Some(None);
    }
    let name = segment.strip_suffix(".service")?;
    // A user's service manager: the services below it have names of their own.
    let is_user_manager = name
        .strip_prefix("user@")
        .is_some_and(|uid| uid.bytes().all(|byte| byte.is_ascii_digit()));
    Some((!is_user_manager).then(|| segment.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

    #[test]
    fn paths_name_units_containers_and_pods() {
        let under = UID.replace('-', "_");
        let pod_slice = format!("kubepods-burstable-pod{under}.slice");
        for (path, unit, container, pod) in [
            ("/".to_owned(), None, None, None),
            (
                "/system.slice/nginx.service".into(),
                Some("nginx.service"),
                None,
                None,
            ),
            (
                "/system.slice/system-postgresql.slice/postgresql@15-main.service".into(),
                Some("postgresql@15-main.service"),
                None,
                None,
            ),
            ("/init.scope".into(), None, None, None),
            (
                "/user.slice/user-0.slice/session-3.scope".into(),
                None,
                None,
                None,
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/init.scope".into(),
                None,
                None,
                None,
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service".into(),
                Some("shop.service"),
                None,
                None,
            ),
            ("/system.slice/run-r12.scope".into(), None, None, None),
            (format!("/docker/{ID}"), None, Some(ID), None),
            (
                format!("/system.slice/docker-{ID}.scope"),
                None,
                Some(ID),
                None,
            ),
            (format!("/docker/{ID}/init.scope"), None, Some(ID), None),
            (
                format!("/docker/{ID}/system.slice/redis.service"),
                Some("redis.service"),
                Some(ID),
                None,
            ),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                None,
                Some(ID),
                None,
            ),
            (
                format!("/machine.slice/libpod-conmon-{ID}.scope"),
                None,
                None,
                None,
            ),
            (format!("/ecs/task-1/{ID}"), None, Some(ID), None),
            (
                "/lxc.payload.web/system.slice".into(),
                None,
                Some("web"),
                None,
            ),
            (
                format!("/kubepods/burstable/pod{UID}/{ID}"),
                None,
                Some(ID),
                Some(UID),
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/{pod_slice}/cri-containerd-{ID}.scope"
                ),
                None,
                Some(ID),
                Some(UID),
            ),
            (
                format!("/system.slice/containerd.service/{pod_slice}:cri-containerd:{ID}"),
                None,
                Some(ID),
                Some(UID),
            ),
            (
                format!("/kubepods.slice/{pod_slice}/crio-{ID}.scope"),
                None,
                Some(ID),
                Some(UID),
            ),
            (
                format!(
                    "/docker/{}/kubelet/kubepods/pod{UID}/{ID}",
                    ID.replace('0', "f")
                ),
                None,
                Some(ID),
                Some(UID),
            ),
            ("/docker/0123abcd".into(), None, None, None),
            ("/tripod/x".into(), None, None, None),
        ] {
            let expected = CgroupIdentity {
                unit: unit.map(Into::into),
                container: container.map(Into::into),
                pod: pod.map(Into::into),
            };
            assert_eq!(identify(&path), expected, "{path}");
        }
    }

    #[test]
    fn the_most_specific_hierarchy_wins() {
        let text = format!("4:memory:/docker/{ID}\n1:name=systemd:/system.slice/x.service\n0::/\n");
        assert_eq!(identify_proc_file(&text).container.as_deref(), Some(ID));
        let text = "1:name=systemd:/system.slice/x.service\n0::/\n";
        assert_eq!(identify_proc_file(text).unit.as_deref(), Some("x.service"));
        assert!(identify_proc_file("0::/\n").is_empty());
        assert!(identify_proc_file("").is_empty());
    }

    #[test]
    fn the_unified_path_and_mount_are_found() {
        assert_eq!(v2_path("2:cpu:/a\n0::/b/c\n"), Some("/b/c"));
        assert_eq!(v2_path("2:cpu:/a\n"), None);
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(
            v2_mount(mounts),
            Some(PathBuf::from("/sys/fs/cgroup/unified"))
        );
        assert_eq!(v2_mount("proc /proc proc rw 0 0\n"), None);
    }
}
