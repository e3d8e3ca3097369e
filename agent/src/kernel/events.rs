//! The ring buffer.

use std::{os::fd::AsFd as _, time::Duration};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

use super::bpffs::Pins;

/// How long records may wait before they are looked at, when nothing wakes the reader.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Reads records until the task is dropped.
pub struct Events {
    ring: RingBuf<MapData>,
}

impl Events {
    /// Opens the pinned ring buffer. Only one reader may exist at a time.
    pub fn open(pins: &Pins) -> Result<Self> {
        let path = pins.map("EVENTS");
        let data = MapData::from_pin(&path).with_context(|| format!("open {}", path.display()))?;
        let ring = RingBuf::try_from(Map::RingBuf(data)).context("map EVENTS")?;
        Ok(Self { ring })
    }

    /// Takes every record that waits; returns how many there were.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while let Some(record) = self.ring.next() {
            take(&record);
            count += 1;
        }
        count
    }

    /// Feeds records to `take` for ever: woken by the kernel when many wait, by the clock else.
    pub async fn run(mut self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let duplicate = self
            .ring
            .as_fd()
            .try_clone_to_owned()
            .context("watch the ring buffer")?;
        // SAFETY: the descriptor is owned, and stays open as long as `ready` lives.
        let ready = unsafe { AsyncFd::register_with_interest(duplicate, Interest::READABLE) }
            .context("watch the ring buffer")?;
        loop {
            if let Ok(guard) = tokio::time::timeout(LOOK_EVERY, ready.readable()).await {
                guard.context("watch the ring buffer")?.clear_ready();
            }
            self.drain(&mut take);
        }
    }
}
