//! Streams: what happens from now on, or an answer repeated.
//!
//! The daemon's broadcast ring is the bounded queue of each client: a reader that is too slow
//! skips what was overwritten, the skipped items are counted, and a notice line tells it.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher, RandomState},
    io,
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::broadcast::{self, error::RecvError},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    api::Answers,
    dispatch,
    matching::Matches,
    wire::{Ask, DEFAULT_INTERVAL_MS, Head, MIN_INTERVAL_MS, Notice, Request, VERSION},
};
use crate::observe::model::{Answer, Filter};

/// A reader that takes nothing for so long is given up.
const STUCK: Duration = Duration::from_secs(600);

/// How often losses are looked at.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

/// Items written at once.
const BATCH: usize = 256;

/// How long an item of the recent past can still come out of the live stream.
const OVERLAP: Duration = Duration::from_secs(2);

/// Serves a followed request until the client closes its sending half or goes away.
pub async fn run<R, W>(
    request: &Request,
    answers: &Arc<dyn Answers>,
    reader: R,
    writer: W,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let filter = &request.filter;
    // Subscribed before the past is read, so that nothing falls between the two.
    match request.ask {
        Ask::Exchanges => {
            let live = answers.tap();
            let past = filter.since_seconds.map(|_| answers.exchanges(filter));
            let ended = stream(live, past, filter, answers, reader, writer).await;
            answers.tap_ended();
            ended
        }
        Ask::Flows => {
            let live = answers.follow_flows();
            let past = filter.since_seconds.map(|_| answers.flows(filter));
            stream(live, past, filter, answers, reader, writer).await
        }
        Ask::Verdicts => {
            let live = answers.follow_verdicts();
            let past = filter.since_seconds.map(|_| answers.verdicts(filter));
            stream(live, past, filter, answers, reader, writer).await
        }
        _ => repeat(request, answers, reader, writer).await,
    }
}

async fn repeat<R, W>(
    request: &Request,
    answers: &Arc<dyn Answers>,
    mut reader: R,
    mut writer: W,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let millis = request.interval_ms.unwrap_or(DEFAULT_INTERVAL_MS);
    let mut tick = interval(Duration::from_millis(millis.max(MIN_INTERVAL_MS)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closed(&mut reader) => return Ok(()),
            _ = tick.tick() => {}
        }
        match dispatch::reply(request, answers.as_ref()) {
            Ok(lines) => write(&mut writer, &lines).await?,
            Err(error) => return write(&mut writer, &dispatch::error_line(error)).await,
        }
    }
}

async fn stream<T, R, W>(
    mut live: broadcast::Receiver<Arc<T>>,
    past: Option<Answer<T>>,
    filter: &Filter,
    answers: &Arc<dyn Answers>,
    mut reader: R,
    mut writer: W,
) -> io::Result<()>
where
    T: Matches + Serialize,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut losses = Losses::since(answers.as_ref());
    let mut lines = Lines::new(filter, past.as_ref(), answers.as_ref());
    drop(past);
    lines.flush(&mut writer).await?;
    let mut tick = interval(NOTICE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closed(&mut reader) => break,
            _ = tick.tick() => lines.notice(losses.news(answers.as_ref())),
            item = live.recv() => match item {
                Ok(item) => lines.push(item.as_ref()),
                Err(RecvError::Lagged(count)) => losses.dropped += count,
                Err(RecvError::Closed) => break,
            },
        }
        lines.take(&mut live, BATCH, &mut losses);
        lines.flush(&mut writer).await?;
    }
    // What was waiting when the client said goodbye still belongs to its stream.
    let waiting = live.len();
    lines.take(&mut live, waiting, &mut losses);
    lines.notice(Some(losses.total(answers.as_ref())));
    lines.flush(&mut writer).await
}

/// Lines that wait to be written.
struct Lines<'a> {
    filter: &'a Filter,
    out: Vec<u8>,
    hasher: RandomState,
    /// Hashes of the past's lines: an item may stand in the past and in the stream.
    seen: HashSet<u64>,
    overlap_ends: Instant,
}

impl<'a> Lines<'a> {
    fn new<T: Serialize>(
        filter: &'a Filter,
        past: Option<&Answer<T>>,
        answers: &dyn Answers,
    ) -> Self {
        let mut lines = Self {
            filter,
            out: Vec::new(),
            hasher: RandomState::new(),
            seen: HashSet::new(),
            overlap_ends: Instant::now() + OVERLAP,
        };
        let (completeness, lost) = match past {
            Some(answer) => (answer.completeness, answer.lost.clone()),
            None => {
                let status = answers.status();
                (status.completeness, status.lost)
            }
        };
        let head = Head {
            v: VERSION,
            completeness,
            lost,
            items: None,
        };
        dispatch::push(&mut lines.out, &head);
        let past = past.into_iter().flat_map(|answer| &answer.items);
        for item in past.filter(|item| filter.agrees(item)) {
            let start = lines.out.len();
            dispatch::push(&mut lines.out, item);
            let hash = lines.hasher.hash_one(&lines.out[start..]);
            lines.seen.insert(hash);
        }
        lines
    }

    fn push<T: Matches + Serialize>(&mut self, item: &T) {
        if !item.matches(self.filter) {
            return;
        }
        let start = self.out.len();
        dispatch::push(&mut self.out, item);
        if self.seen.is_empty() {
            return;
        }
        if Instant::now() > self.overlap_ends {
            self.seen = HashSet::new();
        } else if self.seen.remove(&self.hasher.hash_one(&self.out[start..])) {
            self.out.truncate(start);
        }
    }

    /// Takes what waits in the stream without waiting for more.
    fn take<T: Matches + Serialize>(
        &mut self,
        live: &mut broadcast::Receiver<Arc<T>>,
        most: usize,
        losses: &mut Losses,
    ) {
        for _ in 0..most {
            match live.try_recv() {
                Ok(item) => self.push(item.as_ref()),
                Err(broadcast::error::TryRecvError::Lagged(count)) => losses.dropped += count,
                Err(_) => return,
            }
        }
    }

    fn notice(&mut self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            self.out.extend_from_slice(&dispatch::notice_line(notice));
        }
    }

    async fn flush<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        write(writer, &self.out).await?;
        self.out.clear();
        Ok(())
    }
}

/// What a stream lost since it began.
struct Losses {
    at_start: BTreeMap<String, u64>,
    dropped: u64,
    told: Notice,
}

impl Losses {
    fn since(answers: &dyn Answers) -> Self {
        Self {
            at_start: answers.status().lost,
            dropped: 0,
            told: Notice::default(),
        }
    }

    fn total(&self, answers: &dyn Answers) -> Notice {
        let mut lost = answers.status().lost;
        for (reason, before) in &self.at_start {
            if let Some(now) = lost.get_mut(reason) {
                *now = now.saturating_sub(*before);
            }
        }
        lost.retain(|_, count| *count > 0);
        Notice {
            dropped: self.dropped,
            lost,
        }
    }

    /// The losses, if they changed since they were last told.
    fn news(&mut self, answers: &dyn Answers) -> Option<Notice> {
        let total = self.total(answers);
        if total == self.told {
            return None;
        }
        self.told = total.clone();
        Some(total)
    }
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    timeout(STUCK, writer.write_all(bytes))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Returns when the client has closed its sending half. What it still says is not listened to.
async fn closed<R: AsyncRead + Unpin>(reader: &mut R) {
    let mut ignored = [0; 256];
    while !matches!(reader.read(&mut ignored).await, Ok(0) | Err(_)) {}
}
