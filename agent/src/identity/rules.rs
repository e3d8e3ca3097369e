//! Names by rule: the operator's word goes before everything that is guessed. Pure.

use std::net::IpAddr;

use weir_common::flow::{Addr, v4_mapped};

/// Rule `[[service]]`: processes that match are given a service name. All conditions that are
/// set must match, at least one must be set; `*` stands for any text in `exe` and `unit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRule {
    /// Service name to give.
    pub name: String,
    /// Command name.
    pub process: Option<String>,
    /// Path of the executable.
    pub exe: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
}

/// Rule `[[name]]`: peers in a network are given a service name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameRule {
    /// Network, e.g. `10.1.0.0/16`; a bare address is that one address.
    pub cidr: String,
    /// Service name to give.
    pub service: String,
}

/// All naming rules, ready for use.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    services: Vec<ServiceRule>,
    networks: Vec<Network>,
}

#[derive(Clone, Debug)]
struct Network {
    addr: Addr,
    prefix: u32,
    service: String,
}

impl Rules {
    /// Rules in the order of the configuration. Networks that do not parse are left out; the
    /// configuration refuses them before they come here.
    pub fn new(services: Vec<ServiceRule>, names: &[NameRule]) -> Self {
        let mut networks: Vec<Network> = names
            .iter()
            .filter_map(|rule| {
                let (addr, prefix) = parse_cidr(&rule.cidr)?;
                Some(Network {
                    addr,
                    prefix,
                    service: rule.service.clone(),
                })
            })
            .collect();
        networks.sort_by_key(|network| std::cmp::Reverse(network.prefix));
        Self { services, networks }
    }

    /// Name for a process: the first rule that matches.
    pub fn service(&self, comm: &str, exe: &str, unit: Option<&str>) -> Option<&str> {
        self.services
            .iter()
            .find(|rule| rule.matches(comm, exe, unit))
            .map(|rule| rule.name.as_str())
    }

    /// Name for an address: the narrowest network that holds it.
    pub fn network(&self, addr: &Addr) -> Option<&str> {
        self.networks
            .iter()
            .find(|network| network.holds(addr))
            .map(|network| network.service.as_str())
    }
}

impl ServiceRule {
    fn matches(&self, comm: &str, exe: &str, unit: Option<&str>) -> bool {
        let has_condition = self.process.is_some() || self.exe.is_some() || self.unit.is_some();
        has_condition
            && self.process.as_deref().is_none_or(|wanted| wanted == comm)
            && self
                .exe
                .as_deref()
                .is_none_or(|wanted| is_like(wanted, exe))
            && self
                .unit
                .as_deref()
                .is_none_or(|wanted| unit.is_some_and(|unit| is_like(wanted, unit)))
    }
}

impl Network {
    fn holds(&self, addr: &Addr) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
        u128::from_be_bytes(*addr) & mask == u128::from_be_bytes(self.addr) & mask
    }
}

/// Network and prefix length over the v4-mapped form.
fn parse_cidr(text: &str) -> Option<(Addr, u32)> {
    let (addr, prefix) = match text.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    match addr.parse().ok()? {
        IpAddr::V4(addr) => {
            let prefix = prefix.unwrap_or(32);
            (prefix <= 32).then(|| (v4_mapped(addr.octets()), 96 + prefix))
        }
        IpAddr::V6(addr) => {
            let prefix = prefix.unwrap_or(128);
            (prefix <= 128).then(|| (addr.octets(), prefix))
        }
    }
}

/// True if `text` is like the pattern, where `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_matching_service_rule_names() {
        let rule = |name: &str, process: Option<&str>, exe: Option<&str>, unit: Option<&str>| {
            ServiceRule {
                name: name.into(),
                process: process.map(Into::into),
                exe: exe.map(Into::into),
                unit: unit.map(Into::into),
            }
        };
        let rules = Rules::new(
            vec![
                rule("nobody", None, None, None),
                rule("shop", None, Some("/opt/shop/*"), None),
                rule("worker", Some("python3"), None, Some("work-*.service")),
            ],
            &[],
        );
        for (comm, exe, unit, expected) in [
            ("x", "/opt/shop/bin/a", None, Some("shop")),
            (
                "python3",
                "/usr/bin/python3",
                Some("work-1.service"),
                Some("worker"),
            ),
            ("python3", "/usr/bin/python3", None, None),
            ("ruby", "/usr/bin/ruby", Some("work-1.service"), None),
        ] {
            assert_eq!(rules.service(comm, exe, unit), expected);
        }
    }

    #[test]
    fn the_narrowest_network_names() {
        let rule = |cidr: &str, service: &str| NameRule {
            cidr: cidr.into(),
            service: service.into(),
        };
        let rules = Rules::new(
            Vec::new(),
            &[
                rule("0.0.0.0/0", "internet"),
                rule("10.0.0.0/8", "inside"),
                rule("10.1.2.3", "db"),
                rule("2001:db8::/32", "six"),
                rule("nonsense", "x"),
                rule("10.0.0.0/33", "x"),
            ],
        );
        for (addr, expected) in [
            ("10.1.2.3", Some("db")),
            ("10.1.2.4", Some("inside")),
            ("8.8.8.8", Some("internet")),
            ("2001:db8::5", Some("six")),
            ("2001:db9::5", None),
        ] {
            let addr = match addr.parse().unwrap() {
                IpAddr::V4(addr) => v4_mapped(addr.octets()),
                IpAddr::V6(addr) => addr.octets(),
            };
            assert_eq!(rules.network(&addr), expected);
        }
    }
}
