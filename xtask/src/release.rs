//! The release binary with everything it needs: what running, testing and measuring begin with.

use anyhow::Result;

use crate::{build_ebpf, paths, setup, sh};

/// Who asks decides what setup must bring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Using weir: no test servers.
    Use,
    /// Testing or measuring it.
    Test,
}

/// Sets up, builds the kernel programs, then `target/release/weir`.
pub fn build(purpose: Purpose) -> Result<()> {
    prepare(purpose)?;
    let cargo = ["cargo", "build", "--release", "-p", "weir"];
    sh::step(sh::command(cargo).current_dir(paths::root()))
}

/// Sets up and builds the kernel programs only.
pub fn prepare(purpose: Purpose) -> Result<()> {
    let setup = setup::Arguments {
        build_only: purpose == Purpose::Use,
        ..Default::default()
    };
    setup::run(&setup)?;
    build_ebpf::run(&build_ebpf::Arguments::default())
}
