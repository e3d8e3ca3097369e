//! Random rules and random flows over a small host, from a fixed seed.

use weir_common::{
    flow::{Addr, v4_mapped},
    policy::{Flow, callee, direction, local_caller, remote_caller, transport},
};

use super::{
    super::{compiled::CompiledRules, resolve::key_of_command},
    document, workload,
};
use crate::observe::model::{Workload, WorkloadKind};

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Each of `from` with equal chance, at least one.
    pub fn some<T: Copy>(&mut self, from: &[T]) -> Vec<T> {
        let mut some: Vec<T> = from.iter().copied().filter(|_| self.one_in(3)).collect();
        if some.is_empty() {
            some.push(self.pick(from));
        }
        some
    }
}

/// A side of a rule, as text.
#[derive(Clone, Debug)]
pub enum Who {
    Any,
    Fields(Vec<(&'static str, &'static str)>),
    Ranges(Vec<&'static str>),
}

/// A rule, as text.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    pub default: bool,
    pub from: Who,
    pub to: Who,
    pub ports: Vec<u16>,
    pub transport: Option<u8>,
    pub deny: Option<bool>,
    pub audit: bool,
    pub closed: Option<bool>,
    pub megabits: Option<u64>,
    /// Of default policies.
    pub outbound: bool,
    /// Of default policies.
    pub inbound: bool,
}

const RANGES: [&str; 10] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "127.0.0.0/8",
    "::/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "::1/128",
];

const ADDRESSES: [&str; 9] = [
    "10.1.2.3",
    "10.1.2.200",
    "10.1.9.9",
    "10.200.0.1",
    "192.168.1.1",
    "127.0.0.53",
    "2001:db8::1",
    "2001:db8:1::5",
    "::1",
];

const FIELDS: [(&str, &str); 12] = [
    ("service", "a"),
    ("service", "b"),
    ("service", "c"),
    ("service", "d"),
    ("service", "curl"),
    ("namespace", "x"),
    ("unit", "b.service"),
    ("pod", "pod-4"),
    ("container", "0123456789ab"),
    ("process", "b"),
    ("process", "curl"),
    ("process", "worker"),
];

const PORTS: [u16; 4] = [53, 80, 443, 8080];
pub const COMMANDS: [&str; 6] = ["a", "b", "c", "curl", "worker", "other"];

/// The workloads of the host; 2 and 4 are known by process, the others by cgroup.
pub fn workloads() -> Vec<Workload> {
    let mut all = vec![
        workload(100, WorkloadKind::Unit, "a"),
        workload(101, WorkloadKind::Unit, "b"),
        workload(102, WorkloadKind::Process, "c"),
        workload(103, WorkloadKind::Container, "d"),
        workload(104, WorkloadKind::Pod, "a"),
        workload(105, WorkloadKind::Remote, "c"),
    ];
    all[1].unit = Some("b.service".into());
    all[1].namespace = Some("x".into());
    all[2].unit = Some("b.service".into());
    all[2].process = Some("worker".into());
    all[3].container = Some("0123456789abcdef".into());
    all[3].process = Some("b".into());
    all[4].pod = Some("pod-4".into());
    all[4].namespace = Some("x".into());
    all[4].process = Some("curl".into());
    all
}

fn who(random: &mut Random) -> Who {
    match random.below(4) {
        0 => Who::Any,
        1 => Who::Ranges(random.some(&RANGES[..])),
        _ => {
            let mut fields = vec![random.pick(&FIELDS)];
            let more = random.pick(&FIELDS);
            if random.one_in(4) && more.0 != fields[0].0 {
                fields.push(more);
            }
            Who::Fields(fields)
        }
    }
}

/// A set of up to `most` rules.
pub fn rules(random: &mut Random, most: usize) -> Vec<Rule> {
    let count = 1 + random.below(most);
    let mut rules: Vec<Rule> = (0..count).map(|_| rule(random)).collect();
    // Names are given at random, so that their order is none of the rules'.
    for (index, rule) in rules.iter_mut().enumerate() {
        rule.name = format!("r{:02}-{index}", random.below(100));
    }
    rules
}

fn rule(random: &mut Random) -> Rule {
    if random.one_in(5) {
        return default_rule(random);
    }
    let from = who(random);
    let mut to = who(random);
    if let (Who::Ranges(_), Who::Ranges(_)) = (&from, &to) {
        to = Who::Any;
    }
    let transport = match random.below(4) {
        0 => Some(transport::TCP),
        1 => Some(transport::UDP),
        _ => None,
    };
    let limited = random.one_in(4) && transport != Some(transport::UDP);
    let mut deny = Some(random.one_in(2));
    if limited {
        deny = random.one_in(2).then_some(false);
    }
    Rule {
        name: String::new(),
        default: false,
        from,
        to,
        ports: match random.below(3) {
            0 => random.some(&PORTS[..]),
            _ => Vec::new(),
        },
        transport,
        deny,
        audit: !limited && random.one_in(4),
        closed: random.one_in(3).then(|| random.one_in(2)),
        megabits: limited.then(|| 1 + random.below(5) as u64),
        outbound: false,
        inbound: false,
    }
}

