//! The initramfs: busybox, `weir`, the smoke suite, the programs that it runs, the libraries they
//! all load, two modules.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::kernel::Kernel;
use crate::{paths, sh};

/// Modules that weir's hooks may need and Debian does not build in.
const MODULES: [&str; 2] = ["cls_bpf", "sch_ingress"];

/// Programs of this machine that the suite runs, nghttpd and h2load for HTTP/2.
const PROGRAMS: [&str; 3] = ["bpftool", "nghttpd", "h2load"];

const INIT: &str = "#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /run/lock /var/lib /etc
ip link set lo up
for module in /lib/modules/*.ko; do [ -f $module ] && insmod $module; done
export WEIR_BIN=/bin/weir WEIR_LOG=info,weir::kernel=debug RUST_BACKTRACE=0 CI=true
/bin/weir-vm-guest 2>&1
poweroff -f
";

/// Builds the initramfs for `kernel` and returns its path.
pub fn build(kernel: &Kernel) -> Result<PathBuf> {
    let root = kernel.folder.join("root");
    let _ = fs::remove_dir_all(&root);
    for folder in ["bin", "proc", "sys", "dev", "tmp", "run", "lib/modules"] {
        fs::create_dir_all(root.join(folder))?;
    }
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
    install(&paths::target().join("release/weir"), &root)?;
    install(&paths::target().join("debug/weir-vm-guest"), &root)?;
    for program in PROGRAMS {
        let found =
            sh::which(program).with_context(|| format!("{program}; run `cargo xtask setup`"))?;
        install(&found, &root)?;
    }
    for module in MODULES {
        install_module(kernel, module, &root)?;
    }
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    pack(&root, &kernel.folder.join("initramfs.cpio"))
}

/// Copies a program without its debug information, and the libraries that it names.
fn install(program: &Path, root: &Path) -> Result<()> {
    let name = program.file_name().context("a program has a name")?;
    let copied = root.join("bin").join(name);
    copy(program, &copied)?;
    // Only smaller: a guest without strip's help would unpack tens of megabytes more.
    let _ = sh::quiet(Command::new("strip").arg(&copied));
    for library in libraries(program)? {
        let inside = root.join(library.strip_prefix("/").unwrap_or(&library));
        if !inside.exists() {
            fs::create_dir_all(inside.parent().context("a library lies in a folder")?)?;
            copy(&library, &inside)?;
        }
    }
    Ok(())
}

/// Absolute paths in what `ldd` prints; empty for static programs.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let text = sh::capture(Command::new("ldd").arg(program))?;
    Ok(text
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .map(PathBuf::from)
        .collect())
}

/// Copies and unpacks a module, if this kernel has it as one.
fn install_module(kernel: &Kernel, name: &str, root: &Path) -> Result<()> {
    let scheduler = Path::new("kernel/net/sched");
    for base in ["lib/modules", "usr/lib/modules"] {
        let folder = kernel
            .folder
            .join(base)
            .join(&kernel.release)
            .join(scheduler);
        let plain = root.join(format!("lib/modules/{name}.ko"));
        let packed = folder.join(format!("{name}.ko.xz"));
        if packed.exists() {
            let unpacked = Command::new("xz")
                .args(["-dc"])
                .arg(&packed)
                .output()
                .context("unpack a module with xz")?;
            fs::write(plain, unpacked.stdout)?;
            return Ok(());
        }
        let loose = folder.join(format!("{name}.ko"));
        if loose.exists() {
            return copy(&loose, &plain);
        }
    }
    Ok(())
}

fn pack(root: &Path, archive: &Path) -> Result<PathBuf> {
    let script = format!(
        "cd '{}' && find . | cpio --quiet -o -H newc > '{}'",
        root.display(),
        archive.display()
    );
    sh::quiet(&mut sh::command(["sh", "-c", &script]))?;
    Ok(archive.to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
