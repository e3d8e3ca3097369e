//! Takes the socket's place in the file system, without ever removing what is not a stale socket.

use std::{
    io,
    os::{
        fd::AsFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

/// Group that may ask the daemon, if the host has it.
pub const GROUP: &str = "weir";

/// How long another daemon that starts at the same moment is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Why the socket could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A daemon answers on it.
    #[error(
        "a weir daemon already answers on {0}; stop it first, or give this one another --socket"
    )]
    AlreadyRunning(PathBuf),
    /// Something that is no socket has the name.
    #[error("{path} is in the way: it is {what}, not a socket; move it, or use another --socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The path does not fit into a socket address.
    #[error("{0} is too long for a socket (107 bytes at most); use a shorter --socket")]
    TooLong(PathBuf),
    /// The system said no.
    #[error("cannot listen on {path}: {source}; {remedy}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    /// True if more rights would help.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    fn io(path: &Path, source: io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::PermissionDenied => "run as root, or use a --socket you may write",
            io::ErrorKind::StorageFull => "free some space there",
            io::ErrorKind::ReadOnlyFilesystem => "use a --socket on a writable file system",
            _ => "use another --socket",
        };
        Self::Io {
            path: path.into(),
            remedy,
            source,
        }
    }
}

/// A socket that is listened on; its file is removed when this is dropped.
#[derive(Debug)]
pub struct BoundSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl BoundSocket {
    /// The listening socket, non-blocking.
    pub fn listener(&self) -> io::Result<UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        // Another daemon may have taken the name meanwhile: only the own file is removed.
        let own = std::fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode);
        if own {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path` with mode 0660 and group [`GROUP`], if the host has it. Missing parent
/// folders are made. A stale socket is replaced; one that answers, or anything that is not a
/// socket, is left alone.
///
/// # Errors
/// [`BindError`], each a sentence with its remedy.
pub fn bind(path: &Path) -> Result<BoundSocket, BindError> {
    let fail = |error| BindError::io(path, error);
    if path.as_os_str().len() > 107 {
        return Err(BindError::TooLong(path.into()));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(fail)?;
    // Two daemons that start at once must not remove each other's socket.
    let folder = std::fs::File::open(parent).map_err(fail)?;
    lock(&folder).map_err(fail)?;
    make_way(path)?;
    let listener = UnixListener::bind(path).map_err(fail)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o660)).map_err(fail)?;
    if let Some(gid) = super::peer::group_id(GROUP) {
        // Without the right to do so the group stays the daemon's own.
        let _ = std::os::unix::fs::chown(path, None, Some(gid));
    }
    let inode = std::fs::symlink_metadata(path).map_err(fail)?.ino();
    Ok(BoundSocket {
        listener,
        path: path.into(),
        inode,
    })
}

fn lock(folder: impl AsFd) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            // Somebody holds the folder for reasons of its own: go on without, rather than wait
            // for ever; the window is a few microseconds.
            Err(_) if began.elapsed() > LOCK_WAIT => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.into()),
        }
    }
}

fn make_way(path: &Path) -> Result<(), BindError> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::io(path, error)),
    };
    if !kind.is_socket() {
        let what = match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_symlink() => "a symbolic link",
            () if kind.is_file() => "a file",
            () => "a special file",
        };
        return Err(BindError::NotASocket {
            path: path.into(),
            what,
        });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| BindError::io(path, error))
        }
        // Whoever cannot even ask must not remove it; a full queue (EAGAIN) is somebody alive.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(BindError::io(path, error))
        }
        _ => Err(BindError::AlreadyRunning(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes with the value; the socket's path in it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("weir-bind-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("weir.sock")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_socket_that_answers_is_left_alone() {
        let place = Place::new("running");
        let path = place.socket();
        let first = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(BindError::AlreadyRunning(_))));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        drop(first);
        assert!(!path.exists(), "the socket is removed at the end");
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let place = Place::new("stale");
        let path = place.socket();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(bind(&path).unwrap());
    }

    #[test]
    fn what_is_not_a_socket_is_never_removed() {
        let place = Place::new("file");
        let path = place.socket();
        std::fs::write(&path, "precious").unwrap();
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains("a file, not a socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        let folder = path.parent().unwrap();
        let error = bind(folder).unwrap_err().to_string();
        assert!(error.contains("a folder"), "{error}");
    }

    #[test]
    fn a_new_daemon_keeps_its_socket_when_the_old_one_goes() {
        let place = Place::new("handover");
        let path = place.socket();
        let old = bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let new = bind(&path).unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
    }

    #[test]
    fn a_path_too_long_is_said_so() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        assert!(matches!(bind(&path), Err(BindError::TooLong(_))));
    }
}
