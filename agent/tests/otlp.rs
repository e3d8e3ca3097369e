//! OTLP export against scripted receivers and against real ones (rotel, VictoriaMetrics).

mod support;

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use support::{
    answers::{Fixed, edge},
    eventually, http_receiver,
    tonic_receiver::{Inbox, Receiver, Reply},
    tools::{self, Folder},
};
use tonic::Code;
use weir::export::{ExportConfig, ExportHandle, otlp::OtlpConfig, start, stats::ExporterCounts};

const SECOND: Duration = Duration::from_secs(1);

fn config(endpoint: String) -> ExportConfig {
    ExportConfig {
        otlp: OtlpConfig {
            endpoint: Some(endpoint),
            ..OtlpConfig::default()
        },
        metrics_every: SECOND,
        host_name: "node-1".into(),
        ..ExportConfig::default()
    }
}

fn grpc(port: u16) -> ExportConfig {
    let mut config = config(format!("http://127.0.0.1:{port}"));
    config.otlp.protocol = Some("grpc".into());
    config
}

async fn run(config: ExportConfig) -> (Arc<Fixed>, ExportHandle) {
    let fixed = Fixed::new(vec![edge("web", "api", 8080, 90, 10)]);
    let handle = start(fixed.clone(), config).await.expect("it starts");
    (fixed, handle)
}

fn counts(handle: &ExportHandle, name: &str) -> ExporterCounts {
    let all = handle.exporters().counts();
    all.into_iter()
        .find(|one| one.name == name)
        .expect("the exporter")
}

