//! What becomes of spans when the receiver is slow, picky, away, or fine.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::Code;

use crate::{
    SECOND, config, counts, grpc, lost, run,
    support::{
        eventually, http_receiver,
        tonic_receiver::{Inbox, Receiver, Reply},
        tools,
    },
};

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
        Reply::Partial(1),
        Reply::Refuse(Code::InvalidArgument),
    ]);
    let receiver = Receiver::start(0, inbox, None).await;
    let (fixed, handle) = run(grpc(receiver.address.port())).await;
    let began = std::time::Instant::now();
    // One exchange, two spans: more could be cut into batches at any place.
    fixed.publish(0..1);
    eventually("the first batch", || {
        counts(&handle, "otlp_traces").sent > 0
    })
    .await;
    assert!(began.elapsed() >= SECOND, "RetryInfo was not honoured");
    let seen = counts(&handle, "otlp_traces");
    assert_eq!(
        (seen.sent, seen.retries, lost(&handle, "partial")),
        (1, 2, 1)
    );
    fixed.publish(1..2);
    eventually("the refusal", || lost(&handle, "refused") == 2).await;
    assert!(handle.state()["otlp_traces"].starts_with("InvalidArgument: scripted"));
    fixed.publish(2..3);
    eventually("the last", || counts(&handle, "otlp_traces").sent == 3).await;
    let numbers = receiver.inbox.numbers();
    assert_eq!(numbers, [0, 2]);
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
            rejected_spans: 1,
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
    // One exchange, two spans: more could be cut into batches at any place.
    fixed.publish(0..1);
    eventually("the first batch", || {
        counts(&handle, "otlp_traces").sent == 1
    })
    .await;
    assert!(began.elapsed() >= SECOND, "Retry-After was not honoured");
    let seen = counts(&handle, "otlp_traces");
    assert_eq!((seen.retries, lost(&handle, "partial")), (1, 1));
    fixed.publish(1..2);
    eventually("the refusal", || lost(&handle, "refused") == 2).await;
    fixed.publish(2..3);
    eventually("the last", || counts(&handle, "otlp_traces").sent == 3).await;
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
