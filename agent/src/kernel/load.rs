//! From the embedded object to running, pinned programs.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::{Btf, Ebpf, EbpfLoader};
use tracing::debug;
use weir_common::{ABI_VERSION, stable_hash};

use super::{
    attach::{self, HOOKS, Hook},
    bpffs::Pins,
    btf, cgroup, feature,
    maps::{MAPS, Maps},
    programs,
};

/// The kernel object that `cargo xtask build-ebpf` made.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weir.bpf.o"));

/// What to load, and where.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Pin folder.
    pub pins: Pins,
    /// Size of the ring buffer, bytes; a power of two. `None` keeps the default of 8 MiB.
    pub ring_bytes: Option<u32>,
    /// Protocols that are given by server port.
    pub ports: BTreeMap<u16, u8>,
}

/// What runs now.
pub struct Loaded {
    /// The maps.
    pub maps: Maps,
    /// Hooks in force.
    pub hooks: Vec<String>,
    /// Hooks that this kernel lacks, with the reason and what is lost without them.
    pub missing: Vec<String>,
    /// True if the programs of an earlier run go on unchanged.
    pub adopted: bool,
}

/// Loads and attaches everything, or takes over what an earlier run left in force.
pub fn load(options: &LoadOptions) -> Result<Loaded> {
    ensure!(
        !OBJECT.is_empty(),
        "this weir was built without its kernel object: run `cargo xtask build-ebpf` and build again"
    );
    check_host()?;
    let cgroup = cgroup::root()?;
    options.pins.prepare()?;
    let hash = stable_hash(OBJECT);
    if options.pins.exist() {
        let mut maps = Maps::open(&options.pins)?;
        let found = maps.control()?;
        ensure!(
            found.abi_version == ABI_VERSION || found.abi_version == 0,
            "agent speaks ABI {ABI_VERSION}, pinned programs speak {}; run `weir off` and start \
             again (policies in the policy folder are loaded again)",
            found.abi_version
        );
        if found.object_hash == hash && every_link_is_there(&options.pins) {
            maps.set_ports(&options.ports)?;
            return Ok(adopt(maps, &options.pins));
        }
    }
    load_fresh(options, &cgroup, hash)
}

fn check_host() -> Result<()> {
    if !feature::may_load() {
        bail!(
            "no permission to load kernel programs: run weir as root, or with CAP_BPF, \
             CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_PTRACE"
        );
    }
    ensure!(
        feature::has_btf(),
        "/sys/kernel/btf/vmlinux is missing: this kernel was built without CONFIG_DEBUG_INFO_BTF, \
         and weir's programs need the kernel's type information"
    );
    let oldest = feature::release(5, 10);
    let running = feature::running()?;
    ensure!(
        running >= oldest,
        "Linux {running} is older than {oldest}, the first that weir runs on"
    );
    Ok(())
}

fn every_link_is_there(pins: &Pins) -> bool {
    let required = |hook: &&Hook| !matches!(hook.kind, attach::Kind::Tracepoint(_));
    HOOKS
        .iter()
        .filter(required)
        .all(|hook| pins.link(hook.name).exists())
}

fn adopt(maps: Maps, pins: &Pins) -> Loaded {
    let (there, gone): (Vec<&Hook>, Vec<&Hook>) =
        HOOKS.iter().partition(|hook| pins.link(hook.name).exists());
    Loaded {
        maps,
        hooks: there.iter().map(|hook| hook.name.to_owned()).collect(),
        missing: gone
            .iter()
            .map(|hook| format!("{}: {}", hook.name, hook.lost_without))
            .collect(),
        adopted: true,
    }
}

fn load_fresh(options: &LoadOptions, cgroup: &std::path::Path, hash: u64) -> Result<Loaded> {
    let btf = Btf::from_sys_fs().context("read the kernel's type information")?;
    let mut ebpf = open_object(options)?;
    let mut maps = Maps::open(&options.pins)?;
    maps.stamp(hash)?;
    maps.set_ports(&options.ports)?;
    let mut hooks = Vec::new();
    let mut missing = Vec::new();
    let mut loaded = programs::load_all(&mut ebpf, &btf);
    for hook in HOOKS {
        let result = loaded
            .remove(hook.name)
            .unwrap_or_else(|| Err(anyhow!("the kernel object has no program {}", hook.program)));
        let attach = |()| attach::attach(hook, &mut ebpf, cgroup, &options.pins);
        match result.and_then(attach) {
            Ok(()) => hooks.push(hook.name.to_owned()),
            Err(error) => missing.push(format!(
                "{}: {} ({}; needs Linux {})",
                hook.name,
                hook.lost_without,
                refusal(hook.name, &format!("{error:#}")),
                hook.since
            )),
        }
    }
    ensure!(
        hooks.iter().any(|name| name == "sockops"),
        "the kernel took none of the socket hooks: {}",
        missing.join("; ")
    );
    Ok(Loaded {
        maps,
        hooks,
        missing,
        adopted: false,
    })
}

/// Why a hook is missing, in one line. The verifier's log can have megabytes: its verdict stands
/// before its closing statistics, and its end is logged for those who ask for debug messages.
fn refusal(hook: &str, error: &str) -> String {
    const SHOWN: usize = 80;
    let lines: Vec<&str> = error.lines().filter(|line| !line.is_empty()).collect();
    let end = lines.len().saturating_sub(SHOWN);
    debug!("{hook}: {}", lines[end..].join("\n"));
    let Some((first, rest)) = lines.split_first() else {
        return String::new();
    };
    let verdict = rest
        .iter()
        .rev()
        .find(|line| !STATISTICS.iter().any(|start| line.starts_with(start)));
    match verdict {
        Some(verdict) => format!("{first} … {verdict}"),
        None => (*first).to_owned(),
    }
}

/// How the lines begin that follow the verdict in the verifier's log.
const STATISTICS: [&str; 3] = ["processed ", "verification time ", "stack depth "];

fn open_object(options: &LoadOptions) -> Result<Ebpf> {
    let running = feature::running()?;
    let set_retval = u32::from(running >= feature::release(5, 18));
    let netns_cookie = u32::from(running >= feature::release(5, 15));
    // Where it is not known, the program that asks is not loaded, see `attach::load`.
    let copied_seq_at = btf::copied_seq().unwrap_or(0);
    let family_at = btf::socket_family().unwrap_or(0);
    let paths: Vec<(&str, PathBuf)> = MAPS
        .iter()
        .map(|name| (*name, options.pins.map(name)))
        .collect();
    let mut loader = EbpfLoader::new();
    loader
        .allow_unsupported_maps()
        .override_global("HAS_SET_RETVAL", &set_retval, true)
        .override_global("HAS_SOCKOPS_NETNS_COOKIE", &netns_cookie, true)
        .override_global("COPIED_SEQ_AT", &copied_seq_at, true)
        .override_global("FAMILY_AT", &family_at, true);
    if let Some(bytes) = options.ring_bytes {
        loader.map_max_entries("EVENTS", bytes);
    }
    for (name, path) in &paths {
        loader.map_pin_path(name, path);
    }
    loader.load(OBJECT).context("load the kernel object's maps")
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn refusals_keep_the_verdict() {
        for (error, expected) in [
            ("EPERM", "EPERM"),
            (
                "load. Verifier output: 0: R1=ctx()\n1: call 4\nunknown func\nprocessed 2 insns\n",
                "load. Verifier output: 0: R1=ctx() … unknown func",
            ),
        ] {
            assert_eq!(refusal("sockops", error), expected, "{error}");
        }
    }
}
