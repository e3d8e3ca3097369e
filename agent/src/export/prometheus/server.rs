//! `GET /metrics` and `GET /healthz` on HTTP/1.1.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use super::text::{Format, render};
use crate::export::{collect::Collector, stats::ExporterStats};

/// Scrapers served at once; further ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 32;
/// For a request's head, and for an idle connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the address of `--metrics`: `ADDRESS:PORT`, or a port alone, which means loopback.
pub fn parse_listen(text: &str) -> Result<SocketAddr> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let address = match port {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse(),
    };
    address.with_context(|| format!("`{text}` is neither ADDRESS:PORT nor a port"))
}

/// A bound endpoint.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
}

struct Service {
    collector: Arc<Collector>,
    stats: ExporterStats,
}

impl Server {
    /// Binds `address`; fails when it is taken, naming it.
    pub async fn bind(
        address: SocketAddr,
        collector: Arc<Collector>,
        stats: ExporterStats,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("serve metrics on {address}: choose another with --metrics ADDRESS:PORT")
        })?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            service: Arc::new(Service { collector, stats }),
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `closing` turns true.
    pub async fn run(self, mut closing: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &slots) => accepted,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let Some((stream, slot)) = accepted else {
                continue;
            };
            let service = Arc::clone(&self.service);
            let mut closing = closing.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = serve(stream, service) => {}
                    _ = closing.wait_for(|closing| *closing) => {}
                }
                drop(slot);
            });
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            // Mostly "too many open files": it passes, but not at once.
            tracing::warn!("the metrics endpoint could not accept: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, service: Arc<Service>) {
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.await {
        tracing::debug!("a scrape ended: {error}");
    }
}

impl Service {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(header::ALLOW, allowed);
            return refusal;
        }
        match request.uri().path() {
            "/metrics" => self.metrics(request).await,
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            _ => plain(StatusCode::NOT_FOUND, "see /metrics and /healthz\n"),
        }
    }

    async fn metrics(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept.unwrap_or_default());
        let collector = Arc::clone(&self.collector);
        let rendered = tokio::task::spawn_blocking(move || {
            let measures = collector.collect();
            (render(&measures, format), measures.len() as u64)
        });
        let Ok((text, points)) = rendered.await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        };
        self.stats.sent(points);
        with_type(StatusCode::OK, text, format.content_type())
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    with_type(status, text.to_owned(), "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, text: String, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_loopback() {
        let check = |text: &str, expected: &str| {
            let parsed = parse_listen(text).map(|address| address.to_string());
            assert_eq!(parsed.unwrap_or_default(), expected, "{text}");
        };
        check("9464", "127.0.0.1:9464");
        check(":9464", "127.0.0.1:9464");
        check("0.0.0.0:1", "0.0.0.0:1");
        check("[::1]:2", "[::1]:2");
        check("metrics", "");
        check("99999", "");
    }
}
