//! The connections of a capture, by their addresses, in bounded memory.

use std::collections::HashMap;

use weir_common::{counter::Loss, event::ExchangeRecord, flow::PairKey};

use super::{
    connection::Connection,
    framed::Output,
    packet::{End, Message, Segment},
    report::Losses,
};

/// Connections that are followed at once; the quarter that was silent longest goes when it is
/// full. One takes up to 8 KiB.
const MAX_CONNECTIONS: usize = 16_384;

/// Payload segments after which a connection without a visible beginning is not looked at again.
const MAX_LOOKS: u8 = 64;

/// Both ends, the lower one first.
type Ends = (End, End);

enum Slot {
    Known(Connection),
    /// Began before the capture and has not shown yet which end asks.
    Unknown {
        looks: u8,
        latest_ns: u64,
    },
}

/// Follows every connection of a capture.
#[derive(Default)]
pub(super) struct Connections {
    slots: HashMap<Ends, Slot>,
    /// Where a connection is followed, by its initial sequence numbers.
    pairs: HashMap<PairKey, Ends>,
    /// Connections met.
    count: u64,
    pub lost: Losses,
    pub mirrored: u64,
}

impl Connections {
    /// Takes the next segment of the capture.
    pub fn take(
        &mut self,
        segment: &Segment<'_>,
        time_ns: u64,
        sink: &mut dyn FnMut(&ExchangeRecord),
    ) {
        let ends = ends_of(segment);
        if segment.syn {
            self.open(ends, segment, time_ns, sink);
        } else if !self.slots.contains_key(&ends) && segment.payload_len != 0 {
            self.make_room(sink);
            self.lost.add(Loss::AttachMidstream, 1);
            let slot = Slot::Unknown {
                looks: 0,
                latest_ns: time_ns,
            };
            self.slots.insert(ends, slot);
        }
        let Some(slot) = self.slots.get_mut(&ends) else {
            return;
        };
        if let Slot::Unknown { looks, latest_ns } = slot {
            *latest_ns = time_ns;
            if *looks >= MAX_LOOKS || segment.payload_len == 0 {
                return;
            }
            *looks += 1;
            let Some((client, server)) = roles(segment) else {
                return;
            };
            self.count += 1;
            *slot = Slot::Known(Connection::taken_up(self.count, client, server));
        }
        let Slot::Known(connection) = slot else {
            return;
        };
        connection.learn(segment);
        if segment.payload_len != 0 && !connection.used {
            connection.used = true;
            if let Some(key) = pair_key(connection) {
                // Address translation leaves the sequence numbers unchanged: the connection is
                // followed only where its payload was seen first.
                connection.mirrored = *self.pairs.entry(key).or_insert(ends) != ends;
                self.mirrored += u64::from(connection.mirrored);
            }
        }
        let lost = &mut self.lost;
        connection.take(segment, time_ns, &mut Output { lost, sink });
    }

    /// A SYN or SYN-ACK: a new connection, unless it belongs to the one that is known.
    fn open(
        &mut self,
        ends: Ends,
        segment: &Segment<'_>,
        time_ns: u64,
        sink: &mut dyn FnMut(&ExchangeRecord),
    ) {
        match self.slots.get(&ends) {
            Some(Slot::Known(known)) if !known.is_older_than(segment) => return,
            Some(_) => self.forget(&ends, Some(time_ns), sink),
            None => self.make_room(sink),
        }
        self.count += 1;
        let (from, to) = (segment.source, segment.destination);
        let connection = match segment.ack {
            None => Connection::opened(self.count, from, to, segment.seq),
            Some(ack) => Connection::opened(self.count, to, from, ack.wrapping_sub(1)),
        };
        self.slots.insert(ends, Slot::Known(connection));
    }

    /// Ends a connection's life: at a known time, or because it has to go.
    fn forget(&mut self, ends: &Ends, time_ns: Option<u64>, sink: &mut dyn FnMut(&ExchangeRecord)) {
        let Some(Slot::Known(mut connection)) = self.slots.remove(ends) else {
            return;
        };
        if let Some(key) = pair_key(&connection)
            && self.pairs.get(&key) == Some(ends)
        {
            self.pairs.remove(&key);
        }
        let lost = &mut self.lost;
        match time_ns {
            Some(time_ns) => connection.finish(time_ns, &mut Output { lost, sink }),
            None => connection.abandon(&mut Output { lost, sink }),
        }
    }

    fn make_room(&mut self, sink: &mut dyn FnMut(&ExchangeRecord)) {
        if self.slots.len() < MAX_CONNECTIONS {
            return;
        }
        let mut ages: Vec<(bool, u64, Ends)> = self.slots.iter().map(age).collect();
        let quarter = MAX_CONNECTIONS / 4;
        ages.select_nth_unstable(quarter);
        for (live, _, ends) in &ages[..quarter] {
            if *live {
                self.lost.add(Loss::StorageFailed, 1);
            }
            self.forget(ends, None, sink);
            self.slots.remove(ends);
        }
    }

    /// The capture ends.
    pub fn finish(&mut self, sink: &mut dyn FnMut(&ExchangeRecord)) {
        let lost = &mut self.lost;
        for (_, slot) in self.slots.drain() {
            if let Slot::Known(mut connection) = slot {
                connection.abandon(&mut Output { lost, sink });
            }
        }
    }
}

fn pair_key(connection: &Connection) -> Option<PairKey> {
    connection.isns().map(|(client_isn, server_isn)| PairKey {
        client_isn,
        server_isn,
    })
}

/// Order in which slots go: those of no interest first, then by silence.
fn age((ends, slot): (&Ends, &Slot)) -> (bool, u64, Ends) {
    match slot {
        Slot::Known(connection) => (connection.is_of_interest(), connection.latest_ns, *ends),
        Slot::Unknown { latest_ns, .. } => (false, *latest_ns, *ends),
    }
}

fn ends_of(segment: &Segment<'_>) -> Ends {
    let (a, b) = (segment.source, segment.destination);
    if a <= b { (a, b) } else { (b, a) }
}

/// Client and server of a connection whose beginning was not captured, if this payload tells.
fn roles(segment: &Segment<'_>) -> Option<(End, End)> {
    let (from, to) = (segment.source, segment.destination);
    segment.begins_message().map(|message| match message {
        Message::Request => (from, to),
        Message::Response => (to, from),
    })
}
