//! One way to send an encoded request, whatever the protocol.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::{
    config::{Protocol, Target},
    grpc::GrpcTransport,
    http::HttpTransport,
};

/// The receiver took the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Items that it refused all the same (partial success).
    pub rejected: u64,
    /// What it said about that.
    pub message: String,
}

impl Accepted {
    /// Reads the response of either signal: their partial success has the same wire form.
    pub fn decode(body: &[u8]) -> Self {
        // A receiver that took the request but answers with something else still took it.
        let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let partial = response.partial_success.unwrap_or_default();
        Self {
            rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
            message: partial.error_message,
        }
    }
}

/// The receiver did not take the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// False when sending it again could not help.
    pub retryable: bool,
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
    /// What went wrong.
    pub message: String,
}

impl SendError {
    /// A fault on the way: sending again may help.
    pub fn passing(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            retry_after: None,
            message: message.into(),
        }
    }
}

/// A connection to one receiver for one signal; it connects when needed.
pub enum Transport {
    /// gRPC.
    Grpc(GrpcTransport),
    /// http/protobuf.
    Http(HttpTransport),
}

impl Transport {
    /// Reads certificates and prepares; does not connect yet. Must run inside a tokio runtime.
    pub fn new(target: &Target) -> Result<Self> {
        Ok(match target.protocol {
            Protocol::Grpc => Self::Grpc(GrpcTransport::new(target)?),
            Protocol::HttpProtobuf => Self::Http(HttpTransport::new(target)?),
        })
    }

    /// Sends one encoded export request.
    pub async fn send(&mut self, body: Bytes) -> Result<Accepted, SendError> {
        match self {
            Self::Grpc(grpc) => grpc.send(body).await,
            Self::Http(http) => http.send(body).await,
        }
    }
}
