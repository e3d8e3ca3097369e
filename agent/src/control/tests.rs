//! Server and client over a real socket.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    ops::ControlFlow,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    api::{ExplainQuery, Explanation, PolicyFile, Status},
    bind::bind,
    client::{Client, ClientError, Event},
    fixture::{self, Fixture},
    server,
    wire::{Ask, Code, MAX_REQUEST_BYTES, Request},
};
use crate::observe::model::{Exchange, Filter};

/// A server in a thread of its own; it ends with the value.
struct Served {
    path: PathBuf,
    answers: Arc<Fixture>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn new(name: &str, capacity: usize) -> Self {
        let folder =
            std::env::temp_dir().join(format!("weir-served-{name}-{}", std::process::id()));
        let path = folder.join("weir.sock");
        let answers = Arc::new(Fixture::new(capacity));
        let (stop, stopped) = oneshot::channel::<()>();
        let socket = bind(&path).unwrap();
        let served = answers.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let shutdown = async { drop(stopped.await) };
            runtime
                .unwrap()
                .block_on(server::serve(socket, served, shutdown))
                .unwrap();
        });
        Self {
            path,
            answers,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.path).unwrap()
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    fn send(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let _ = self
                .answers
                .exchanges
                .send(Arc::new(fixture::exchange(number)));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.path.exists(), "the socket is removed");
        let _ = std::fs::remove_dir(self.path.parent().unwrap());
    }
}

fn follow(since: Option<f64>) -> Request {
    let mut request = Request::new(Ask::Exchanges);
    request.follow = true;
    request.filter.since_seconds = since;
    request
}

#[test]
fn answers_come_with_completeness_and_losses() {
    let served = Served::new("answer", 8);
    let answer = served
        .client()
        .ask::<Exchange>(&Request::new(Ask::Exchanges))
        .unwrap();
    assert_eq!(answer.items, served.answers.past);
    assert_eq!((answer.completeness, answer.lost["segment_gap"]), (0.5, 2));
    let status = served
        .client()
        .ask::<Status>(&Request::new(Ask::Status))
        .unwrap();
    assert_eq!(status.items[0].version, "0.1.0");
}

#[test]
fn several_questions_on_one_connection_and_hostile_bytes_between() {
    let served = Served::new("hostile", 8);
    let mut stream = served.raw();
    let ask = b"{\"v\":1,\"ask\":\"policies\"}\n";
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        &[0xff, 0, 0xfe, b'\n'],
        ask,
        b"\n",
        ask,
    ] {
        stream.write_all(bytes).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
    let errors = lines
        .iter()
        .filter(|line| line.starts_with("{\"error\":"))
        .count();
    let heads = lines
        .iter()
        .filter(|line| line.starts_with("{\"v\":1,"))
        .count();
    assert_eq!((errors, heads, lines.len()), (2, 2, 4), "{lines:?}");
}

