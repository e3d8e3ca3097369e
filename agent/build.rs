//! Embeds the kernel object that `cargo xtask build-ebpf` made: `$OUT_DIR/weir.bpf.o`, for
//! `aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weir.bpf.o"))`.
//!
//! `WEIR_BPF_OBJECT` names another object. Without an object a debug build embeds an empty file
//! and warns, so that `cargo check` and the unit tests need no BPF toolchain; a release build
//! fails, because a `weir` that cannot load anything must not be shipped.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WEIR_BPF_OBJECT");
    let embedded =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("weir.bpf.o");
    match env::var_os("WEIR_BPF_OBJECT") {
        Some(object) => embed_named(Path::new(&object), &embedded),
        None => embed_built(&embedded),
    }
}

fn embed_named(object: &Path, embedded: &Path) {
    println!("cargo::rerun-if-changed={}", object.display());
    if let Err(error) = fs::copy(object, embedded) {
        println!("cargo::error=WEIR_BPF_OBJECT {}: {error}", object.display());
    }
}

fn embed_built(embedded: &Path) {
    let folder = bpf_folder();
    // The folder is watched rather than the object: a watched file that is missing would make
    // cargo run this script, and compile the agent again, on every build.
    if let Err(error) = fs::create_dir_all(&folder) {
        println!("cargo::error=create {}: {error}", folder.display());
        return;
    }
    println!("cargo::rerun-if-changed={}", folder.display());
    let object = folder.join("weir.bpf.o");
    if object.exists() {
        if let Err(error) = fs::copy(&object, embedded) {
            println!("cargo::error=copy {}: {error}", object.display());
        }
        return;
    }
    let missing = "target/bpf/weir.bpf.o is missing; build it with `cargo xtask build-ebpf`";
    if env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::error={missing}");
        return;
    }
    println!("cargo::warning={missing} (this debug build can load no kernel programs)");
    fs::write(embedded, []).expect("OUT_DIR is writable");
}

/// `target/bpf` of the workspace, wherever `CARGO_TARGET_DIR` puts the rest.
fn bpf_folder() -> PathBuf {
    let agent = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = agent.parent().expect("agent/ lies in the workspace");
    root.join("target/bpf")
}
