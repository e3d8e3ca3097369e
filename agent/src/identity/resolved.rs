//! Names that addresses were resolved from, as DNS answers on the wire tell them. Pure.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use weir_common::flow::{Addr, is_loopback, v4_mapped};

use crate::observe::protocol::dns::Addresses;

/// Addresses that are remembered; the longest unasked go when it is full.
const MAX_ADDRESSES: usize = 16_384;

/// A name stands at least so long against another one of the same address, ns: addresses that
/// many names share would change theirs with every answer.
const MIN_FRESH_NS: u64 = 60_000_000_000;

/// A name is remembered so long after its latest answer, ns: connections outlive answers.
const KEEP_NS: u64 = 3_600_000_000_000;

#[derive(Clone, Debug)]
struct Name {
    name: Arc<str>,
    /// Until then another name of the same address does not replace it.
    fresh_until_ns: u64,
    told_ns: u64,
}

/// Names by address.
#[derive(Clone, Debug, Default)]
pub struct Resolved(HashMap<Addr, Name>);

impl Resolved {
    /// Learns the addresses of a name. True if any address is called otherwise now.
    pub fn learn(&mut self, answer: &Addresses, now_ns: u64) -> bool {
        let name: Arc<str> = answer.name.as_str().into();
        let mut changed = false;
        for (addr, seconds) in &answer.addresses {
            if names_somebody(addr) {
                self.make_room();
                let fresh_ns = (u64::from(*seconds) * 1_000_000_000).clamp(MIN_FRESH_NS, KEEP_NS);
                let learned = Name {
                    name: Arc::clone(&name),
                    fresh_until_ns: now_ns.saturating_add(fresh_ns),
                    told_ns: now_ns,
                };
                changed |= self.put(*addr, learned, now_ns);
            }
        }
        changed
    }

    fn put(&mut self, addr: Addr, learned: Name, now_ns: u64) -> bool {
        match self.0.entry(addr) {
            Entry::Vacant(slot) => {
                slot.insert(learned);
                true
            }
            Entry::Occupied(mut slot) => {
                let is_other = slot.get().name != learned.name;
                if is_other && now_ns < slot.get().fresh_until_ns {
                    return false;
                }
                slot.insert(learned);
                is_other
            }
        }
    }

    fn make_room(&mut self) {
        if self.0.len() < MAX_ADDRESSES {
            return;
        }
        let mut told: Vec<u64> = self.0.values().map(|name| name.told_ns).collect();
        let (_, oldest_kept, _) = told.select_nth_unstable(MAX_ADDRESSES / 4);
        let oldest_kept = *oldest_kept;
        let mut room = MAX_ADDRESSES / 4;
        self.0.retain(|_, name| {
            let goes = name.told_ns <= oldest_kept && room > 0;
            room -= usize::from(goes);
            !goes
        });
    }

    /// What an address was resolved from.
    pub fn name_of(&self, addr: &Addr) -> Option<&str> {
        self.0.get(addr).map(|name| &*name.name)
    }

    /// Forgets what was not told for long. True if an address lost its name.
    pub fn expire(&mut self, now_ns: u64) -> bool {
        let before = self.0.len();
        self.0
            .retain(|_, name| now_ns.saturating_sub(name.told_ns) < KEEP_NS);
        self.0.len() != before
    }

    /// Addresses remembered, and how many can be.
    pub fn fill(&self) -> (u64, u64) {
        (self.0.len() as u64, MAX_ADDRESSES as u64)
    }
}

/// False for addresses that are nobody's or everybody's: lists of blocked names answer with them.
fn names_somebody(addr: &Addr) -> bool {
    let v4 = *addr == v4_mapped([addr[12], addr[13], addr[14], addr[15]]);
    let group = if v4 { addr[12] >= 224 } else { addr[0] == 0xff };
    let unspecified = *addr == [0; 16] || *addr == v4_mapped([0; 4]);
    !group && !unspecified && !is_loopback(addr)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn answer(name: &str, addresses: &[[u8; 4]], seconds: u32) -> Addresses {
        let addresses = addresses.iter().map(|octets| (v4_mapped(*octets), seconds));
        Addresses {
            name: name.into(),
            addresses: addresses.collect(),
        }
    }

    #[test]
    fn an_address_has_the_name_that_it_was_resolved_from() {
        let mut resolved = Resolved::default();
        let [one, two] = [[10, 0, 0, 1], [10, 0, 0, 2]];
        assert!(resolved.learn(&answer("shop.test", &[one, two], 5), 0));
        assert!(!resolved.learn(&answer("shop.test", &[two, one], 5), SECOND_NS));
        assert_eq!(resolved.name_of(&v4_mapped(one)), Some("shop.test"));
        assert_eq!(resolved.name_of(&v4_mapped([10, 0, 0, 3])), None);
        // Another name has to wait until the first one is old.
        let other = answer("other.test", &[one], 5);
        for (now_s, changed, name) in [
            (30, false, "shop.test"),
            (60, false, "shop.test"),
            (61, true, "other.test"),
        ] {
            assert_eq!(
                resolved.learn(&other, now_s * SECOND_NS),
                changed,
                "{now_s}"
            );
            assert_eq!(resolved.name_of(&v4_mapped(one)), Some(name));
        }
    }

    #[test]
    fn what_is_not_told_again_is_forgotten() {
        let mut resolved = Resolved::default();
        resolved.learn(&answer("shop.test", &[[10, 0, 0, 1]], 5), 0);
        assert!(!resolved.expire(KEEP_NS - 1));
        assert!(resolved.expire(KEEP_NS));
        assert_eq!(resolved.name_of(&v4_mapped([10, 0, 0, 1])), None);
    }

    #[test]
    fn addresses_of_nobody_name_nobody() {
        let mut resolved = Resolved::default();
        let blocked = [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]];
        assert!(!resolved.learn(&answer("ads.test", &blocked, 5), 0));
        assert_eq!(resolved.fill().0, 0);
    }

    #[test]
    fn a_full_table_forgets_the_longest_unasked() {
        let mut resolved = Resolved::default();
        let addr = |n: usize| [10, (n >> 16) as u8, (n >> 8) as u8, n as u8];
        for n in 0..=MAX_ADDRESSES {
            resolved.learn(&answer("n.test", &[addr(n)], 5), n as u64);
        }
        let (held, room) = resolved.fill();
        assert!(held <= room && held > room / 2, "{held}");
        assert_eq!(resolved.name_of(&v4_mapped(addr(0))), None);
        let latest = v4_mapped(addr(MAX_ADDRESSES));
        assert_eq!(resolved.name_of(&latest), Some("n.test"));
    }
}
