//! Which toolchain builds the kernel programs on this machine.
//!
//! Two recipes, because `-Zbuild-std` needs the standard library's source and a compiler that
//! takes unstable flags: Debian's `rustc-web`, whose source package matches it, and elsewhere a
//! rustup nightly with `rust-src`. Both link with bpf-linker, which loads the LLVM that made the
//! bitcode, so the LLVM major versions must agree.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{paths, sh};

/// The bpf-linker release that both recipes use.
pub const BPF_LINKER_VERSION: &str = "0.10.3";
/// LLVM major that this bpf-linker speaks (its default feature).
const LLVM_MAJOR: &str = "22";

/// A toolchain that can build for `bpfel-unknown-none`.
#[derive(Clone, Debug)]
pub enum BpfToolchain {
    /// Debian's `rustc-web`, `cargo-web` and `rust-web-src`.
    Debian,
    /// A rustup nightly with `rust-src`: folder of the toolchain.
    Nightly(PathBuf),
}

impl BpfToolchain {
    /// The toolchain this machine has, Debian's first: its source always matches its compiler.
    pub fn find() -> Option<Self> {
        if debian_is_whole() {
            return Some(Self::Debian);
        }
        let sysroot = nightly_sysroot()?;
        sysroot
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .exists()
            .then_some(Self::Nightly(sysroot))
    }

    /// In words, for what setup prints.
    pub fn describe(&self) -> String {
        match self {
            Self::Debian => "Debian's rustc-web".to_owned(),
            Self::Nightly(sysroot) => format!("rustup nightly in {}", sysroot.display()),
        }
    }

    /// A cargo of this toolchain with the environment that building std and linking need.
    pub fn cargo(&self) -> Result<Command> {
        let mut cargo = match self {
            Self::Debian => {
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo.env("RUSTC", "/usr/bin/rustc");
                cargo
            }
            Self::Nightly(sysroot) => {
                let mut cargo = Command::new(sysroot.join("bin/cargo"));
                cargo.env("RUSTC", sysroot.join("bin/rustc"));
                cargo
            }
        };
        // The calling cargo's own settings must not reach the other toolchain.
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "RUSTUP_TOOLCHAIN",
        ] {
            cargo.env_remove(name);
        }
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", self.llvm_folder()?);
        Ok(cargo)
    }

    /// The folder bpf-linker loads LLVM from.
    fn llvm_folder(&self) -> Result<PathBuf> {
        let folders = match self {
            Self::Nightly(sysroot) => vec![sysroot.join("lib")],
            Self::Debian => rustup_lib_folders(),
        };
        if let Some(folder) = folders.into_iter().find(|folder| llvm_in(folder).is_some()) {
            return Ok(folder);
        }
        if let (Self::Debian, Some(library)) = (self, llvm_in(&debian_lib_folder())) {
            return alone(&library);
        }
        bail!(
            "no libLLVM {LLVM_MAJOR} beside any Rust toolchain; bpf-linker {BPF_LINKER_VERSION} \
             needs one: `rustup toolchain install stable` brings it"
        )
    }
}

fn debian_is_whole() -> bool {
    [
        "/usr/bin/cargo",
        "/usr/bin/rustc",
        "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
    ]
    .iter()
    .all(|file| Path::new(file).exists())
        && debian_is_web()
}

/// True if `/usr/bin/rustc` is `rustc-web`; Debian 12's plain rustc (1.63) is far too old.
fn debian_is_web() -> bool {
    Path::new("/usr/share/doc/rustc-web").exists()
}

/// The rustup nightly, if one is installed.
pub fn nightly_sysroot() -> Option<PathBuf> {
    sh::capture(&mut sh::command([
        "rustup", "run", "nightly", "rustc", "--print", "sysroot",
    ]))
    .ok()
    .map(PathBuf::from)
}

/// `lib` of the running toolchain, then of every other that rustup holds.
fn rustup_lib_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let running = sh::capture(&mut sh::command(["rustc", "--print", "sysroot"]));
    folders.extend(running.ok().map(|sysroot| Path::new(&sysroot).join("lib")));
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".rustup")));
    let toolchains = home.and_then(|home| fs::read_dir(home.join("toolchains")).ok());
    folders.extend(
        toolchains
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("lib")),
    );
    folders
}

fn debian_lib_folder() -> PathBuf {
    PathBuf::from(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH))
}

/// The shared LLVM of the right major version in `folder`.
fn llvm_in(folder: &Path) -> Option<PathBuf> {
    let prefix = format!("libLLVM.so.{LLVM_MAJOR}");
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
}

/// A folder with nothing but a link to `library`: the system's may hold other LLVMs, and
/// bpf-linker would take whichever it meets first.
fn alone(library: &Path) -> Result<PathBuf> {
    let folder = paths::target().join("bpf-llvm");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let link = folder.join(format!("libLLVM.so.{LLVM_MAJOR}"));
    if !link.exists() {
        std::os::unix::fs::symlink(library, &link)
            .with_context(|| format!("link {}", link.display()))?;
    }
    Ok(folder)
}

/// The bpf-linker to use, if its version is the pinned one.
pub fn bpf_linker() -> Option<PathBuf> {
    let linker = sh::which("bpf-linker")?;
    let version = sh::capture(Command::new(&linker).arg("--version")).ok()?;
    (version.split_whitespace().last() == Some(BPF_LINKER_VERSION)).then_some(linker)
}
