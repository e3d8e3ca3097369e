//! Children that end with their handle, whole process group included.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};

use crate::scratch::Scratch;

/// A running program with its log.
pub struct Process {
    child: Child,
    log: PathBuf,
    _folder: Option<Scratch>,
}

impl Process {
    /// Starts `command` in a process group of its own, output into a log file.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let folder = Scratch::new();
        let log = folder.path().join("log");
        let mut process = Self::start_logging(command, log);
        process._folder = Some(folder);
        process
    }

    /// As [`Process::start`], with the log appended to a file of the caller's.
    pub fn start_logging(command: &mut Command, log: PathBuf) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("open the log of a test process");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("clone a file handle"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        Self {
            child,
            log,
            _folder: None,
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("ask for a child's status")
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it has not ended within `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                start.elapsed() < limit,
                "process {} still runs after {limit:?}; its log:\n{}",
                self.pid(),
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to the process itself, not to its group.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.id(), signal);
    }

    /// Does `work` while the whole group stands still for so long at its beginning: what is sent to
    /// it meanwhile waits in its sockets.
    pub fn while_stopped<T>(&self, time: Duration, work: impl FnOnce() -> T) -> T {
        let group = self.id();
        let _ = kill_process_group(group, Signal::STOP);
        let waker = thread::spawn(move || {
            thread::sleep(time);
            let _ = kill_process_group(group, Signal::CONT);
        });
        let result = work();
        waker.join().expect("let the group go on");
        result
    }

    /// Kills it at once (`kill -9`), as a crash would.
    pub fn kill(&mut self) {
        let _ = kill_process_group(self.id(), Signal::KILL);
        let _ = self.child.wait();
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process_group(self.id(), Signal::TERM);
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(3) {
                if self.ended().is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
    }
}

/// Runs `command` to its end.
///
/// # Panics
/// If it cannot be started or fails.
pub fn must(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `command` to its end, whatever that is.
///
/// # Panics
/// If it cannot be started.
pub fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"))
}