fn lost(handle: &ExportHandle, reason: &str) -> u64 {
    let counts = counts(handle, "otlp_traces");
    counts.lost.get(reason).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_spans_name_each_other_and_metrics_follow() {
    let receiver = Receiver::start(0, Arc::default(), None).await;
    let mut config = grpc(receiver.address.port());
    config.otlp.headers = Some("x-tenant=a%20b".into());
    config.otlp.compression = Some("gzip".into());
    let (fixed, handle) = run(config).await;
    fixed.publish(0..1_000);
    let inbox = &receiver.inbox;
    eventually("2,000 spans", || {
        inbox.spans.lock().expect("ok").len() == 2_000
    })
    .await;
    let spans = inbox.spans.lock().expect("ok").clone();
    for server in spans.iter().filter(|span| span.kind == 2) {
        let client = spans
            .iter()
            .find(|span| span.span_id == server.parent_span_id)
            .expect("the parent arrived");
        assert_eq!((client.kind, &client.trace_id), (3, &server.trace_id));
    }
    eventually("metrics", || !inbox.metrics.lock().expect("ok").is_empty()).await;
    let metadata = inbox.metadata.lock().expect("ok").clone();
    let sent = |name: &str, value: &str| metadata.contains(&(name.to_owned(), value.to_owned()));
    assert!(
        sent("x-tenant", "a b") && sent("grpc-encoding", "gzip"),
        "{metadata:?}"
    );
    assert_eq!(counts(&handle, "otlp_traces").sent, 2_000);
    assert!(handle.state()["otlp_traces"].starts_with("ok; sent 2000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_retries_what_may_pass_and_counts_the_rest() {
    let inbox = Arc::<Inbox>::default();
    inbox.script.lock().expect("ok").extend([
        Reply::Refuse(Code::Unavailable),
        Reply::Busy(Code::ResourceExhausted, SECOND),
        Reply::Partial(7),
        Reply::Refuse(Code::InvalidArgument),
    ]);
    let receiver = Receiver::start(0, inbox, None).await;
    let (fixed, handle) = run(grpc(receiver.address.port())).await;
    let began = std::time::Instant::now();
    fixed.publish(0..10);
    eventually("the first batch", || {
        counts(&handle, "otlp_traces").sent > 0
    })
    .await;
    assert!(began.elapsed() >= SECOND, "RetryInfo was not honoured");
    let seen = counts(&handle, "otlp_traces");
    assert_eq!(
        (seen.sent, seen.retries, lost(&handle, "partial")),
        (13, 2, 7)
    );
    fixed.publish(10..15);
    eventually("the refusal", || lost(&handle, "refused") == 10).await;
    assert!(handle.state()["otlp_traces"].starts_with("InvalidArgument: scripted"));
    fixed.publish(15..16);
    eventually("the last", || counts(&handle, "otlp_traces").sent == 15).await;
    let numbers = receiver.inbox.numbers();
    assert_eq!(numbers, (0..10).chain([15]).collect::<Vec<_>>());
}

/// Seconds that the receiver is away; CI keeps it short, `WEIR_OUTAGE_SECONDS=60` does not.
fn outage() -> Duration {
    let seconds = std::env::var("WEIR_OUTAGE_SECONDS").ok();
    Duration::from_secs(
        seconds
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(6),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_loses_nothing_that_the_buffer_holds_and_counts_the_rest() {
    let inbox = Arc::<Inbox>::default();
    let receiver = Receiver::start(0, Arc::clone(&inbox), None).await;
    let port = receiver.address.port();
    let mut config = grpc(port);
    config.buffer_spans = 4_000;
    let (fixed, handle) = run(config).await;
    fixed.publish(0..100);
    eventually("spans before", || {
        counts(&handle, "otlp_traces").sent == 200
    })
    .await;
    drop(receiver);
    let began = std::time::Instant::now();
    let mut published = 100;
    while began.elapsed() < outage() {
        fixed.publish(published..published + 100);
        published += 100;
        tokio::time::sleep(outage() / 60).await;
    }
    // The last partial batch is put into the buffer, or counted, within a second.
    tokio::time::sleep(2 * SECOND).await;
    let away = counts(&handle, "otlp_traces");
    assert!(away.retries > 2 && away.error.is_some(), "{away:?}");
    assert!(
        away.buffered_items <= 4_000 && away.buffered_items > 3_000,
        "{away:?}"
    );
    let expected_lost = 2 * (published - 100) - away.buffered_items;
    assert_eq!(lost(&handle, "buffer_full"), expected_lost, "{away:?}");

    let _receiver = Receiver::start(port, Arc::clone(&inbox), None).await;
    let all_held = || counts(&handle, "otlp_traces").sent == 200 + away.buffered_items;
    eventually("what the buffer held", all_held).await;
    fixed.publish(published..published + 50);
    eventually("spans after", || {
        inbox.numbers().len() as u64 * 2 == 300 + away.buffered_items
    })
    .await;
    let mut numbers = inbox.numbers();
    numbers.sort_unstable();
    let arrived = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), arrived, "something arrived twice");
    assert_eq!(
        2 * (published + 50) as usize,
        2 * arrived + expected_lost as usize
    );
    let metrics = counts(&handle, "otlp_metrics");
    assert!(
        metrics.superseded > 0 && metrics.lost.is_empty(),
        "{metrics:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_sends_what_waits_or_counts_it() {
    let receiver = Receiver::start(0, Arc::default(), None).await;
    let (fixed, handle) = run(grpc(receiver.address.port())).await;
    fixed.publish(0..700);
    let state = handle.shutdown(5 * SECOND).await;
    assert!(
        state["otlp_traces"].starts_with("ok; sent 1400"),
        "{state:?}"
    );
    assert_eq!(receiver.inbox.numbers().len(), 700);
    assert!(!receiver.inbox.metrics.lock().expect("ok").is_empty());

    let (fixed, handle) = run(grpc(tools::free_port())).await;
    fixed.publish(0..700);
    let began = std::time::Instant::now();
    let state = handle.shutdown(SECOND).await;
    assert!(began.elapsed() < 2 * SECOND, "the deadline passed");
    assert!(
        state["otlp_traces"].ends_with("lost 1400 (shutdown)"),
        "{state:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_follows_status_retry_after_and_partial_success() {
    let partial = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 4,
            error_message: "scripted".into(),
        }),
    };
    let script = vec![
        http_receiver::Reply(503, Some("1"), Vec::new()),
        http_receiver::Reply(200, None, partial.encode_to_vec()),
        http_receiver::Reply(400, None, Vec::new()),
    ];
    let receiver = http_receiver::Receiver::start(script, None).await;
    let mut config = config(format!("http://{}", receiver.address));
    config.otlp.headers = Some("authorization=Bearer%20x".into());
    config.otlp.compression = Some("gzip".into());
    let (fixed, handle) = run(config).await;
    let began = std::time::Instant::now();
    fixed.publish(0..3);
    eventually("the first batch", || {
        counts(&handle, "otlp_traces").sent == 2
    })
    .await;
    assert!(began.elapsed() >= SECOND, "Retry-After was not honoured");
    let seen = counts(&handle, "otlp_traces");
    assert_eq!((seen.retries, lost(&handle, "partial")), (1, 4));
    fixed.publish(3..6);
    eventually("the refusal", || lost(&handle, "refused") == 6).await;
    fixed.publish(6..8);
    eventually("the last", || counts(&handle, "otlp_traces").sent == 6).await;
    let bodies = receiver.bodies("/v1/traces");
    let request = ExportTraceServiceRequest::decode(bodies[0].as_slice()).expect("protobuf");
    assert_eq!(request.resource_spans.len(), 2);
    eventually("metrics", || !receiver.bodies("/v1/metrics").is_empty()).await;
    let taken = receiver.taken.lock().expect("ok").clone();
    for one in &taken {
        assert_eq!(one.headers["authorization"], "Bearer x");
        assert_eq!(one.headers["content-type"], "application/x-protobuf");
        assert_eq!(one.headers["content-encoding"], "gzip");
    }
}

/// A CA with a server and a client certificate, as PEM files in `folder`.
struct Pki {
    ca: String,
    server: (String, String),
}

fn pki(folder: &Folder) -> Pki {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a CA").pem();
    let issuer = Issuer::new(params, key);
    let leaf = || {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    let (server, client) = (leaf(), leaf());
    for (name, pem) in [("ca", &ca), ("client", &client.0), ("key", &client.1)] {
        std::fs::write(folder.0.join(name), pem).expect("a PEM file");
    }
    Pki { ca, server }
}

fn with_pki(mut config: ExportConfig, folder: &Folder) -> ExportConfig {
    let file = |name: &str| Some(folder.0.join(name).display().to_string());
    config.otlp.certificate = file("ca");
    config.otlp.client_certificate = file("client");
    config.otlp.client_key = file("key");
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates_over_grpc() {
    use tonic::transport::{Certificate, Identity, ServerTlsConfig};
    let folder = Folder::new("grpc-tls");
    let pki = pki(&folder);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&pki.server.0, &pki.server.1))
        .client_ca_root(Certificate::from_pem(&pki.ca));
    let receiver = Receiver::start(0, Arc::default(), Some(tls)).await;
    let mut config = config(format!("https://localhost:{}", receiver.address.port()));
    config.otlp.protocol = Some("grpc".into());
    let (fixed, handle) = run(with_pki(config.clone(), &folder)).await;
    fixed.publish(0..5);
    eventually("spans over TLS", || receiver.inbox.numbers().len() == 5).await;
    drop(handle);

    // Without the authority the receiver is not believed, and nothing is sent.
    let (fixed, handle) = run(config).await;
    fixed.publish(0..5);
    eventually("the failure", || counts(&handle, "otlp_traces").retries > 0).await;
    let state = handle.state()["otlp_traces"].clone();
    assert!(state.to_lowercase().contains("certificate"), "{state}");
    assert_eq!(receiver.inbox.numbers().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates_over_http() {
    use tokio_rustls::rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    };
    let folder = Folder::new("http-tls");
    let pki = pki(&folder);
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&pki.ca)).expect("a CA");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = PrivateKeyDer::from_pem_slice(pki.server.1.as_bytes()).expect("PEM");
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![certificate(&pki.server.0)], key)
        .expect("a server");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let receiver = http_receiver::Receiver::start(Vec::new(), Some(acceptor)).await;
    let config = config(format!("https://localhost:{}", receiver.address.port()));
    let (fixed, handle) = run(with_pki(config.clone(), &folder)).await;
    fixed.publish(0..5);
    eventually("spans over TLS", || {
        receiver.bodies("/v1/traces").len() == 1
    })
    .await;
    drop(handle);

    let (fixed, handle) = run(config).await;
    fixed.publish(0..5);
    eventually("the failure", || counts(&handle, "otlp_traces").retries > 0).await;
    let state = handle.state()["otlp_traces"].clone();
    assert!(state.contains("certificate"), "{state}");
    assert_eq!(receiver.bodies("/v1/traces").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_settings_are_refused_at_start() {
    let folder = Folder::new("refused");
    std::fs::write(folder.0.join("empty"), "no certificate here").expect("a file");
    let check = async |certificate: &str, expected: &str| {
        for protocol in ["grpc", "http/protobuf"] {
            let mut config = config("https://localhost:1".to_owned());
            config.otlp.protocol = Some(protocol.into());
            let file = folder.0.join(certificate).display().to_string();
            config.otlp.certificate = Some(file);
            let Err(error) = start(Fixed::new(Vec::new()), config).await else {
                panic!("{certificate} was accepted over {protocol}");
            };
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    };
    check("missing", "read the OTLP certificate").await;
    check("empty", "holds no PEM certificate").await;
}

async fn rotel(protocol: &str) {
    let Some(program) = tools::find("rotel-agent") else {
        return;
    };
    let folder = Folder::new(&format!("rotel-{}", protocol.replace('/', "-")));
    let (grpc, http) = (tools::free_port(), tools::free_port());
    let grpc_at = format!("127.0.0.1:{grpc}");
    let http_at = format!("127.0.0.1:{http}");
    let pid_file = folder.0.join("pid").display().to_string();
    let arguments = [
        "start",
        "--otlp-grpc-endpoint",
        &grpc_at,
        "--otlp-http-endpoint",
        &http_at,
        "--exporter",
        "blackhole",
        "--debug-log",
        "traces",
        "--debug-log",
        "metrics",
        "--debug-log-verbosity",
        "detailed",
        "--pid-file",
        &pid_file,
    ];
    let server = tools::Server::start(&program, folder, &arguments);
    let at = if protocol == "grpc" { grpc_at } else { http_at };
    let mut config = config(format!("http://{at}"));
    config.otlp.protocol = Some(protocol.into());
    config.otlp.compression = Some("gzip".into());
    let (fixed, handle) = run(config).await;
    fixed.publish(0..3);
    let wanted = [
        "http.server.request.duration",
        "traces_service_graph_request_total",
        "weir.tcp.rtt",
        "weir.agent.lost",
        "GET /items/*",
        "service.peer.name",
        // Server span of exchange 2, whose parent is its client span.
        "0000000000000003",
        "8000000000000003",
    ];
    eventually("all names in rotel's log", || {
        let log = server.log();
        wanted.iter().all(|name| log.contains(name))
    })
    .await;
    eventually("receipts", || {
        counts(&handle, "otlp_traces").sent == 6 && counts(&handle, "otlp_metrics").sent > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotel_takes_grpc() {
    rotel("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotel_takes_http_protobuf() {
    rotel("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_answers_with_the_true_counts() {
    let Some(program) = tools::find("victoria-metrics") else {
        return;
    };
    let folder = Folder::new("victoria");
    let port = tools::free_port();
    let data = format!("-storageDataPath={}", folder.0.join("data").display());
    let listen = format!("-httpListenAddr=127.0.0.1:{port}");
    // What was written can be asked for at once.
    let arguments = [
        data.as_str(),
        &listen,
        "-search.latencyOffset=0s",
        "-loggerLevel=WARN",
    ];
    let server = tools::Server::start(&program, folder, &arguments);
    eventually("VictoriaMetrics", || tools::get(port, "/health").is_ok()).await;
    let fixed = Fixed::new(vec![
        edge("203.0.113.7", "web", 80, 5_000, 0),
        edge("web", "api", 8080, 4_321, 21),
        edge("api", "db.example", 443, 7, 0),
    ]);
    let base = format!("http://127.0.0.1:{port}/opentelemetry");
    let _handle = start(fixed.clone(), config(base)).await.expect("it starts");
    let ask = async |query: &str, expected: f64| {
        eventually(&format!("{query} = {expected}\n{}", server.log()), || {
            let series = tools::promql(port, query).unwrap_or_default();
            matches!(series.as_slice(), [(_, value)] if (value - expected).abs() < 1e-9)
        })
        .await;
    };
    let total = "traces_service_graph_request_total";
    ask(&format!(r#"{total}{{client="web",server="api"}}"#), 4_342.0).await;
    ask(
        &format!(r#"{total}{{client="user",server="web",connection_type="virtual_node"}}"#),
        5_000.0,
    )
    .await;
    ask(
        &format!(r#"{total}{{client="api",server="db.example"}}"#),
        7.0,
    )
    .await;
    ask(&format!("count({total})"), 3.0).await;
    ask(
        r#"traces_service_graph_request_failed_total{client="web",server="api"}"#,
        21.0,
    )
    .await;
    ask(
        r#"sum({__name__="http.server.request.duration_count","service.name"="api"})"#,
        4_342.0,
    )
    .await;
    // One more call is one more, not a new series.
    fixed.edges.lock().expect("ok")[1] = edge("web", "api", 8080, 4_322, 21);
    ask(&format!(r#"{total}{{client="web",server="api"}}"#), 4_343.0).await;
}
