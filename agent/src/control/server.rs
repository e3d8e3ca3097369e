//! Accepts clients, checks who they are, and serves each in a task of its own.

use std::{io, os::unix::fs::MetadataExt, sync::Arc, time::Duration};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::{
    api::Answers,
    bind::BoundSocket,
    peer::{self, Allowed},
    session,
    wire::{Code, WireError},
};

/// Clients served at once.
pub const MAX_CLIENTS: usize = 256;

/// Pause after an accept that failed (no descriptors left): they come back as clients go.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the control socket until `shutdown` is ready, then closes all clients and removes the
/// socket. Must run inside a tokio runtime.
///
/// # Errors
/// Only when the socket cannot be handed to the runtime; a client's errors end that client.
pub async fn serve(
    socket: BoundSocket,
    answers: Arc<dyn Answers>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let allowed = Allowed {
        uid: rustix::process::geteuid().as_raw(),
        gid: std::fs::symlink_metadata(socket.path())?.gid(),
    };
    let listener = UnixListener::from_std(socket.listener()?)?;
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut clients = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = clients.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                clients.spawn(serve_one(stream, answers.clone(), allowed, room.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "control socket: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    clients.shutdown().await;
    Ok(())
}

async fn serve_one(
    stream: UnixStream,
    answers: Arc<dyn Answers>,
    allowed: Allowed,
    room: Arc<Semaphore>,
) {
    let refusal = match (peer::is_allowed(&stream, allowed), room.try_acquire()) {
        (Ok(true), Ok(_place)) => {
            if let Err(error) = session::run(stream, answers).await {
                tracing::debug!(%error, "control client ended");
            }
            return;
        }
        (Ok(true), Err(_)) => WireError::new(
            Code::Busy,
            format!("{MAX_CLIENTS} clients are connected already"),
            "try again later, or end some `weir tap` or `--follow`",
        ),
        (Ok(false) | Err(_), _) => WireError::new(
            Code::Permission,
            "you may not ask this daemon",
            "use sudo, or join the group of the socket",
        ),
    };
    let (_, mut writer) = stream.into_split();
    let _ = session::refuse(&mut writer, refusal).await;
}
