//! Huffman codes of HPACK (RFC 7541, appendix B) as far as texts that matter need them.
//!
//! Letters, digits and the usual signs have codes of 5 to 8 bits, so one look at 8 bits tells
//! them. The rest of printable ASCII but the backslash has codes of 10 to 15 bits that all begin
//! with seven ones: a look at the next 8 bits tells those.

/// Symbols by the length of their codes; canonical, so that codes ascend along them.
const SHORT: [(u32, &[u8]); 4] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
];
const LONG: [(u32, &[u8]); 6] = [
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
];

/// Symbol in the low byte, length of its code above it, by the next 8 bits; 0 = a longer code.
static BY_8_BITS: [u16; 256] = symbols(&SHORT, 8);

/// The same behind seven ones.
static BY_15_BITS: [u16; 256] = symbols(&LONG, 15);

const fn symbols(codes: &[(u32, &[u8])], most_bits: u32) -> [u16; 256] {
    let mut table = [0; 256];
    let (mut at, mut row) = (0, 0);
    while row < codes.len() {
        let (len, of_len) = codes[row];
        let mut i = 0;
        while i < of_len.len() << (most_bits - len) {
            table[at] = (len as u16) << 8 | of_len[i >> (most_bits - len)] as u16;
            at += 1;
            i += 1;
        }
        row += 1;
    }
    table
}

/// The symbol that 64 bits begin with, its length in bits above it; 0 = one that is not told.
#[inline(always)]
pub fn symbol(bits: u64) -> u32 {
    if bits >> 57 == 0x7f {
        return BY_15_BITS[(bits >> 49) as usize & 255] as u32;
    }
    BY_8_BITS[(bits >> 56) as usize & 255] as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_rfc() {
        for (code, len, byte) in [
            (0x0_u64, 5, b'0'),
            (0x9, 5, b't'),
            (0x14, 6, b' '),
            (0x2d, 6, b'u'),
            (0x5c, 7, b':'),
            (0x7b, 7, b'z'),
            (0xf8, 8, b'&'),
            (0xfd, 8, b'Z'),
            (0x3f8, 10, b'!'),
            (0x3fc, 10, b'?'),
            (0x7fa, 11, b'\''),
            (0x7fc, 11, b'|'),
            (0xffa, 12, b'#'),
            (0x1ff8, 13, b'\0'),
            (0x1ffd, 13, b'~'),
            (0x3ffc, 14, b'^'),
            (0x7ffc, 15, b'<'),
            (0x7ffe, 15, b'{'),
        ] {
            let bits = code << (64 - len);
            let expected = (len as u32) << 8 | u32::from(byte);
            assert_eq!(symbol(bits), expected, "{}", char::from(byte));
            let filled = bits | u64::MAX >> len;
            assert_eq!(symbol(filled), expected, "{}", char::from(byte));
        }
        // The backslash, 0x7fff0 in 19 bits, and the end of text.
        assert_eq!(symbol(0x7fff0 << 45), 0);
        assert_eq!(symbol(u64::MAX), 0);
    }
}
