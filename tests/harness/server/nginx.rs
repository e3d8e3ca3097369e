//! nginx, with its own count of requests on a Unix socket that no packet hook sees.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::net::UnixStream,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Place, tls::Certificate};
use crate::{process::Process, scratch::Scratch};

/// A running nginx.
pub struct Nginx {
    /// The server itself.
    pub process: Process,
    folder: Scratch,
    asked: AtomicU64,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Nginx {
    /// Name under which weir shows it: nginx overwrites the environment that would tell another.
    pub const SERVICE: &str = "nginx";

    /// Starts it with `locations` in its one server block, e.g. `location / { return 200; }`.
    pub fn start(place: Place, address: SocketAddr, locations: &str) -> Self {
        Self::with_upstreams(
            place,
            address,
            &format!("listen {address} backlog=4096; {locations}"),
            "",
        )
    }

    /// The same over HTTP/2 in the clear.
    pub fn http2(place: Place, address: SocketAddr, locations: &str) -> Self {
        Self::with_upstreams(
            place,
            address,
            &format!("listen {address} http2; {locations}"),
            "",
        )
    }

    /// The same over TLS.
    pub fn tls(place: Place, address: SocketAddr, shown: &Certificate, locations: &str) -> Self {
        let (certificate, key) = (shown.file(), shown.key());
        let server = format!(
            "listen {address} ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; \
             ssl_certificate_key {}; {locations}",
            certificate.display(),
            key.display()
        );
        Self::with_upstreams(place, address, &server, "")
    }

    /// Starts it as a proxy that keeps its connections to the back end `to`.
    pub fn proxy(place: Place, address: SocketAddr, to: SocketAddr) -> Self {
        let upstreams = format!("upstream back {{ server {to}; keepalive 64; }}");
        let locations = "location / { proxy_pass http://back; proxy_http_version 1.1; \
                         proxy_set_header Connection \"\"; }";
        let server = format!("listen {address} backlog=4096; {locations}");
        Self::with_upstreams(place, address, &server, &upstreams)
    }

    fn with_upstreams(place: Place, address: SocketAddr, server: &str, upstreams: &str) -> Self {
        let folder = Scratch::new();
        let text = configuration(&folder, server, upstreams);
        let file = folder.write("nginx.conf", &text);
        let mut command = place.command("nginx", Self::SERVICE);
        command.arg("-c").arg(&file).arg("-p").arg(folder.path());
        command.args(["-e", "stderr"]);
        let mut process = Process::start(&mut command);
        place.wait_until_open(address, &mut process);
        Self {
            process,
            folder,
            asked: AtomicU64::new(0),
            address,
        }
    }

    /// Requests that it has served over TCP since it was started, once that number stands still:
    /// a client that hangs up leaves requests in its sockets.
    pub fn served(&self) -> u64 {
        let mut served = self.served_now();
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(100));
            let again = self.served_now();
            if again == served {
                break;
            }
            served = again;
        }
        served
    }

    fn served_now(&self) -> u64 {
        let status = self.stub_status();
        let requests: u64 = status
            .lines()
            .nth(2)
            .and_then(|line| line.split_whitespace().nth(2))
            .and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("no request count in {status}"));
        // The status requests themselves came by the Unix socket.
        requests - self.asked.fetch_add(1, Ordering::Relaxed) - 1
    }

    fn stub_status(&self) -> String {
        let mut stream =
            UnixStream::connect(self.folder.path().join("status.sock")).expect("nginx's status");
        stream
            .write_all(b"GET /status HTTP/1.0\r\n\r\n")
            .expect("ask nginx");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("nginx's answer");
        text.split_once("\r\n\r\n").map_or_else(
            || panic!("nginx answers {text}"),
            |(_, body)| body.to_owned(),
        )
    }

    /// The master process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Reads its configuration again (`nginx -s reload` by signal).
    pub fn reload(&self) {
        let pid = self.pid().to_string();
        crate::process::must(Command::new("kill").args(["-HUP", &pid]));
    }
}

fn configuration(folder: &Scratch, server: &str, upstreams: &str) -> String {
    let folder = folder.path().display();
    format!(
        "daemon off; worker_processes 2; pid {folder}/pid; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {upstreams}
  server {{ {server} }}
  server {{ listen unix:{folder}/status.sock; location /status {{ stub_status; }} }}
}}
"
    )
}