#[test]
fn an_endless_line_is_refused() {
    let served = Served::new("endless", 8);
    let mut stream = served.raw();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..=MAX_REQUEST_BYTES >> 20 {
        // The server may hang up before all of it is taken.
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert!(text.contains("too_large"), "{text:?}");
}

#[test]
fn a_stream_brings_past_then_live_each_once_and_the_losses_of_its_time() {
    let served = Served::new("stream", 64);
    served.answers.ring_full.store(100, Ordering::Relaxed);
    let client = served.client();
    let stopper = client.stopper().unwrap();
    let mut items = Vec::new();
    let mut last = None;
    client
        .follow::<Exchange>(
            &follow(Some(60.0)),
            || true,
            |event| {
                match event {
                    Event::Item(item) => items.push(item.ts),
                    Event::Notice(notice) => last = Some(notice),
                    Event::Head(_) => {}
                }
                // The last of the past came: number 2 once more (an overlap), then two new ones.
                if items.len() == 3 && last.is_none() {
                    served.answers.ring_full.store(112, Ordering::Relaxed);
                    served.send(2..5);
                    stopper.stop();
                }
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    let expected: Vec<f64> = (0..5).map(|n| fixture::exchange(n).ts).collect();
    assert_eq!(items, expected);
    let last = last.unwrap();
    assert_eq!((last.dropped, last.lost["ring_full"]), (0, 12));
}

#[test]
fn a_tap_that_ends_or_breaks_off_is_told_when_its_receiver_is_gone() {
    let served = Served::new("ended", 64);
    for number in 1..=2 {
        let mut stream = served.raw();
        let request = serde_json::to_string(&follow(None)).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        assert_eq!(served.answers.exchanges.receiver_count(), 1);
        if number == 1 {
            stream.shutdown(Shutdown::Write).unwrap();
            reader.read_to_string(&mut String::new()).unwrap();
        } else {
            // As a kill does: nobody says goodbye, and what waits is never read.
            served.send(0..50);
        }
        drop((stream, reader));
        let start = std::time::Instant::now();
        let left = || *served.answers.taps_left.lock().unwrap();
        while left().1 < number && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(left(), (0, number));
    }
}

#[test]
fn a_slow_reader_is_told_what_it_missed() {
    let served = Served::new("slow", 16);
    let mut stream = served.raw();
    let request = serde_json::to_string(&follow(None)).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let total = 20_000;
    served.send(0..total);
    stream.shutdown(Shutdown::Write).unwrap();
    let lines: Vec<String> = reader.lines().map(Result::unwrap).collect();
    let notice: super::wire::NoticeLine = serde_json::from_str(lines.last().unwrap()).unwrap();
    let items = lines
        .iter()
        .filter(|line| line.contains("\"operation\""))
        .count() as u64;
    assert!(notice.notice.dropped > 0);
    assert_eq!(
        items + notice.notice.dropped,
        u64::from(total),
        "given + told = all"
    );
}

#[test]
fn a_followed_state_is_repeated() {
    let served = Served::new("repeat", 8);
    let mut request = Request::new(Ask::Status);
    request.follow = true;
    request.interval_ms = Some(100);
    let mut heads = 0;
    served
        .client()
        .follow::<Status>(
            &request,
            || false,
            |event| {
                heads += u32::from(matches!(event, Event::Head(_)));
                if heads == 3 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )
        .unwrap();
    assert_eq!(heads, 3);
}

#[test]
fn policies_are_refused_with_their_reasons() {
    let served = Served::new("policy", 8);
    let mut request = Request::new(Ask::PolicyApply);
    request.files = ["good", "nonsense"]
        .map(|text| PolicyFile {
            name: format!("{text}.yaml"),
            text: text.into(),
        })
        .to_vec();
    let error = served.client().ask::<String>(&request).unwrap_err();
    let ClientError::Refused(error) = error else {
        panic!("{error}");
    };
    assert_eq!((error.code, error.refusals.len()), (Code::Refused, 1));
    assert_eq!(
        (error.refusals[0].file.as_str(), error.refusals[0].line),
        ("nonsense.yaml", 3)
    );
    request.files.pop();
    assert_eq!(
        served.client().ask::<String>(&request).unwrap().items,
        ["good.yaml"]
    );
}

#[test]
fn deletion_and_explanation() {
    let served = Served::new("explain", 8);
    let delete = |name: &str| {
        let mut request = Request::new(Ask::PolicyDelete);
        request.name = Some(name.into());
        served.client().ask::<String>(&request)
    };
    assert_eq!(delete("known").unwrap().items, ["known"]);
    assert!(matches!(delete("other"), Err(ClientError::Refused(e)) if e.code == Code::NotFound));
    let mut request = Request::new(Ask::PolicyExplain);
    let error = served.client().ask::<Explanation>(&request).unwrap_err();
    assert!(matches!(error, ClientError::Refused(e) if e.code == Code::BadRequest));
    request.explain = Some(ExplainQuery {
        from: "web".into(),
        ..ExplainQuery::default()
    });
    let answer = served.client().ask::<Explanation>(&request).unwrap();
    assert_eq!(answer.items[0].policy, "default");
}

#[test]
fn many_clients_and_one_too_many() {
    let served = Served::new("many", 8);
    let mut clients: Vec<UnixStream> = (0..server::MAX_CLIENTS).map(|_| served.raw()).collect();
    for stream in &mut clients {
        stream.write_all(b"{\"v\":1,\"ask\":\"status\"}\n").unwrap();
    }
    for stream in &mut clients {
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 8);
    }
    let error = served
        .client()
        .ask::<Status>(&Request::new(Ask::Status))
        .unwrap_err();
    assert!(matches!(error, ClientError::Refused(e) if e.code == Code::Busy));
    drop(clients);
}

#[test]
fn nobody_there() {
    let nowhere = std::env::temp_dir().join("weir-nowhere.sock");
    let error = Client::connect(&nowhere).err().unwrap();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    assert!(error.to_string().contains("sudo weir run"), "{error}");
    assert_eq!(Filter::default().since_seconds, None);
}
