//! The ring buffer and the loss counters.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    maps::ring_buf::RingBufEntry,
};
use weir_common::{
    counter::Loss,
    event::{Control, ExchangeRecord, Header, PathRecord, kind},
    flow::Addr,
    framing::http2::TEXT_WORDS,
};

use crate::{
    atomic, edge,
    maps::{CONTROL, EVENTS, LOST, TOLD},
};

/// Monotonic time, ns.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// How the agent steers us.
#[inline(always)]
pub fn control() -> Option<&'static Control> {
    CONTROL.get(0)
}

/// Counts a loss that belongs to no edge.
#[inline(always)]
pub fn lost(reason: Loss, count: u64) {
    if let Some(slot) = LOST.get_ptr_mut(reason as u32) {
        // SAFETY: the pointer is this CPU's slot.
        atomic::add(unsafe { &mut *slot }, count);
    }
}

/// Counts a loss on an edge.
#[inline(always)]
pub fn lost_on(edge_id: u32, reason: u32, count: u64) {
    let Some(stats) = edge::stats(edge_id) else {
        return;
    };
    if let Some(slot) = stats.lost.get_mut(reason as usize) {
        atomic::add(slot, count);
    }
}

/// Room for the record of an exchange, or `None` after counting the loss.
#[inline(always)]
pub fn reserve_exchange() -> Option<RingBufEntry<ExchangeRecord>> {
    let entry = EVENTS.reserve::<ExchangeRecord>(0);
    if entry.is_none() {
        lost(Loss::RingFull, 1);
    }
    entry
}

/// Room for another record, or `None` after counting the loss.
#[inline(always)]
pub fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none() {
        lost(Loss::EventRingFull, 1);
    }
    entry
}

/// A header for a record of `kind`.
#[inline(always)]
pub fn header(kind: u32, time_ns: u64) -> Header {
    // SAFETY: the helper has no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    Header { kind, cpu, time_ns }
}

/// Hands a record over. The reader looks by itself several times a second, and is woken only
/// when much is waiting: a wake-up for each record would cost more than the record.
#[inline(always)]
pub fn submit<T: 'static>(entry: RingBufEntry<T>) {
    let limit = control().map_or(0, |control| control.wakeup_bytes);
    let wake = EVENTS.query(BPF_RB_AVAIL_DATA as u64) > limit;
    let flag = if wake {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    entry.submit(flag as u64);
}

/// Copies by words: a plain copy becomes a call that moves bytes, which verifiers before 6.12 walk
/// anew on each path that leads to it.
#[inline(always)]
pub fn copy_words<const N: usize>(from: &[u64; N], to: &mut [u64; N]) {
    let mut word = 0;
    while word < N {
        // SAFETY: a live, aligned word of `from`.
        to[word] = unsafe { core::ptr::read_volatile(&raw const from[word]) };
        word += 1;
    }
}

/// Copies an address by words, as [`copy_words`] does. Both lie at multiples of eight bytes.
#[inline(always)]
pub fn copy_addr(from: &Addr, to: &mut Addr) {
    let from = from.as_ptr().cast::<u64>();
    let to = to.as_mut_ptr().cast::<u64>();
    let mut word = 0;
    while word < 2 {
        // SAFETY: words of both addresses, whose places are asserted where they are declared.
        unsafe { to.add(word).write(from.add(word).read_volatile()) };
        word += 1;
    }
}

/// Tells the agent the text behind an operation key, unless it was told.
#[inline(always)]
pub fn tell_path<const N: usize>(op: u64, len: u32, text: &[u64; N]) {
    const { assert!(core::mem::offset_of!(PathRecord, path).is_multiple_of(8) && N <= TEXT_WORDS) };
    // SAFETY: values are plain integers.
    if unsafe { TOLD.get(op) }.is_some() {
        return;
    }
    let Some(mut entry) = reserve::<PathRecord>() else {
        return;
    };
    // SAFETY: every field is written before the record is submitted; the struct is plain bytes.
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.header = header(kind::PATH, now());
    record.op = op;
    record.len = len;
    record._pad = [0; 4];
    // SAFETY: `path` is 8-aligned within the record (asserted) and holds TEXT_WORDS words.
    let words = unsafe { &mut *record.path.as_mut_ptr().cast::<[u64; TEXT_WORDS]>() };
    let mut i = 0;
    while i < TEXT_WORDS {
        words[i] = if i < N { text[i] } else { 0 };
        i += 1;
    }
    submit(entry);
    let _ = TOLD.insert(op, 1, 0);
}
