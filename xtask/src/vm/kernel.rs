//! Debian's kernels, unpacked under `target/vm`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{debian::Debian, paths};

/// An unpacked kernel.
pub struct Kernel {
    /// Release, e.g. `6.1.0-48-cloud-amd64`.
    pub release: String,
    /// Folder of the unpacked package.
    pub folder: PathBuf,
    /// Compressed kernel image.
    pub image: PathBuf,
}

/// The newest Debian kernel of `version` (its first numbers), downloaded at the first use.
pub fn fetch(version: &str) -> Result<Kernel> {
    let folder = paths::target().join("vm").join(version);
    if let Some(kernel) = unpacked(&folder) {
        return Ok(kernel);
    }
    let debian = Debian::open()?;
    let package = newest(&debian, version)?;
    debian.unpack(&package, &folder)?;
    if unpacked(&folder).is_none() {
        // From 7.x on the image package is empty and depends on these two.
        let release = package.trim_start_matches("linux-image-");
        for part in ["linux-modules", "linux-binary"] {
            debian.unpack(&format!("{part}-{release}"), &folder)?;
        }
    }
    unpacked(&folder).with_context(|| format!("{package} holds no boot/vmlinuz-*"))
}

/// Looks where packages up to 6.x put the image (`boot/vmlinuz-RELEASE`), then where those from
/// 7.x on do (`usr/lib/modules/RELEASE/vmlinuz`).
fn unpacked(folder: &Path) -> Option<Kernel> {
    let kernel = |release: String, image: PathBuf| Kernel {
        release,
        folder: folder.to_owned(),
        image,
    };
    for name in names_in(&folder.join("boot")) {
        if let Some(release) = name.strip_prefix("vmlinuz-") {
            return Some(kernel(release.to_owned(), folder.join("boot").join(&name)));
        }
    }
    let modules = folder.join("usr/lib/modules");
    names_in(&modules).into_iter().find_map(|release| {
        let image = modules.join(&release).join("vmlinuz");
        image.exists().then(|| kernel(release, image))
    })
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The cloud flavour: the same code with fewer drivers, a third of the download.
fn newest(debian: &Debian, version: &str) -> Result<String> {
    let dotted = version.replace('.', "\\.");
    let mut packages = debian.search(&format!("^linux-image-{dotted}\\.[^-]*.*-cloud-amd64$"))?;
    packages.sort_by_key(|package| numbers(package));
    match packages.pop() {
        Some(package) => Ok(package),
        None => bail!("no Debian suite has a kernel {version}.*"),
    }
}

/// All numbers in a text, for sorting `6.12.9` before `6.12.73`.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_sort_by_number() {
        assert!(numbers("linux-image-6.12.9+deb13") < numbers("linux-image-6.12.73+deb12"));
        assert!(numbers("linux-image-5.10.0-9-cloud") < numbers("linux-image-5.10.0-32-cloud"));
    }
}
