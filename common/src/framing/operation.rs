//! Low-cardinality operation names from request targets.
//!
//! `/users/42/orders/a1b2?x=1` becomes `/users/*/orders/*`. The heuristic is fixed: a path
//! segment with a digit (other than a version such as `v2`) or longer than 24 bytes is `*`; the
//! query is cut off; at most 64 bytes count, and a longer path ends in `*`.
//! The operation key is the FNV-1a hash of exactly that text, so the kernel can compute it
//! without storing it and user space can check it.

use crate::{FNV_OFFSET, fnv1a_step};

/// Bytes of a target that count.
pub const MAX_TARGET_BYTES: usize = 64;

/// Longest path segment that is kept as it is.
const MAX_SEGMENT_BYTES: u64 = 24;

/// Walks a target byte by byte and hashes its normalised form.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    hash: u64,
    /// Hash before the current segment.
    before_segment: u64,
    /// Facts of the current segment in one word, see [`Segment`]; the kernel's caller launders
    /// it so that the verifier does not tell paths apart by it.
    pub segment: u64,
}

/// Length in bits 0–15, digits in bits 16–31, "begins with v" in bit 32.
struct Segment;

impl Segment {
    const DIGIT: u64 = 1 << 16;
    const V: u64 = 1 << 32;

    /// True if the segment becomes `*`.
    #[inline(always)]
    fn is_variable(segment: u64) -> bool {
        let len = segment & 0xffff;
        let digits = (segment >> 16) & 0xffff;
        let version = segment & Self::V != 0 && digits + 1 == len && len <= 3;
        (digits != 0 && !version) || len > MAX_SEGMENT_BYTES
    }

    /// The facts with one more byte.
    #[inline(always)]
    fn with(segment: u64, byte: u8) -> u64 {
        let digit = byte.is_ascii_digit() as u64 * Self::DIGIT;
        let v = (segment == 0 && byte == b'v') as u64 * Self::V;
        segment + 1 + digit + v
    }
}

impl Hasher {
    /// Before the first byte.
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            hash: FNV_OFFSET,
            before_segment: FNV_OFFSET,
            segment: 0,
        }
    }

    /// Takes one byte; false at the end of the path.
    #[inline(always)]
    pub fn push(&mut self, byte: u8) -> bool {
        if ends_path(byte) {
            return false;
        }
        if byte == b'/' {
            self.end_segment();
            self.hash = fnv1a_step(self.hash, byte);
            self.before_segment = self.hash;
            self.segment = 0;
            return true;
        }
        self.segment = Segment::with(self.segment, byte);
        self.hash = fnv1a_step(self.hash, byte);
        true
    }

    #[inline(always)]
    fn end_segment(&mut self) {
        if Segment::is_variable(self.segment) {
            self.hash = fnv1a_step(self.before_segment, b'*');
        }
    }

    /// The key; `cut` says that the path went on past [`MAX_TARGET_BYTES`].
    #[inline(always)]
    pub fn finish(mut self, cut: bool) -> u64 {
        if cut {
            self.hash = fnv1a_step(self.before_segment, b'*');
        } else {
            self.end_segment();
        }
        // 0 is kept for `_OTHER`.
        self.hash | (self.hash == 0) as u64
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Operation key of a request target (path with or without query).
pub fn op_hash(target: &[u8]) -> u64 {
    let mut hasher = Hasher::new();
    for byte in target.iter().take(MAX_TARGET_BYTES) {
        if !hasher.push(*byte) {
            return hasher.finish(false);
        }
    }
    hasher.finish(target.len() > MAX_TARGET_BYTES && !ends_path(target[MAX_TARGET_BYTES]))
}

#[inline(always)]
pub(in crate::framing) fn ends_path(byte: u8) -> bool {
    matches!(byte, b' ' | b'?' | b'#' | b'\r' | b'\n')
}

/// Writes the normalised form of a target and returns its length in bytes.
///
/// `stable hash of out[..len]` = [`op_hash`] of the same target.
pub fn normalise(target: &[u8], out: &mut [u8; MAX_TARGET_BYTES + 1]) -> usize {
    let path_len = target
        .iter()
        .position(|byte| ends_path(*byte))
        .unwrap_or(target.len());
    let path = &target[..path_len];
    let cut = path.len() > MAX_TARGET_BYTES;
    let path = &path[..path.len().min(MAX_TARGET_BYTES)];
    let mut len = 0;
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let facts = segment
            .iter()
            .fold(0, |facts, byte| Segment::with(facts, *byte));
        let variable = Segment::is_variable(facts);
        let text = if variable || (last && cut) {
            b"*"
        } else {
            segment
        };
        out[len..len + text.len()].copy_from_slice(text);
        len += text.len();
        if !last {
            out[len] = b'/';
            len += 1;
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected: &str) {
        let mut out = [0; MAX_TARGET_BYTES + 1];
        let len = normalise(target.as_bytes(), &mut out);
        assert_eq!(
            core::str::from_utf8(&out[..len]).unwrap(),
            expected,
            "{target}"
        );
        assert_eq!(
            op_hash(target.as_bytes()),
            crate::stable_hash(&out[..len]),
            "{target}"
        );
    }

    #[test]
    fn targets_become_operations() {
        check("/", "/");
        check("", "");
        check("*", "*");
        check("/users", "/users");
        check("/users/42", "/users/*");
        check("/users/42/orders/a1b2?x=1", "/users/*/orders/*");
        check("/api/v1/users/7/", "/api/v1/users/*/");
        check("/v12/x", "/v12/x");
        check("/v123/x", "/*/x");
        check("/vx1", "/*");
        check("/abcdefghijklmnopqrstuvwxyz", "/*");
        check("//a//1", "//a//*");
        check("/a b", "/a");
        check("/a%20b", "/*");
        check(
            "/static/aaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbb/cccccccccccccccccc/dddd",
            "/static/aaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbb/cccccccccccccccccc/*",
        );
    }

    #[test]
    fn the_limit_is_exact() {
        for len in 60..70 {
            let mut target = [b'a'; 70];
            target[0] = b'/';
            for at in (10..len).step_by(10) {
                target[at] = b'/';
            }
            let text = core::str::from_utf8(&target[..len]).unwrap();
            let mut out = [0; MAX_TARGET_BYTES + 1];
            let used = normalise(text.as_bytes(), &mut out);
            assert_eq!(
                op_hash(text.as_bytes()),
                crate::stable_hash(&out[..used]),
                "{len}"
            );
        }
    }
}
