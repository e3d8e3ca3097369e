//! An OTLP/gRPC receiver that follows a script and remembers what it took.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    trace::v1::Span,
};
use tokio::runtime::Runtime;
use tonic::{
    Code, Request, Response, Status,
    codec::CompressionEncoding,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};

/// What to do with one request for spans.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Refuse with this code.
    Refuse(Code),
    /// Refuse, asking to wait.
    Busy(Code, Duration),
    /// Take all but so many spans.
    Partial(i64),
}

/// What arrived.
#[derive(Default)]
pub struct Inbox {
    pub script: Mutex<VecDeque<Reply>>,
    pub spans: Mutex<Vec<Span>>,
    pub metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
    pub metadata: Mutex<Vec<(String, String)>>,
    pub attempts: Mutex<u64>,
}

impl Inbox {
    /// Numbers of the exchanges whose server span arrived, in order of arrival.
    pub fn numbers(&self) -> Vec<u64> {
        let number = |span: &Span| {
            let id = u64::from_be_bytes(span.span_id.as_slice().try_into().expect("8 bytes"));
            (id >> 63 == 0).then(|| id - 1)
        };
        self.spans
            .lock()
            .expect("not poisoned")
            .iter()
            .filter_map(number)
            .collect()
    }
}

/// A running receiver; it dies with all its connections when dropped.
pub struct Receiver {
    pub inbox: Arc<Inbox>,
    pub address: SocketAddr,
    // Own runtime, because a server's connections live on when only its task is ended.
    runtime: Option<Runtime>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Receiver {
    /// Listens on `port` (0 for any), remembering in `inbox`.
    pub async fn start(port: u16, inbox: Arc<Inbox>, tls: Option<ServerTlsConfig>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let bound = runtime.spawn(bind(port)).await;
        let listener = bound.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).expect("TLS settings");
        }
        let service = Service(Arc::clone(&inbox));
        let traces =
            TraceServiceServer::new(service.clone()).accept_compressed(CompressionEncoding::Gzip);
        let metrics =
            MetricsServiceServer::new(service).accept_compressed(CompressionEncoding::Gzip);
        let router = server.add_service(traces).add_service(metrics);
        runtime.spawn(async move {
            let _ = router
                .serve_with_incoming(TcpIncoming::from(listener))
                .await;
        });
        Self {
            inbox,
            address,
            runtime: Some(runtime),
        }
    }
}

/// A receiver that comes back on its port may find it busy for a moment.
async fn bind(port: u16) -> tokio::net::TcpListener {
    for _ in 0..100 {
        if let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("port {port} stays busy");
}

#[derive(Clone)]
struct Service(Arc<Inbox>);

impl Service {
    fn note<T>(&self, request: &Request<T>) {
        *self.0.attempts.lock().expect("not poisoned") += 1;
        let headers = request.metadata().clone().into_headers();
        let pairs = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        self.0.metadata.lock().expect("not poisoned").extend(pairs);
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.note(&request);
        let reply = self.0.script.lock().expect("not poisoned").pop_front();
        let mut response = ExportTraceServiceResponse::default();
        match reply {
            Some(Reply::Refuse(code)) => return Err(Status::new(code, "scripted")),
            Some(Reply::Busy(code, wait)) => {
                let mut details = ErrorDetails::new();
                details.set_retry_info(Some(wait));
                return Err(Status::with_error_details(code, "scripted", details));
            }
            Some(Reply::Partial(rejected_spans)) => {
                response.partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans,
                    error_message: "scripted".into(),
                });
            }
            None => {}
        }
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let mut spans = self.0.spans.lock().expect("not poisoned");
        spans.extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(response))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.note(&request);
        let mut metrics = self.0.metrics.lock().expect("not poisoned");
        metrics.push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
