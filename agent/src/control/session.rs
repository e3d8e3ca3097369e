//! One client: reads questions, writes answers.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixStream, unix::OwnedWriteHalf},
    time::timeout,
};

use super::{
    api::Answers,
    dispatch, follow,
    wire::{Code, MAX_REQUEST_BYTES, WireError, parse_request},
};

/// A client that asks nothing for so long, or takes so long to say it, is sent away.
const IDLE: Duration = Duration::from_secs(60);

/// A client that does not take an answer for so long is given up.
const STUCK: Duration = Duration::from_secs(30);

/// Serves one client until it goes away or falls silent.
pub async fn run(stream: UnixStream, answers: Arc<dyn Answers>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(MAX_REQUEST_BYTES as u64 + 1);
        match timeout(IDLE, bounded.read_until(b'\n', &mut line)).await {
            Err(_) => return refuse(&mut writer, idle()).await,
            Ok(Ok(0)) => return Ok(()),
            Ok(result) => result?,
        };
        if line.len() > MAX_REQUEST_BYTES {
            return refuse(&mut writer, too_large()).await;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let request = match parse_request(&line) {
            Ok(request) => request,
            Err(error) => {
                refuse(&mut writer, error).await?;
                continue;
            }
        };
        drop(line);
        if request.follow {
            return follow::run(&request, &answers, reader, writer).await;
        }
        let answers = answers.clone();
        // Large answers take milliseconds to write down: not on a thread that serves others.
        let reply = tokio::task::spawn_blocking(move || {
            dispatch::reply(&request, answers.as_ref()).unwrap_or_else(dispatch::error_line)
        });
        let reply = reply.await.map_err(io::Error::other)?;
        write(&mut writer, &reply).await?;
    }
}

/// Writes an error line.
pub async fn refuse(writer: &mut OwnedWriteHalf, error: WireError) -> io::Result<()> {
    write(writer, &dispatch::error_line(error)).await
}

async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    timeout(STUCK, writer.write_all(bytes))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn idle() -> WireError {
    let reason = format!("no request within {} s", IDLE.as_secs());
    WireError::new(Code::BadRequest, reason, "connect again to ask")
}

fn too_large() -> WireError {
    let reason = format!("the request is longer than {MAX_REQUEST_BYTES} bytes");
    WireError::new(Code::TooLarge, reason, "send fewer policy files at once")
}
