//! Policies → what each asks of each key, before it is settled who wins.

use std::collections::{BTreeMap, BTreeSet};

use weir_common::policy::{
    ANY, MAX_ENTRIES, PolicyKey, UNRESOLVED, direction, kind, mode, transport, verdict,
};

use super::{
    cidr::Cidr,
    policy::{
        Action, DefaultSpec, Mode, OnFailure, Policy, Selector, Spec, TrafficSpec, Transport,
    },
    resolve::{command_key, workload_ids},
};
use crate::observe::model::Workload;

/// Where name lookups at a loopback resolver go: default policies leave them alone.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const DNS_PORT: u16 = 53;

/// What one policy asks of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Index of the policy in the list that was compiled.
    pub policy: usize,
    /// Its slot.
    pub slot: u32,
    /// One of [`verdict`].
    pub verdict: u8,
    /// One of [`mode`].
    pub mode: u8,
    /// Prefix length of the CIDR that the policy names; 0 when it names none.
    pub prefix: u8,
    /// Payload bytes per second of a bandwidth claim, connections per second of one that limits
    /// those; 0 otherwise.
    pub rate: u64,
}

impl Claim {
    /// Sorts before whatever it wins against on the same key: the longer prefix, then deny, then
    /// the lower rate, then enforce, then the earlier name.
    fn rank(&self) -> (u8, bool, u64, u8, usize) {
        (
            u8::MAX - self.prefix,
            self.verdict != verdict::DENY,
            self.rate,
            self.mode,
            self.policy,
        )
    }
}

/// All claims of a set of policies.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Claims by key, the strongest first.
    pub by_key: BTreeMap<PolicyKey, Vec<Claim>>,
    /// Ranges that policies name.
    pub cidrs: BTreeSet<Cidr>,
    /// Selector keys that are commands.
    pub commands: BTreeSet<u64>,
    /// True when there were more than [`MAX_ENTRIES`] keys and the rest was left out.
    pub overflowed: bool,
}

/// A side of a rule: a key that is known now, or a range whose entries are copied to the ranges
/// inside it.
#[derive(Clone, Copy)]
enum Party {
    Key(u64),
    Range(Cidr),
}

/// Collects the claims of `policies`; `slots[i]` is the slot of `policies[i]`.
pub fn collect(policies: &[Policy], slots: &[u32], workloads: &[Workload]) -> Claims {
    let mut collector = Collector {
        workloads,
        claims: Claims::default(),
        by_range: BTreeMap::new(),
    };
    for (index, (policy, slot)) in policies.iter().zip(slots).enumerate() {
        let claim = Claim {
            policy: index,
            slot: *slot,
            verdict: verdict::ALLOW,
            mode: match policy.spec.mode() {
                Mode::Enforce => mode::ENFORCE,
                Mode::Audit => mode::AUDIT,
            },
            prefix: 0,
            rate: 0,
        };
        match &policy.spec {
            Spec::Traffic(spec) => collector.traffic(spec, claim),
            Spec::Default(spec) => collector.default_policy(spec, claim),
        }
    }
    collector.finish()
}

struct Collector<'a> {
    workloads: &'a [Workload],
    claims: Claims,
    by_range: BTreeMap<Cidr, Vec<(PolicyKey, Claim)>>,
}

/// What a rule asks of every callee and port, of one caller.
struct Ask {
    from: Party,
    kind: u8,
    transport: u8,
    claim: Claim,
}

