//! Where the running kernel's structures have their fields, out of its type information.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, bail, ensure};

/// Where the kernel describes its types.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// First bytes of type information (`BTF_MAGIC`), in this host's byte order.
const MAGIC: u16 = 0xeb9f;

/// `BTF_KIND_STRUCT`.
const STRUCT: u32 = 4;

/// Where `struct tcp_sock` has the sequence number that the application reads next, bytes.
pub fn copied_seq() -> Result<u32> {
    field("tcp_sock", "copied_seq")
}

/// Where `struct sock` has its address family, bytes.
pub fn socket_family() -> Result<u32> {
    // A `struct sock_common` is its first field.
    field("sock_common", "skc_family")
}

/// Offset of a field of one of the running kernel's structures, bytes.
fn field(structure: &str, field: &str) -> Result<u32> {
    let bytes = std::fs::read(VMLINUX).with_context(|| format!("read {VMLINUX}"))?;
    find(&bytes, structure, field)
        .with_context(|| format!("look for {structure}.{field} in {VMLINUX}"))
}

/// The same in the type information at hand: a header, types one behind the other, and names.
/// Fields of structures without a name inside the structure are not looked at.
fn find(bytes: &[u8], structure: &str, field: &str) -> Result<u32> {
    let magic = bytes.get(..2).context("cut off")?;
    ensure!(
        magic == MAGIC.to_ne_bytes(),
        "this is no type information of this host's byte order"
    );
    let [header, types_at, types_len, names_at] =
        [4, 8, 12, 16].map(|at| word(bytes, at).map(|word| word as usize));
    let (header, types_at, names_at) = (header?, types_at?, names_at?);
    let types = bytes.get(header + types_at..).context("cut off")?;
    let types = types.get(..types_len?).context("cut off")?;
    let names = bytes.get(header + names_at..).context("cut off")?;
    let mut at = 0;
    while at < types.len() {
        let (name, info) = (word(types, at)?, word(types, at + 4)?);
        let (kind, count) = (info >> 24 & 0x1f, info as usize & 0xffff);
        let members = at + 12;
        if kind == STRUCT && is_named(names, name, structure) {
            let has_bits = info >> 31 != 0;
            return member(types, members, count, names, field, has_bits);
        }
        at = members + rest(kind, count)?;
    }
    bail!("there is no such structure")
}

/// Bytes of a type behind the part that all have alike (`Documentation/bpf/btf.rst`).
fn rest(kind: u32, count: usize) -> Result<usize> {
    Ok(match kind {
        // Pointers, forward declarations, names, qualifiers, functions, floats, tags of types.
        2 | 7..=12 | 16 | 18 => 0,
        // Integers, variables, tags of declarations.
        1 | 14 | 17 => 4,
        // Arrays.
        3 => 12,
        // Values of an enumeration, parameters.
        6 | 13 => 8 * count,
        // Members, variables of a section, values of 64 bits.
        STRUCT | 5 | 15 | 19 => 12 * count,
        _ => bail!("unknown kind of type {kind}"),
    })
}

fn member(
    types: &[u8],
    at: usize,
    count: usize,
    names: &[u8],
    wanted: &str,
    has_bits: bool,
) -> Result<u32> {
    for at in (0..count).map(|index| at + 12 * index) {
        if !is_named(names, word(types, at)?, wanted) {
            continue;
        }
        let bits = word(types, at + 8)?;
        // With bit fields in the structure, the upper byte is a member's width.
        let bits = if has_bits { bits & 0x00ff_ffff } else { bits };
        ensure!(bits % 8 == 0, "it does not begin a byte");
        return Ok(bits / 8);
    }
    bail!("the structure has no such field")
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    Ok(u32::from_ne_bytes(*word.context("cut off")?))
}

fn is_named(names: &[u8], at: u32, name: &str) -> bool {
    let text = names.get(at as usize..).unwrap_or_default();
    text.strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names at 1 (`u32`), 5 (`sock`), 10 (`seq`), 14 (`next`).
    const NAMES: &[u8] = b"\0u32\0sock\0seq\0next\0";

    /// An integer, a pointer, and `struct sock { u32 seq; u32 next; }` with this `info` and
    /// offset of `next`.
    fn info(structure: u32, next_at: u32) -> Vec<u8> {
        let types = [
            [1, 1 << 24, 4].as_slice(),
            &[32],
            &[0, 2 << 24, 1],
            &[5, structure, 8],
            &[10, 1, 0],
            &[14, 1, next_at],
        ]
        .concat();
        let len = 4 * types.len() as u32;
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, len, len, NAMES.len() as u32].iter().chain(&types) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(NAMES);
        bytes
    }

    #[test]
    fn fields_are_found() {
        let plain = info(STRUCT << 24 | 2, 32);
        for (structure, name, expected) in [
            ("sock", "seq", Some(0)),
            ("sock", "next", Some(4)),
            ("sock", "nex", None),
            ("sock", "prev", None),
            ("soc", "seq", None),
            ("u32", "seq", None),
        ] {
            let found = find(&plain, structure, name).ok();
            assert_eq!(found, expected, "{structure}.{name}");
        }
        let with_bits = info(1 << 31 | STRUCT << 24 | 2, 32 << 24 | 64);
        assert_eq!(find(&with_bits, "sock", "next").ok(), Some(8));
        assert!(find(&info(STRUCT << 24 | 2, 33), "sock", "next").is_err());
    }

    #[test]
    fn damaged_information_is_refused() {
        let whole = info(STRUCT << 24 | 2, 32);
        for len in 0..whole.len() - NAMES.len() {
            assert!(find(&whole[..len], "sock", "next").is_err(), "{len} bytes");
        }
        assert!(find(&info(31 << 24, 0), "sock", "next").is_err());
        let swapped: Vec<u8> = [&[whole[1], whole[0]], &whole[2..]].concat();
        assert!(find(&swapped, "sock", "next").is_err());
    }
}
