//! What the first bytes of an HTTP/1 request tell, also when they are cut off.

use weir_common::event::HEAD_BYTES;

use super::trace::{TraceParent, parse_traceparent};

/// Headers looked at; a head of [`HEAD_BYTES`] cannot hold more.
const MAX_HEADERS: usize = HEAD_BYTES / 4;

/// What is taken from a request head; the rest is dropped (no payload leaves the host).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// Request target as sent, empty if not even that is there.
    pub target: &'a [u8],
    /// Trace context of the caller.
    pub traceparent: Option<TraceParent>,
}

/// Reads a request head of at most [`HEAD_BYTES`] bytes; `None` if it does not begin like one.
pub fn parse_head(head: &[u8]) -> Option<RequestHead<'_>> {
    let target = target(head)?;
    Some(RequestHead {
        target,
        traceparent: traceparent(head),
    })
}

/// The word after the method, up to the end of what is there.
fn target(head: &[u8]) -> Option<&[u8]> {
    let start = head
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let line = &head[start..];
    let line = &line[..line
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))
        .unwrap_or(line.len())];
    let method_len = line.iter().position(|byte| *byte == b' ')?;
    let is_token = method_len > 0 && line[..method_len].iter().all(u8::is_ascii_graphic);
    if !is_token {
        return None;
    }
    let rest = &line[method_len + 1..];
    let end = rest.iter().position(|byte| *byte == b' ');
    Some(&rest[..end.unwrap_or(rest.len())])
}

/// The `traceparent` among the headers that are there whole. A request that carries more than
/// one has no valid context.
fn traceparent(head: &[u8]) -> Option<TraceParent> {
    // httparse yields headers only for a head that ends, so a cut one is ended after its last
    // whole line.
    let mut whole = [0; HEAD_BYTES + 2];
    let head = &head[..head.len().min(HEAD_BYTES)];
    let lines = head.iter().rposition(|byte| *byte == b'\n')? + 1;
    whole[..lines].copy_from_slice(&head[..lines]);
    whole[lines..lines + 2].copy_from_slice(b"\r\n");
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&whole[..lines + 2]).ok()?;
    let mut found = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("traceparent"));
    let first = found.next()?;
    if found.next().is_some() {
        return None;
    }
    parse_traceparent(first.value.trim_ascii())
}

/// Path of a target without query and fragment; scheme and authority of the absolute form are
/// cut off as well. Bytes that are not UTF-8 are replaced.
pub fn path_of(target: &[u8]) -> String {
    let end = target
        .iter()
        .position(|byte| matches!(byte, b'?' | b'#'))
        .unwrap_or(target.len());
    let text = String::from_utf8_lossy(&target[..end]);
    match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let path = rest.find('/').map_or("/", |at| &rest[at..]);
            path.to_owned()
        }
        _ => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn check(head: &str, target: Option<&str>, has_parent: bool) {
        let parsed = parse_head(head.as_bytes());
        assert_eq!(
            parsed.as_ref().map(|head| head.target),
            target.map(str::as_bytes),
            "{head:?}"
        );
        let parent = parsed.and_then(|head| head.traceparent);
        assert_eq!(parent.is_some(), has_parent, "{head:?}");
    }

    #[test]
    fn heads_whole_and_cut() {
        let full = format!("GET /a?b=1 HTTP/1.1\r\nHost: x\r\ntraceparent: {PARENT}\r\n\r\n");
        check(&full, Some("/a?b=1"), true);
        check(&full[..full.len() - 2], Some("/a?b=1"), true);
        // Without its line end the value might go on, so it does not count.
        check(&full[..full.len() - 4], Some("/a?b=1"), false);
        check(&full[..25], Some("/a?b=1"), false);
        check(&full[..7], Some("/a?"), false);
        check(&full[..4], Some(""), false);
        check("GET", None, false);
        check("", None, false);
        check("\r\n\r\nPOST /x HTTP/1.0\r\n\r\n", Some("/x"), false);
        check("\u{1}\u{2} /x HTTP/1.1\r\n", None, false);
    }

    #[test]
    fn odd_headers_do_not_invent_a_context() {
        for (headers, expected) in [
            (format!("TraceParent:   {PARENT}  \r\n"), true),
            (format!("traceparent: {PARENT}\ntracestate: a=b\n"), true),
            (
                format!("traceparent: {PARENT}\r\nTRACEPARENT: {PARENT}\r\n"),
                false,
            ),
            (format!("x-traceparent: {PARENT}\r\n"), false),
            (format!("traceparent: {PARENT}-more\r\n"), false),
            (
                format!("bad header line\r\ntraceparent: {PARENT}\r\n"),
                false,
            ),
        ] {
            check(
                &format!("GET / HTTP/1.1\r\n{headers}\r\n"),
                Some("/"),
                expected,
            );
        }
    }

    #[test]
    fn any_cut_is_a_value_not_a_panic() {
        let long = format!(
            "GET /{} HTTP/1.1\r\n{}",
            "p/".repeat(100),
            "a: b\r\n".repeat(60)
        );
        for cut in 0..long.len() {
            let _ = parse_head(&long.as_bytes()[..cut.min(HEAD_BYTES)]);
        }
        let _ = parse_head(&[0xff; HEAD_BYTES]);
        let _ = parse_head(&[b'\n'; HEAD_BYTES]);
    }

    #[test]
    fn paths_lose_query_and_authority() {
        for (target, expected) in [
            ("/a/b?c=/d", "/a/b"),
            ("/a#b", "/a"),
            ("http://host:80/a?b", "/a"),
            ("http://host", "/"),
            ("/go?to=http://x/y", "/go"),
            ("/a://b", "/a://b"),
            ("*", "*"),
            ("host:443", "host:443"),
            ("", ""),
        ] {
            assert_eq!(path_of(target.as_bytes()), expected, "{target}");
        }
    }
}