impl Collector<'_> {
    fn traffic(&mut self, spec: &TrafficSpec, claim: Claim) {
        let every_port = [0];
        let ports = match spec.to.ports.as_slice() {
            [] => &every_port[..],
            ports => ports,
        };
        for way in [direction::OUTBOUND, direction::INBOUND] {
            let asks = self.asks(spec, claim, way);
            for to in self.callees(&spec.to.selector, way) {
                for (port, ask) in ports
                    .iter()
                    .flat_map(|port| asks.iter().map(move |a| (port, a)))
                {
                    let key = key(ask.kind, way, *port, ask.transport);
                    self.add(ask.from, to, key, ask.claim);
                }
            }
        }
    }

    fn asks(&mut self, spec: &TrafficSpec, claim: Claim, way: u8) -> Vec<Ask> {
        let mut asks = Vec::new();
        for from in self.callers(&spec.from, way) {
            if let Some(action) = spec.action {
                asks.extend(access_asks(spec, from, verdict_of(action), claim));
            }
            asks.extend(limit_asks(spec, from, claim));
        }
        // Only callers on this host that a rule wants by name can fail to be named.
        if way == direction::INBOUND || !matches!(spec.from, Selector::Workloads(_)) {
            return asks;
        }
        let unnamed = Party::Key(UNRESOLVED);
        match (spec.on_failure, spec.action) {
            (Some(OnFailure::Closed), action) => {
                if action.is_some() {
                    asks.extend(access_asks(spec, unnamed, verdict::DENY, claim));
                }
                asks.extend(limit_asks(spec, unnamed, claim));
            }
            (Some(OnFailure::Open), Some(Action::Allow)) => {
                asks.extend(access_asks(spec, unnamed, verdict::ALLOW, claim));
            }
            _ => {}
        }
        asks
    }

    fn default_policy(&mut self, spec: &DefaultSpec, claim: Claim) {
        let claim = Claim {
            verdict: verdict_of(spec.action),
            ..claim
        };
        for (way, wanted) in [
            (direction::OUTBOUND, spec.direction.outbound()),
            (direction::INBOUND, spec.direction.inbound()),
        ] {
            if !wanted {
                continue;
            }
            for from in self.callers(&spec.from, way) {
                for transport in [transport::TCP, transport::UDP] {
                    let key = key(kind::DEFAULT, way, 0, transport);
                    self.add(from, Party::Key(ANY), key, claim);
                    if spec.action == Action::Deny && way == direction::OUTBOUND {
                        self.spare_loopback_lookups(from, transport, claim);
                    }
                }
            }
        }
    }

    fn spare_loopback_lookups(&mut self, from: Party, transport: u8, claim: Claim) {
        let key = key(kind::DEFAULT, direction::OUTBOUND, DNS_PORT, transport);
        let claim = Claim {
            verdict: verdict::ALLOW,
            ..claim
        };
        for range in LOOPBACK.iter().filter_map(|text| Cidr::parse(text).ok()) {
            self.claims.cidrs.insert(range);
            self.add(from, Party::Range(range), key, claim);
        }
    }

    /// Callers that a rule is compiled for: on this host outbound, elsewhere inbound.
    fn callers(&mut self, selector: &Selector, way: u8) -> Vec<Party> {
        match (selector, way) {
            (Selector::Any, _) => vec![Party::Key(ANY)],
            (Selector::Cidrs(cidrs), direction::INBOUND) => self.ranges(cidrs),
            (Selector::Workloads(wanted), direction::OUTBOUND) => {
                let command = command_key(wanted, self.workloads);
                self.claims.commands.extend(command);
                let ids = workload_ids(wanted, self.workloads);
                ids.into_iter().chain(command).map(Party::Key).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Callees that a rule is compiled for; inbound they are on this host.
    fn callees(&mut self, selector: &Selector, way: u8) -> Vec<Party> {
        match (selector, way) {
            (Selector::Any, _) => vec![Party::Key(ANY)],
            (Selector::Cidrs(cidrs), direction::OUTBOUND) => self.ranges(cidrs),
            (Selector::Workloads(wanted), _) => workload_ids(wanted, self.workloads)
                .into_iter()
                .map(Party::Key)
                .collect(),
            _ => Vec::new(),
        }
    }

    fn ranges(&mut self, cidrs: &[Cidr]) -> Vec<Party> {
        self.claims.cidrs.extend(cidrs);
        cidrs.iter().copied().map(Party::Range).collect()
    }

    fn add(&mut self, from: Party, to: Party, mut key: PolicyKey, claim: Claim) {
        let mut range = None;
        for (side, party) in [(&mut key.from, from), (&mut key.to, to)] {
            match party {
                Party::Key(id) => *side = id,
                Party::Range(cidr) => {
                    *side = 0;
                    range = Some(cidr);
                }
            }
        }
        match range {
            None => self.put(key, claim),
            Some(cidr) => {
                let claim = Claim {
                    prefix: cidr.prefix,
                    ..claim
                };
                self.by_range.entry(cidr).or_default().push((key, claim));
            }
        }
    }

    fn put(&mut self, key: PolicyKey, claim: Claim) {
        if self.claims.by_key.len() >= MAX_ENTRIES as usize
            && !self.claims.by_key.contains_key(&key)
        {
            self.claims.overflowed = true;
            return;
        }
        let claims = self.claims.by_key.entry(key).or_default();
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }

    /// The trie tells only the longest range that contains an address, so each range also gets
    /// what the ranges around it ask.
    fn finish(mut self) -> Claims {
        let by_range = std::mem::take(&mut self.by_range);
        let lengths: BTreeSet<u8> = by_range.keys().map(|cidr| cidr.prefix).collect();
        for inner in self.claims.cidrs.clone() {
            for prefix in lengths.range(..=inner.prefix) {
                let outer = Cidr::containing(&inner.network, *prefix);
                if !outer.covers(&inner) {
                    continue;
                }
                for (key, claim) in by_range.get(&outer).into_iter().flatten() {
                    if self.claims.overflowed {
                        return self.claims;
                    }
                    self.put(with_class(*key, inner.class()), *claim);
                }
            }
        }
        for claims in self.claims.by_key.values_mut() {
            claims.sort_by_key(Claim::rank);
        }
        self.claims
    }
}

/// Puts the class into the side that [`Collector::add`] left empty.
fn with_class(key: PolicyKey, class: u64) -> PolicyKey {
    let fill = |side: u64| if side == 0 { class } else { side };
    PolicyKey {
        from: fill(key.from),
        to: fill(key.to),
        ..key
    }
}

fn access_asks(spec: &TrafficSpec, from: Party, verdict: u8, claim: Claim) -> Vec<Ask> {
    let transports = match spec.to.transport {
        Some(Transport::Tcp) => &[transport::TCP][..],
        Some(Transport::Udp) => &[transport::UDP],
        None => &[transport::TCP, transport::UDP],
    };
    transports
        .iter()
        .map(|transport| Ask {
            from,
            kind: kind::ACCESS,
            transport: *transport,
            claim: Claim { verdict, ..claim },
        })
        .collect()
}

fn limit_asks(spec: &TrafficSpec, from: Party, claim: Claim) -> impl Iterator<Item = Ask> {
    let connections = spec.connections.map(|rate| rate.per_second.into());
    let rates = [
        (kind::BANDWIDTH, spec.bandwidth),
        (kind::CONNECTIONS, connections),
    ];
    rates.into_iter().filter_map(move |(kind, rate)| {
        Some(Ask {
            from,
            kind,
            transport: transport::TCP,
            claim: Claim {
                rate: rate?,
                ..claim
            },
        })
    })
}

fn key(kind: u8, direction: u8, port: u16, transport: u8) -> PolicyKey {
    PolicyKey {
        port,
        transport,
        direction,
        kind,
        ..PolicyKey::default()
    }
}

fn verdict_of(action: Action) -> u8 {
    match action {
        Action::Allow => verdict::ALLOW,
        Action::Deny => verdict::DENY,
    }
}
