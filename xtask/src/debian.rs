//! Packages of other Debian suites, unpacked and never installed.
//!
//! apt runs on lists and a cache of its own under `target/debian`, so the machine's package
//! state is neither read nor changed, and no root is needed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use crate::{paths, sh};

/// Suites that hold what we fetch: kernels from 5.10 to 7.x and newer servers.
const SUITES: [&str; 5] = [
    "bullseye",
    "bookworm",
    "bookworm-backports",
    "trixie",
    "trixie-backports",
];
/// Package lists older than this are fetched again before a download.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The private apt.
pub struct Debian {
    folder: PathBuf,
}

impl Debian {
    /// Opens the private apt and refreshes its lists when they are old.
    pub fn open() -> Result<Self> {
        if sh::which("apt-get").is_none() || sh::which("dpkg").is_none() {
            bail!("this needs Debian's apt-get and dpkg to fetch packages of other suites");
        }
        let debian = Self {
            folder: paths::target().join("debian"),
        };
        debian.lay_out()?;
        if !debian.is_fresh() {
            sh::step(debian.apt("apt-get").args(["-q", "update"]))?;
            fs::write(debian.folder.join("updated"), "")?;
        }
        Ok(debian)
    }

    fn lay_out(&self) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let mirror = env::var("WEIR_DEBIAN_MIRROR")
            .unwrap_or_else(|_| "http://deb.debian.org/debian".to_owned());
        let sources: String = SUITES
            .iter()
            .map(|suite| {
                let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
                format!("deb [signed-by={keyring}] {mirror} {suite} main\n")
            })
            .collect();
        fs::write(self.folder.join("status"), "")?;
        fs::write(self.folder.join("sources.list"), sources)?;
        fs::write(self.folder.join("apt.conf"), self.configuration())?;
        Ok(())
    }

    fn configuration(&self) -> String {
        let folder = self.folder.display();
        format!(
            "Dir::Etc::sourcelist \"{folder}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::State \"{folder}\";\n\
             Dir::State::status \"{folder}/status\";\n\
             Dir::Cache \"{folder}/cache\";\n\
             APT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
        )
    }

    fn is_fresh(&self) -> bool {
        let updated = fs::metadata(self.folder.join("updated")).and_then(|file| file.modified());
        updated.is_ok_and(|time| {
            SystemTime::now()
                .duration_since(time)
                .is_ok_and(|age| age < FRESH)
        })
    }

    /// An apt program bound to the private folders.
    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.env("APT_CONFIG", self.folder.join("apt.conf"));
        apt
    }

    /// Package names that match the regular expression `pattern`, over all suites.
    pub fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let lines = sh::capture(
            self.apt("apt-cache")
                .args(["search", "--names-only", pattern]),
        )?;
        Ok(lines
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    /// Downloads `package` (`name` or `name/suite`) and unpacks it into `destination`.
    pub fn unpack(&self, package: &str, destination: &Path) -> Result<()> {
        let scratch = self.folder.join("download");
        // What an interrupted run left must not be mistaken for this package.
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        fs::create_dir_all(destination)
            .with_context(|| format!("create {}", destination.display()))?;
        sh::step(
            self.apt("apt-get")
                .current_dir(&scratch)
                .args(["-q", "download", package]),
        )?;
        let archive = fs::read_dir(&scratch)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|suffix| suffix == "deb"))
            .with_context(|| format!("apt downloaded no archive for {package}"))?;
        sh::quiet(
            Command::new("dpkg")
                .arg("-x")
                .arg(&archive)
                .arg(destination),
        )?;
        let _ = fs::remove_dir_all(&scratch);
        Ok(())
    }
}
