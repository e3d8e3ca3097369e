//! Real servers: where `cargo xtask setup` put them, started with their output in a file, and
//! ended when the test ends.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Finds a program: in the Python environment (`WEIR_TEST_VENV`, else `target/venv`), among the
/// programs of other suites (`target/tools`), on the search path.
///
/// A test without its server is skipped, saying so; with `CI=true` that is a failure.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = venv_folders();
    folders.push(target().join("tools"));
    folders.extend(env::split_paths(&path));
    let found = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let reason = format!("skipped: `{name}` is missing; `cargo xtask setup` installs it");
        assert!(env::var("CI").as_deref() != Ok("true"), "{reason}");
        eprintln!("{reason}");
    }
    found
}

fn target() -> PathBuf {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"));
    agent.parent().expect("a workspace").join("target")
}

/// `bin`, and the folders of packages that ship a program beside their modules.
fn venv_folders() -> Vec<PathBuf> {
    let venv = env::var_os("WEIR_TEST_VENV").map_or_else(|| target().join("venv"), PathBuf::from);
    let mut folders = vec![venv.join("bin")];
    for python in fs::read_dir(venv.join("lib"))
        .into_iter()
        .flatten()
        .flatten()
    {
        folders.push(python.path().join("site-packages/rotel"));
    }
    folders
}

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// An own folder, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("weir-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a scratch folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server.
pub struct Server {
    child: Child,
    folder: Folder,
}

impl Server {
    /// Starts `program`; its standard output and error go to one file.
    pub fn start(program: &Path, folder: Folder, arguments: &[&str]) -> Self {
        let log = fs::File::create(folder.0.join("log")).expect("a log file");
        let child = Command::new(program)
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        Self { child, folder }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `GET url` by curl-like means: a plain HTTP/1.0 request over a socket. Returns the body.
pub fn get(port: u16, path: &str) -> Result<String, String> {
    use std::io::{Read, Write};
    let mut stream =
        std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .map_err(|e| e.to_string())?;
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .map_err(|e| e.to_string())?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no head")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        Ok(body.to_owned())
    } else {
        Err(format!("status {status}: {body}"))
    }
}

/// Percent-encodes everything but letters and digits.
pub fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Series of an instant PromQL query: labels without the name, and the value.
pub fn promql(port: u16, query: &str) -> Result<Vec<(serde_json::Value, f64)>, String> {
    let body = get(port, &format!("/api/v1/query?query={}", encoded(query)))?;
    let answer: serde_json::Value = serde_json::from_str(&body).map_err(|e| e.to_string())?;
    let series = answer["data"]["result"].as_array().ok_or(body)?;
    let value = |series: &serde_json::Value| -> Option<(serde_json::Value, f64)> {
        let value = series["value"][1].as_str()?.parse().ok()?;
        Some((series["metric"].clone(), value))
    };
    Ok(series.iter().filter_map(value).collect())
}
