//! OTLP as protobuf over HTTP/1.1, plain or TLS, on one kept connection.

use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    config::Target,
    grpc::chain,
    tls,
    transport::{Accepted, SendError},
};

/// A receiver's answer is a few bytes; more than this is not read.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

type Connection = SendRequest<Full<Bytes>>;

/// A connection to one receiver.
pub struct HttpTransport {
    uri: Uri,
    headers: HeaderMap,
    timeout: Duration,
    gzip: bool,
    tls: Option<TlsConnector>,
    connection: Option<Connection>,
}

impl HttpTransport {
    /// Reads certificates; connects when something is sent.
    pub fn new(target: &Target) -> Result<Self> {
        let tls = target.is_tls().then(|| tls::for_http(target)).transpose()?;
        Ok(Self {
            uri: target.uri.clone(),
            headers: request_headers(target)?,
            timeout: target.timeout,
            gzip: target.gzip,
            tls,
            connection: None,
        })
    }

    /// Sends one encoded export request.
    pub async fn send(&mut self, body: Bytes) -> Result<Accepted, SendError> {
        let body = if self.gzip { gzipped(&body) } else { body };
        let timeout = self.timeout;
        // The connection is taken out, so that a request cut off midway does not leave it behind.
        let connection = self.connection.take();
        let exchange = self.exchange(connection, body);
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok((connection, outcome))) => {
                self.connection = Some(connection);
                outcome
            }
            Ok(Err(error)) => Err(SendError::passing(format!("{error:#}"))),
            Err(_) => Err(SendError::passing("the receiver did not answer in time")),
        }
    }

    async fn exchange(
        &self,
        connection: Option<Connection>,
        body: Bytes,
    ) -> Result<(Connection, Result<Accepted, SendError>)> {
        let mut connection = match still_open(connection).await {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path).body(Full::new(body))?;
        *request.headers_mut() = self.headers.clone();
        let response = connection.send_request(request).await;
        let response = response.map_err(|error| anyhow::anyhow!(chain(&error)))?;
        let outcome = judge(response).await;
        Ok((connection, outcome))
    }

    async fn connect(&self) -> Result<Connection> {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let default = if self.tls.is_some() { 443 } else { 80 };
        let port = self.uri.port_u16().unwrap_or(default);
        let stream = TcpStream::connect((host, port))
            .await
            .with_context(|| format!("connect to {host}:{port}"))?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return handshake(stream).await;
        };
        let name = ServerName::try_from(host.to_owned())?;
        let stream = tls.connect(name, stream).await;
        handshake(stream.with_context(|| format!("TLS with {host}:{port}"))?).await
    }
}

async fn still_open(connection: Option<Connection>) -> Option<Connection> {
    let mut connection = connection?;
    connection.ready().await.ok().map(|()| connection)
}

async fn handshake<S>(stream: S) -> Result<Connection>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the sender is dropped or the receiver closes; the sender reports the error.
    tokio::spawn(connection);
    Ok(sender)
}

fn request_headers(target: &Target) -> Result<HeaderMap> {
    let mut headers = target.headers.clone();
    let authority = target.uri.authority().context("the endpoint has no host")?;
    // User information is not part of a Host header.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    headers.insert(header::HOST, host.parse()?);
    headers.insert(header::CONTENT_TYPE, "application/x-protobuf".parse()?);
    let agent = concat!("weir/", env!("CARGO_PKG_VERSION"));
    headers.entry(header::USER_AGENT).or_insert(agent.parse()?);
    if target.gzip {
        headers.insert(header::CONTENT_ENCODING, "gzip".parse()?);
    }
    Ok(headers)
}

fn gzipped(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing into memory cannot fail.
    encoder.write_all(body).unwrap_or_default();
    encoder.finish().unwrap_or_default().into()
}

/// Which statuses are worth another attempt, as the OTLP specification lists them.
async fn judge(response: Response<Incoming>) -> Result<Accepted, SendError> {
    let status = response.status();
    let asked = retry_after(response.headers(), SystemTime::now());
    let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES);
    let body = body.collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    if status.is_success() {
        return Ok(Accepted::decode(&body));
    }
    let retryable = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    Err(SendError {
        retryable,
        retry_after: asked.filter(|_| retryable),
        message: format!("the receiver answered {status}"),
    })
}

/// `Retry-After`: seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |value: &str, seconds: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, value.parse().expect("a header"));
            assert_eq!(
                retry_after(&headers, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        };
        check("7", Some(7));
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("soon", None);
    }
}
