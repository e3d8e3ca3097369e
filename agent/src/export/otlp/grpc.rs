//! OTLP over gRPC. Bodies are already protobuf, so the codec only moves bytes.

use std::{error::Error as _, time::Duration};

use anyhow::{Context, Result};
use bytes::{Buf, BufMut, Bytes};
use hyper::http::uri::PathAndQuery;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use super::{
    config::Target,
    tls,
    transport::{Accepted, SendError},
};

/// A lazily connected channel to one receiver.
pub struct GrpcTransport {
    client: Grpc<Channel>,
    path: PathAndQuery,
    metadata: MetadataMap,
    timeout: Duration,
}

impl GrpcTransport {
    /// Reads certificates and prepares the channel; must run inside a tokio runtime.
    pub fn new(target: &Target) -> Result<Self> {
        let mut endpoint = Endpoint::from(target.uri.clone())
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(target.timeout);
        if target.is_tls() {
            endpoint = endpoint
                .tls_config(tls::for_grpc(target)?)
                .with_context(|| format!("TLS settings for {}", target.uri))?;
        }
        let mut client =
            Grpc::new(endpoint.connect_lazy()).accept_compressed(CompressionEncoding::Gzip);
        if target.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self {
            client,
            path: PathAndQuery::from_static(target.signal.grpc_path()),
            metadata: MetadataMap::from_headers(target.headers.clone()),
            timeout: target.timeout,
        })
    }

    /// Sends one encoded export request.
    pub async fn send(&mut self, body: Bytes) -> Result<Accepted, SendError> {
        let call = self.call(body);
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(body)) => Ok(Accepted::decode(&body)),
            Ok(Err(status)) => Err(judge(&status)),
            Err(_) => Err(SendError::passing("the receiver did not answer in time")),
        }
    }

    fn call(&self, body: Bytes) -> impl Future<Output = Result<Bytes, Status>> + use<> {
        let mut client = self.client.clone();
        let mut request = Request::new(body);
        *request.metadata_mut() = self.metadata.clone();
        let path = self.path.clone();
        async move {
            let ready = client.ready().await;
            ready.map_err(|error| Status::unavailable(chain(&error)))?;
            let response = client.unary(request, path, BytesCodec).await?;
            Ok(response.into_inner())
        }
    }
}

/// Which statuses are worth another attempt, as the OTLP specification lists them.
fn judge(status: &Status) -> SendError {
    let asked = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    let retryable = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => asked.is_some(),
        // A status with a source was made on this side: the connection broke.
        _ => status.source().is_some(),
    };
    let why = match status.source() {
        Some(source) => chain(source),
        None => status.message().to_owned(),
    };
    SendError {
        retryable,
        retry_after: asked.filter(|_| retryable),
        message: format!("{:?}: {why}", status.code()),
    }
}

/// An error with its causes, because transports hide "connection refused" three levels deep.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.ends_with(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

#[derive(Clone, Copy, Debug, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn only_what_may_pass_is_retried() {
        let check = |status: Status, retryable: bool, seconds: Option<u64>| {
            let judged = judge(&status);
            assert_eq!(judged.retryable, retryable, "{status:?}");
            assert_eq!(judged.retry_after, seconds.map(Duration::from_secs));
        };
        let asking = |code| {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(Duration::from_secs(3)));
            Status::with_error_details(code, "busy", details)
        };
        check(Status::unavailable("x"), true, None);
        check(Status::deadline_exceeded("x"), true, None);
        check(Status::resource_exhausted("x"), false, None);
        check(asking(Code::ResourceExhausted), true, Some(3));
        check(asking(Code::Unavailable), true, Some(3));
        check(asking(Code::InvalidArgument), false, None);
        check(Status::unauthenticated("x"), false, None);
        check(Status::unimplemented("x"), false, None);
    }
}
