//! What an exchange costs while nobody watches: no more than the recent past and the names need.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use bytemuck::bytes_of;
use weir_common::event::{ExchangeRecord, why};

use super::{
    fakes::{daemon, daemon_with},
    records::exchange,
};
use crate::{
    control::api::Answers,
    daemon::{Daemon, Settings, locked},
};

/// Counts what each thread asks for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counter itself needs no memory.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as of the system's.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as of the system's.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

/// Allocations of `take` for a hundred exchanges, when the first ones are behind.
fn allocations_of(take: impl Fn(&ExchangeRecord)) -> u64 {
    let records = (0..120).map(|offset| exchange(offset, why::SAMPLED));
    let records: Vec<_> = records.collect();
    let (first, others) = records.split_at(20);
    first.iter().for_each(&take);
    allocations(|| others.iter().for_each(&take))
}

/// Of exchanges that are told to the daemon.
fn ingesting(daemon: &Daemon) -> u64 {
    allocations_of(|record| daemon.ingest(bytes_of(record)))
}

/// Of the same if they only go into the recent past.
fn keeping(daemon: &Daemon) -> u64 {
    allocations_of(|record| drop(locked(&daemon.lane).take_exchange(record, &daemon.registry)))
}

/// How many hold the latest exchange.
fn holders(daemon: &Daemon) -> usize {
    let lane = locked(&daemon.lane);
    let latest = lane.exchanges.iter().last().expect("an exchange");
    Arc::strong_count(latest)
}

fn small() -> Settings {
    let mut settings = Settings::default();
    // The ring of the past does not grow meanwhile.
    settings.lane.exchanges = 8;
    settings
}

#[test]
fn nothing_is_made_for_watchers_that_are_not_there() {
    let (daemon, _) = daemon_with(small());
    let alone = keeping(&daemon);
    assert!(alone >= 100, "{alone}");
    assert_eq!(ingesting(&daemon), alone, "never watched");
    let watchers = (
        daemon.tap(),
        daemon.follow_details(),
        daemon.follow_flows(),
        daemon.follow_verdicts(),
    );
    daemon
        .drawn
        .store(1 << 31, std::sync::atomic::Ordering::Relaxed);
    let watched = ingesting(&daemon);
    drop(watchers);
    daemon.tap_ended();
    assert_eq!(ingesting(&daemon), alone, "after the watchers have left");
    // Every other one was copied for who follows the draw: the counter would have shown it.
    assert!(watched > alone + 30, "{watched} {alone}");
}

#[test]
fn an_exchange_waits_only_for_watchers_that_are_there() {
    let (daemon, _) = daemon();
    daemon.ingest(bytes_of(&exchange(0, why::SAMPLED)));
    assert_eq!(holders(&daemon), 1, "the past alone");
    let tap = daemon.tap();
    daemon.ingest(bytes_of(&exchange(1, why::SAMPLED)));
    assert_eq!(holders(&daemon), 2, "and the tap");
    drop(tap);
    assert_eq!(holders(&daemon), 1, "nothing waits for a tap that left");
    daemon.ingest(bytes_of(&exchange(2, why::SAMPLED)));
    assert_eq!(holders(&daemon), 1);
}
