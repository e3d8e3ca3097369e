//! Whether a live test can run here, and the lock that lets them run one at a time.

use std::{
    env,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

/// weir hooks the whole host, so two tests with an agent would see each other's traffic.
const LOCK: &str = "/run/lock/weir-live-tests.lock";

/// True if this is root with a built `weir`; else says why the test is skipped.
///
/// # Panics
/// With `CI=true`, where a skip would hide breakage.
pub fn live() -> bool {
    if !root() {
        return false;
    }
    let binary = weir_binary();
    if !binary.exists() {
        let path = binary.display();
        return skip(&format!(
            "needs {path}; `cargo xtask test --live` builds it"
        ));
    }
    true
}

/// True if this is root; else says that the test is skipped.
///
/// # Panics
/// With `CI=true`.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
        || skip("needs root; run `sudo -E cargo xtask test --live`")
}

/// Prints why a test is skipped and returns false; fails in CI.
pub fn skip(reason: &str) -> bool {
    assert!(
        env::var("CI").as_deref() != Ok("true"),
        "in CI nothing is skipped: {reason}"
    );
    // The test runner captures `eprintln!` of passing tests; a skip must be seen.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
    false
}

/// The release binary, or what `WEIR_BIN` names.
pub fn weir_binary() -> PathBuf {
    env::var_os("WEIR_BIN").map_or_else(|| workspace().join("target/release/weir"), PathBuf::from)
}

/// The workspace folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
}

/// Held while an agent is on this host.
pub struct HostLock(#[expect(dead_code, reason = "the lock lives as long as the file")] File);

impl HostLock {
    /// Waits for every other live test of this host.
    pub fn take() -> Self {
        let file = File::create(LOCK).expect("create the lock of the live tests");
        file.lock().expect("lock the live tests");
        Self(file)
    }
}
