//! The one place that knows how the framer names things.

/// Request methods as the framer codes them.
pub mod method {
    /// Name of a method code.
    pub fn name(code: u8) -> &'static str {
        match code {
            1 => "GET",
            2 => "HEAD",
            3 => "POST",
            4 => "PUT",
            5 => "DELETE",
            6 => "CONNECT",
            7 => "OPTIONS",
            8 => "TRACE",
            9 => "PATCH",
            _ => "_OTHER",
        }
    }
}
// Low-cardinality operation names from request targets.
//
// `/users/42/orders/a1b2?x=1` becomes `/users/*/orders/*`. The heuristic is fixed: a path
// segment with a digit (other than a version such as `v2`) or longer than 24 bytes is `*`; the
// query is cut off; at most 64 bytes count, and a longer path ends in `*`.
// The operation key is the FNV-1a hash of exactly that text, so the kernel can compute it
// without storing it and user space can check it.

use weir_common::{FNV_OFFSET, fnv1a_step};

/// Bytes of a target that count.
pub const MAX_TARGET_BYTES: usize = 64;

/// Longest path segment that is kept as it is.
const MAX_SEGMENT_BYTES: u32 = 24;

/// Walks a target byte by byte and hashes its normalised form.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    hash: u64,
    /// Hash before the current segment.
    before_segment: u64,
    segment_len: u32,
    digits: u32,
    starts_with_v: bool,
}

/// What a segment becomes when it ends.
#[inline(always)]
fn is_variable(segment_len: u32, digits: u32, starts_with_v: bool) -> bool {
    let version = starts_with_v && digits + 1 == segment_len && segment_len <= 3;
    (digits != 0 && !version) || segment_len > MAX_SEGMENT_BYTES
}

impl Hasher {
    /// Before the first byte.
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            hash: FNV_OFFSET,
            before_segment: FNV_OFFSET,
            segment_len: 0,
            digits: 0,
            starts_with_v: false,
        }
    }

    /// Takes one byte; false at the end of the path.
    #[inline(always)]
    pub fn push(&mut self, byte: u8) -> bool {
        if byte == b' ' || byte == b'?' || byte == b'#' || byte == b'\r' || byte == b'\n' {
            return false;
        }
        if byte == b'/' {
            self.end_segment();
            self.hash = fnv1a_step(self.hash, byte);
            self.before_segment = self.hash;
            self.segment_len = 0;
            self.digits = 0;
            self.starts_with_v = false;
            return true;
        }
        if byte.is_ascii_digit() {
            self.digits += 1;
        }
        if self.segment_len == 0 {
            self.starts_with_v = byte == b'v';
        }
        self.segment_len += 1;
        self.hash = fnv1a_step(self.hash, byte);
        true
    }

    #[inline(always)]
    fn end_segment(&mut self) {
        if is_variable(self.segment_len, self.digits, self.starts_with_v) {
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

fn ends_path(byte: u8) -> bool {
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
        let digits = segment.iter().filter(|byte| byte.is_ascii_digit()).count() as u32;
        let starts_with_v = segment.first() == Some(&b'v');
        let variable = is_variable(segment.len() as u32, digits, starts_with_v);
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
