//! Address ranges in their canonical form.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use weir_common::{
    flow::{Addr, v4_mapped},
    policy::UNRESOLVED,
    stable_hash,
};

/// Prefix length of the v4-mapped range `::ffff:0:0/96`.
pub const MAPPED_PREFIX: u8 = 96;

/// A range of addresses. IPv4 ranges stand in their v4-mapped form, so `10.0.0.0/8` has length 104.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    /// Prefix length over the 128-bit form.
    pub prefix: u8,
    /// Network address; bits after the prefix are zero.
    pub network: Addr,
}

/// Why a text is no address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not an IP address before the slash.
    #[error("`{0}` is not an address range")]
    Address(String),
    /// No number, or too large for the address family.
    #[error("the prefix length `{0}` is not a number from 0 to {1}")]
    Prefix(String, u8),
    /// Bits are set after the prefix.
    #[error("`{0}` has bits set after its prefix")]
    HostBits(String, Cidr),
}

impl CidrError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Address(_) => {
                "write an address, or address/length: `10.0.0.0/8`, `2001:db8::/32`".into()
            }
            Self::Prefix(_, 32) => "IPv4 prefixes go from /0 to /32: `10.0.0.0/8`".into(),
            Self::Prefix(..) => "IPv6 prefixes go from /0 to /128: `2001:db8::/32`".into(),
            Self::HostBits(_, network) => format!("write `{network}`, or a longer prefix"),
        }
    }
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `10.1.2.3`, `2001:db8::/32` or `::1`.
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| CidrError::Address(text.to_owned()))?;
        let (addr, most, offset) = match address {
            IpAddr::V4(v4) => (v4_mapped(v4.octets()), 32, MAPPED_PREFIX),
            IpAddr::V6(v6) => (v6.octets(), 128, 0),
        };
        let length = match length {
            None => most,
            Some(length) => parse_length(length, most)
                .ok_or_else(|| CidrError::Prefix(length.to_owned(), most))?,
        };
        let cidr = Self::containing(&addr, length + offset);
        if cidr.network != addr {
            return Err(CidrError::HostBits(text.to_owned(), cidr));
        }
        Ok(cidr)
    }

    /// The range of length `prefix` (0–128 over the 128-bit form) around an address.
    pub fn containing(addr: &Addr, prefix: u8) -> Self {
        let prefix = prefix.min(128);
        let mask = match prefix {
            0 => 0,
            bits => u128::MAX << (128 - u32::from(bits)),
        };
        Self {
            prefix,
            network: (u128::from_be_bytes(*addr) & mask).to_be_bytes(),
        }
    }

    /// True for ranges of IPv4 addresses.
    pub fn is_v4(&self) -> bool {
        self.prefix >= MAPPED_PREFIX && self.network[..12] == v4_mapped([0; 4])[..12]
    }

    /// True when `addr` lies in the range. IPv6 ranges hold no IPv4 address, not even `::/0`.
    pub fn contains(&self, addr: &Addr) -> bool {
        let v4 = addr[..12] == v4_mapped([0; 4])[..12];
        v4 == self.is_v4() && Self::containing(addr, self.prefix) == *self
    }

    /// True when every address of `other` lies in this range.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix
            && self.is_v4() == other.is_v4()
            && Self::containing(&other.network, self.prefix) == *self
    }

    /// The selector key of the range: the same on every host and after every restart.
    pub fn class(&self) -> u64 {
        let hash = stable_hash(format!("cidr:{self}").as_bytes());
        // The smallest values are reserved (absent, anybody, not named).
        if hash <= UNRESOLVED { !hash } else { hash }
    }
}

fn parse_length(text: &str, most: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    let length: u16 = digits.then(|| text.parse().ok()).flatten()?;
    (length <= u16::from(most)).then_some(length as u8)
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_v4() {
            let [.., a, b, c, d] = self.network;
            return write!(
                out,
                "{}/{}",
                Ipv4Addr::new(a, b, c, d),
                self.prefix - MAPPED_PREFIX
            );
        }
        write!(out, "{}/{}", Ipv6Addr::from(self.network), self.prefix)
    }
}
