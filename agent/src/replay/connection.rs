//! One captured connection: its handshake, its roles, its end.

use weir_common::counter::Loss;

use super::{
    framed::{Framed, Output},
    packet::{End, Segment},
    record::Facts,
};

/// A connection between two ends whose roles are known.
pub(super) struct Connection {
    number: u64,
    /// Who sent the SYN, or the first request.
    client: End,
    /// The other end.
    server: End,
    /// Capture time of the latest segment, ns.
    pub latest_ns: u64,
    /// True once it carried payload.
    pub used: bool,
    /// True if this very connection is followed at another place of the capture.
    pub mirrored: bool,
    client_isn: Option<u32>,
    server_isn: Option<u32>,
    /// `None` before the first payload and after the end.
    framed: Option<Box<Framed>>,
    /// Sequence number behind the server's last byte, once its FIN told it.
    fin: Option<u32>,
    /// Where the client's and the server's streams stood at the end.
    ended_at: Option<[u32; 2]>,
}

impl Connection {
    /// A connection whose SYN or SYN-ACK was captured.
    pub fn opened(number: u64, client: End, server: End, client_isn: u32) -> Self {
        Self {
            client_isn: Some(client_isn),
            ..Self::taken_up(number, client, server)
        }
    }

    /// A connection that is older than the capture.
    pub fn taken_up(number: u64, client: End, server: End) -> Self {
        Self {
            number,
            client,
            server,
            latest_ns: 0,
            used: false,
            mirrored: false,
            client_isn: None,
            server_isn: None,
            framed: None,
            fin: None,
            ended_at: None,
        }
    }

    /// Both initial sequence numbers, once they are known: client's, server's.
    pub fn isns(&self) -> Option<(u32, u32)> {
        self.client_isn.zip(self.server_isn)
    }

    /// True if this SYN or SYN-ACK belongs to another life of the same addresses.
    pub fn is_older_than(&self, segment: &Segment<'_>) -> bool {
        let from_client = segment.source == self.client;
        match segment.ack {
            None => !from_client || self.client_isn != Some(segment.seq),
            Some(ack) => {
                from_client
                    || self.client_isn != Some(ack.wrapping_sub(1))
                    || self.server_isn.is_some_and(|isn| isn != segment.seq)
            }
        }
    }

    /// True if exchanges were seen and more may come: its loss would hide something.
    pub fn is_of_interest(&self) -> bool {
        self.framed.as_deref().is_some_and(Framed::is_followed)
    }

    /// Takes a segment of this connection.
    pub fn take(&mut self, segment: &Segment<'_>, time_ns: u64, output: &mut Output<'_>) {
        self.latest_ns = time_ns;
        let is_request = segment.source == self.client;
        if self.mirrored {
            return;
        }
        if let Some(ends) = self.ended_at {
            self.take_late(segment, is_request, ends, output);
            return;
        }
        // Data on a SYN may be refused by the server; if it was accepted, the hole is counted.
        if segment.payload_len != 0 && !segment.syn {
            let facts = self.facts();
            let framed = self.framed.get_or_insert_with(|| {
                if facts.isns.is_none() && self.client_isn.is_some() {
                    // Its SYN was captured, but not what came next.
                    output.lost.add(Loss::AttachMidstream, 1);
                }
                Framed::new(facts.isns)
            });
            framed.take(segment, is_request, time_ns, &facts, output);
        }
        if segment.fin && !is_request {
            self.fin = Some(segment.seq.wrapping_add(segment.payload_len));
        }
        if segment.rst || self.all_was_said() {
            self.finish(time_ns, output);
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            number: self.number,
            client: self.client,
            server: self.server,
            isns: self.isns(),
        }
    }

    /// Learns the server's first sequence number from whoever tells it first.
    pub fn learn(&mut self, segment: &Segment<'_>) {
        let is_request = segment.source == self.client;
        if self.server_isn.is_some() {
            return;
        }
        if segment.syn && !is_request && segment.ack.is_some() {
            self.server_isn = Some(segment.seq);
        } else if is_request && self.client_isn == Some(segment.seq.wrapping_sub(1)) {
            // The SYN-ACK was not captured, but the client's first segment acknowledges it.
            self.server_isn = segment.ack.map(|ack| ack.wrapping_sub(1));
        }
    }

    /// True once the server's FIN and everything before it were seen: no answer can follow.
    fn all_was_said(&self) -> bool {
        let heard = |fin| {
            let framed = self.framed.as_deref();
            framed.is_none_or(|framed| framed.heard_all_before(fin))
        };
        self.fin.is_some_and(heard)
    }

    /// A message behind the end: a packet before was damaged or forged, and this one is lost.
    fn take_late(
        &mut self,
        segment: &Segment<'_>,
        is_request: bool,
        ends: [u32; 2],
        output: &mut Output<'_>,
    ) {
        let end = ends[usize::from(!is_request)];
        let is_new = segment.seq.wrapping_sub(end) < 1 << 30;
        if is_new && !segment.syn && segment.begins_message().is_some() {
            output.lost.add(Loss::Malformed, 1);
        }
    }

    /// The connection ended, at a known time.
    pub fn finish(&mut self, time_ns: u64, output: &mut Output<'_>) {
        let facts = self.facts();
        let framed = self.framed.take();
        let begins = [self.client_isn, self.server_isn];
        let begins = begins.map(|isn| isn.unwrap_or_default().wrapping_add(1));
        self.ended_at = Some(framed.as_deref().map_or(begins, Framed::seen));
        if let Some(framed) = framed {
            framed.finish(time_ns, &facts, output);
        }
    }

    /// The capture ends, or the connection has to go.
    pub fn abandon(&mut self, output: &mut Output<'_>) {
        if let Some(framed) = self.framed.take() {
            framed.abandon(output);
        }
    }
}
