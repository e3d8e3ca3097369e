//! Rule `[[ports]]`: what is spoken on a server's port, where that is not to be found out.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use weir_common::{
    flow::{MAX_PORTS, protocol},
    framing::detect::READ,
};

use crate::observe::protocol::name;

/// How a protocol that is not read is called.
const OPAQUE: &str = "opaque";

/// Rules that fit into the kernel's table.
pub(super) const MAX_RULES: usize = MAX_PORTS as usize;

/// Connections to a port are given their protocol.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortRule {
    pub port: Port,
    pub protocol: PortProtocol,
}

/// A port that a server can listen on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Port(pub u16);

/// A protocol that weir reads, or `opaque`: connections are counted and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortProtocol(u8);

impl PortProtocol {
    /// Code of [`protocol`], as the kernel takes it.
    pub const fn code(self) -> u8 {
        self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text == OPAQUE {
            return Ok(Self(protocol::TCP));
        }
        let code = READ.iter().find(|code| name(**code) == text);
        code.map(|code| Self(*code)).ok_or_else(|| {
            let names: Vec<&str> = READ.iter().map(|code| name(*code)).collect();
            format!(
                "weir reads no protocol `{text}`; there are {} and {OPAQUE}",
                names.join(", ")
            )
        })
    }
}

impl fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            protocol::TCP => OPAQUE,
            code => name(code),
        })
    }
}

impl<'de> Deserialize<'de> for PortProtocol {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u64::deserialize(from)? {
            port @ 1..=65_535 => Ok(Self(port as u16)),
            other => Err(de::Error::custom(format!(
                "{other} is not a port between 1 and 65535"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_common::flow::protocol::{DATAGRAMS, GRAPHQL, UNKNOWN, WEBSOCKET};

    use super::*;
    use crate::kernel::attach::{HOOKS, Kind};

    #[test]
    fn every_protocol_that_is_read_has_a_name_of_its_own() {
        for code in READ {
            let parsed = PortProtocol::parse(name(code)).unwrap();
            assert_eq!(parsed.code(), code, "{parsed}");
        }
        assert_eq!(PortProtocol::parse("opaque").unwrap().to_string(), "opaque");
        let error = PortProtocol::parse("reddis").unwrap_err();
        assert!(
            error.contains("redis, ") || error.contains("redis and opaque"),
            "{error}"
        );
    }

    #[test]
    fn every_reader_can_be_asked_for() {
        for hook in HOOKS {
            // Datagrams are read by what they are, WebSocket behind its upgrade, GraphQL by its path,
            // whatever their port; unknown is what looks for evidence.
            if let Kind::Reader(code) = hook.kind
                && ![DATAGRAMS, GRAPHQL, UNKNOWN, WEBSOCKET].contains(&code)
            {
                assert!(READ.contains(&code), "{}", hook.name);
            }
        }
    }
}
