//! What a policy says, as values.
//!
//! # Semantics
//! - `from` names callers on this host by workload or command, or callers elsewhere by CIDR; `to`
//!   names callees on this host by workload, or any callee by CIDR. `any` is everybody.
//! - A rule from a workload is held where the caller is (`connect`, `sendmsg`); a rule from a CIDR
//!   where the callee is (inbound); a rule from `any` to a workload or to `any` in both places.
//! - Rules decide when a connection begins (or a datagram is sent). Established connections are
//!   not affected.
//! - Which of several rules decides is described in [`weir_common::policy`].
//! - `action: allow` matters where something broader denies: with a `DefaultPolicy` that denies,
//!   the allowing policies are the allow-list.
//! - `limits.bandwidth` is one budget for all flows that the policy matches, per direction, held
//!   for TCP where the sending socket is on this host. Of several on one key the lowest holds.
//! - `limits.connections` is one limit for all connections that the policy matches, by the
//!   algorithm of [`weir_common::limit`]: outbound ones beyond it are refused at `connect`, the
//!   SYNs of inbound ones are dropped, so that their callers try again later. Of several on one
//!   key the lowest rate holds.
//! - `onFailure: closed`: a caller on this host that weir cannot name is treated as if the rule
//!   forbade it (and limited as if it were meant). `open` on a rule that allows lets such a caller
//!   through. Left out, or `open` on a rule that denies: the other rules decide.
//! - A `DefaultPolicy` is asked last, in the direction `outbound` if it names none. It applies to
//!   loopback as to any other destination, except to name lookups at a loopback resolver (port 53
//!   at 127.0.0.0/8 or ::1). The control socket is no network socket and is never affected.

use std::fmt;

use super::cidr::Cidr;

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// File that it came from.
    pub source: String,
    /// Line of `metadata.name` in that file.
    pub line: u32,
    /// What it asks for.
    pub spec: Spec,
}

impl Policy {
    /// Name within a set: `name`, or `namespace/name`.
    pub fn key(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The kinds of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `kind: TrafficPolicy`.
    Traffic(TrafficSpec),
    /// `kind: DefaultPolicy`.
    Default(DefaultSpec),
}

impl Spec {
    /// The `kind` of the document.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Traffic(_) => "TrafficPolicy",
            Self::Default(_) => "DefaultPolicy",
        }
    }

    /// Enforce or audit.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Traffic(spec) => spec.mode,
            Self::Default(spec) => spec.mode,
        }
    }
}

/// Who may talk to whom, and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSpec {
    /// Callers.
    pub from: Selector,
    /// Callees.
    pub to: Target,
    /// Enforce or audit.
    pub mode: Mode,
    /// What holds for callers that cannot be named; `None` when the file does not say.
    pub on_failure: Option<OnFailure>,
    /// Allow or deny; `None` for a rule that only limits.
    pub action: Option<Action>,
    /// Payload bytes per second.
    pub bandwidth: Option<u64>,
    /// Connections that begin.
    pub connections: Option<ConnectionRate>,
}

/// How often a connection may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRate {
    /// Connections per second, from 1 to [`weir_common::limit::MOST_PER_SECOND`].
    pub per_second: u32,
    /// How many of them at once, from 1 to [`weir_common::limit::MOST_BURST`].
    pub burst: u32,
}

impl ConnectionRate {
    /// The burst of a rate where the file does not say: a tenth of a second's.
    pub fn usual_burst(per_second: u32) -> u32 {
        (per_second / 10).max(1)
    }
}

impl fmt::Display for ConnectionRate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, burst) = (self.per_second, self.burst);
        write!(out, "{rate} connections/s, {burst} at once")
    }
}

/// What holds where no traffic policy does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultSpec {
    /// Allow or deny.
    pub action: Action,
    /// Enforce or audit.
    pub mode: Mode,
    /// Which way.
    pub direction: DefaultDirection,
    /// Callers.
    pub from: Selector,
}

/// Parties of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Everybody.
    Any,
    /// Workloads of this host.
    Workloads(Match),
    /// Addresses.
    Cidrs(Vec<Cidr>),
}

/// Fields that a workload has to have, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Service name.
    pub service: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container id, 12 or more hex digits.
    pub container: Option<String>,
    /// Pod uid or name.
    pub pod: Option<String>,
    /// Command name.
    pub process: Option<String>,
}

impl Match {
    /// The fields by name, in their order in files.
    pub fn fields(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("service", &self.service),
            ("namespace", &self.namespace),
            ("unit", &self.unit),
            ("container", &self.container),
            ("pod", &self.pod),
            ("process", &self.process),
        ]
    }
}

/// Callees, and where they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Callees.
    pub selector: Selector,
    /// Server ports; empty = every port.
    pub ports: Vec<u16>,
    /// Transport; `None` = TCP and UDP.
    pub transport: Option<Transport>,
}

/// Transport protocols that can be told at connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Whether a rule refuses or only tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuse.
    #[default]
    Enforce,
    /// Tell.
    Audit,
}

impl Mode {
    /// As files write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

/// What holds when weir cannot tell who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Let through.
    Open,
    /// Refuse.
    Closed,
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let through.
    Allow,
    /// Refuse.
    Deny,
}

impl Action {
    /// As files write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Which decisions a default policy takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultDirection {
    /// Of callers on this host.
    #[default]
    Outbound,
    /// Of callers elsewhere.
    Inbound,
    /// Of all.
    Both,
}

impl DefaultDirection {
    /// As files write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Both => "both",
        }
    }

    /// True when callers on this host are meant.
    pub fn outbound(self) -> bool {
        self != Self::Inbound
    }

    /// True when callers elsewhere are meant.
    pub fn inbound(self) -> bool {
        self != Self::Outbound
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = match self {
            Self::Any => vec!["any".to_owned()],
            Self::Cidrs(cidrs) => cidrs.iter().map(Cidr::to_string).collect(),
            Self::Workloads(fields) => fields
                .fields()
                .iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
                .collect(),
        };
        out.write_str(&words.join(","))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.selector)?;
        if !self.ports.is_empty() {
            let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            write!(out, ":{}", ports.join(","))?;
        }
        match self.transport {
            Some(Transport::Tcp) => out.write_str("/tcp"),
            Some(Transport::Udp) => out.write_str("/udp"),
            None => Ok(()),
        }
    }
}