fn default_rule(random: &mut Random) -> Rule {
    let from = who(random);
    let way = random.below(3);
    let (outbound, inbound) = match &from {
        Who::Any => (way != 1, way != 0),
        Who::Fields(_) => (true, false),
        Who::Ranges(_) => (false, true),
    };
    Rule {
        name: String::new(),
        default: true,
        from,
        to: Who::Any,
        ports: Vec::new(),
        transport: None,
        deny: Some(!random.one_in(3)),
        audit: random.one_in(3),
        closed: None,
        megabits: None,
        outbound,
        inbound,
    }
}

impl Who {
    fn yaml(&self) -> String {
        match self {
            Self::Any => "any: true".to_owned(),
            Self::Ranges(ranges) => format!("cidr: ['{}']", ranges.join("', '")),
            Self::Fields(fields) => {
                let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                fields.join(", ")
            }
        }
    }
}

impl Rule {
    /// The rule as a file writes it.
    pub fn yaml(&self) -> String {
        let mut spec = format!("from: {{ {} }}\n", self.from.yaml());
        if let Some(deny) = self.deny {
            spec += if deny {
                "action: deny\n"
            } else {
                "action: allow\n"
            };
        }
        spec += if self.audit {
            "mode: audit\n"
        } else {
            "mode: enforce\n"
        };
        if self.default {
            spec += match (self.outbound, self.inbound) {
                (true, true) => "direction: both\n",
                (false, _) => "direction: inbound\n",
                _ => "direction: outbound\n",
            };
            return document("DefaultPolicy", &self.name, &spec);
        }
        let mut to = self.to.yaml();
        if !self.ports.is_empty() {
            to += &format!(", ports: {:?}", self.ports);
        }
        match self.transport {
            Some(transport::UDP) => to += ", protocol: udp",
            Some(_) => to += ", protocol: tcp",
            None => {}
        }
        spec += &format!("to: {{ {to} }}\n");
        if let Some(closed) = self.closed {
            spec += if closed {
                "onFailure: closed\n"
            } else {
                "onFailure: open\n"
            };
        }
        if let Some(megabits) = self.megabits {
            spec += &format!(
                "limits: {{ bandwidth: {megabits}Mbit/s, connections: {{ perSecond: {megabits} }} }}\n"
            );
        }
        document("TrafficPolicy", &self.name, &spec)
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    Local {
        process: Option<u64>,
        cgroup: Option<u64>,
        command: &'static str,
    },
    Remote(&'static str),
}

/// A flow, as it is and not as the kernel knows it.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub caller: Caller,
    pub callee_process: Option<u64>,
    pub callee_cgroup: Option<u64>,
    pub callee_address: &'static str,
    pub port: u16,
    pub transport: u8,
}

pub fn scene(random: &mut Random) -> Scene {
    let process = [None, None, Some(102), Some(104)];
    let cgroup = [None, None, Some(100), Some(101), Some(103)];
    let caller = match random.below(3) {
        0 => Caller::Remote(random.pick(&ADDRESSES)),
        _ => Caller::Local {
            process: random.pick(&process),
            cgroup: random.pick(&cgroup),
            command: random.pick(&COMMANDS),
        },
    };
    Scene {
        caller,
        callee_process: random.pick(&process),
        callee_cgroup: random.pick(&cgroup),
        callee_address: random.pick(&ADDRESSES),
        port: random.pick(&[53, 80, 443, 8080, 9999]),
        transport: random.pick(&[transport::TCP, transport::UDP]),
    }
}

impl Scene {
    /// The flow as the kernel hooks would put it together.
    pub fn flow(&self, rules: &CompiledRules) -> Flow {
        let (from, direction) = match self.caller {
            Caller::Remote(address) => (
                remote_caller(rules.class_of(&addr(address))),
                direction::INBOUND,
            ),
            Caller::Local {
                process,
                cgroup,
                command,
            } => (
                local_caller(
                    process.unwrap_or(0),
                    cgroup.unwrap_or(0),
                    key_of_command(command),
                ),
                direction::OUTBOUND,
            ),
        };
        Flow {
            from,
            to: callee(
                self.callee_process.unwrap_or(0),
                self.callee_cgroup.unwrap_or(0),
                rules.class_of(&addr(self.callee_address)),
            ),
            port: self.port,
            transport: self.transport,
            direction,
        }
    }
}

fn addr(text: &str) -> Addr {
    match text.parse().expect("an address of this file") {
        std::net::IpAddr::V4(v4) => v4_mapped(v4.octets()),
        std::net::IpAddr::V6(v6) => v6.octets(),
    }
}
