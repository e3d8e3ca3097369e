//! An OTLP http/protobuf receiver that follows a script and remembers what it took.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// An answer: status, `Retry-After` if any, body.
#[derive(Clone, Debug)]
pub struct Reply(pub u16, pub Option<&'static str>, pub Vec<u8>);

/// A request that arrived: path, headers, decompressed body, and the status it was given.
#[derive(Clone, Debug)]
pub struct Taken {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub status: u16,
}

/// A running receiver; it ends when dropped.
pub struct Receiver {
    pub address: SocketAddr,
    pub taken: Arc<Mutex<Vec<Taken>>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = Arc<Mutex<VecDeque<Reply>>>;

impl Receiver {
    /// Answers requests for spans with `script`, then everything with 200.
    pub async fn start(script: Vec<Reply>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let script: Script = Arc::new(Mutex::new(script.into()));
        let into = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, taken, tls) = (Arc::clone(&script), Arc::clone(&into), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, script, taken).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, script, taken).await,
                            Err(error) => eprintln!("receiver: {error}"),
                        },
                    }
                });
            }
        });
        Self {
            address,
            taken,
            task,
        }
    }

    /// Requests for `path` that were answered with 200.
    pub fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let taken = self.taken.lock().expect("not poisoned");
        let wanted = taken
            .iter()
            .filter(|one| one.path == path && one.status == 200);
        wanted.map(|one| one.body.clone()).collect()
    }
}

async fn serve<S>(stream: S, script: Script, taken: Arc<Mutex<Vec<Taken>>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let (script, taken) = (Arc::clone(&script), Arc::clone(&taken));
        async move { Ok::<_, Infallible>(answer(request, &script, &taken).await) }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    script: &Script,
    taken: &Mutex<Vec<Taken>>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let raw = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let mut body = raw.to_vec();
    if parts
        .headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value == "gzip")
    {
        body.clear();
        GzDecoder::new(raw.as_ref())
            .read_to_end(&mut body)
            .expect("gzip");
    }
    let next = match parts.uri.path() {
        "/v1/traces" => script.lock().expect("not poisoned").pop_front(),
        _ => None,
    };
    let Reply(status, wait, bytes) = next.unwrap_or(Reply(200, None, Vec::new()));
    taken.lock().expect("not poisoned").push(Taken {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
        status,
    });
    let mut response = Response::builder().status(status);
    if let Some(wait) = wait {
        response = response.header(header::RETRY_AFTER, wait);
    }
    response.body(Full::from(bytes)).expect("a response")
}
