//! Addresses of the interfaces of a network namespace.

use std::io;

use weir_common::flow::{Addr, v4_mapped};

use super::netlink::{Family, Netlink, attributes};

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Bytes of `struct ifaddrmsg`.
const MESSAGE_BYTES: usize = 8;

/// Every address in the calling thread's network namespace.
pub fn addresses() -> io::Result<Vec<Addr>> {
    let netlink = Netlink::open(Family::Route)?;
    let mut found = Vec::new();
    netlink.dump(RTM_GETADDR, &[0; MESSAGE_BYTES], |kind, payload| {
        if kind == RTM_NEWADDR {
            found.extend(parse(payload));
        }
    })?;
    Ok(found)
}

fn parse(payload: &[u8]) -> Option<Addr> {
    let rest = payload.get(MESSAGE_BYTES..)?;
    let attribute = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted);
    // On a point-to-point interface IFA_ADDRESS is the peer and IFA_LOCAL the own address.
    let (_, value) = attribute(IFA_LOCAL).or_else(|| attribute(IFA_ADDRESS))?;
    match *value {
        [a, b, c, d] => Some(v4_mapped([a, b, c, d])),
        _ => value.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_its_address() {
        let found = addresses().expect("dump");
        assert!(found.contains(&v4_mapped([127, 0, 0, 1])), "{found:?}");
    }

    #[test]
    fn the_own_end_of_a_point_to_point_link_counts() {
        let mut payload = vec![0; MESSAGE_BYTES];
        payload.extend([8, 0, 1, 0, 10, 0, 0, 2]);
        assert_eq!(parse(&payload), Some(v4_mapped([10, 0, 0, 2])));
        payload.extend([8, 0, 2, 0, 10, 0, 0, 1]);
        assert_eq!(parse(&payload), Some(v4_mapped([10, 0, 0, 1])));
        assert_eq!(parse(&payload[..4]), None);
    }
}
