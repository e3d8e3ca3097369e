//! Route templates: `/users/{id}`, `/v1/kv/{key...}`.
//!
//! A template is compared with the normalised path, which is all that the kernel tells paths apart
//! by, so that one kernel counter never belongs to two routes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use weir_common::framing::http1::{MAX_TARGET_BYTES, normalise};

/// One route of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

/// What may stand between two slashes. The order is that of preference: what says more comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Exactly this.
    Literal(String),
    /// `{name}`: any one segment.
    Any,
    /// `{name...}` at the end: the rest, of any depth.
    Rest,
}

impl Template {
    /// Reads a template. Errors: what is wrong with it and what to write, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text
            .strip_prefix('/')
            .ok_or_else(|| format!("`{text}` does not begin with `/`"))?;
        let mut segments = Vec::new();
        let mut parts = path.strip_suffix('/').unwrap_or(path).split('/').peekable();
        while let Some(part) = parts.next() {
            let segment = segment(part).map_err(|why| format!("`{text}`: {why}"))?;
            if segment == Segment::Rest && parts.peek().is_some() {
                return Err(format!("`{text}`: only the last segment can be `{part}`"));
            }
            segments.push(segment);
        }
        let template = Self {
            text: text.into(),
            segments,
        };
        if template.shortest() > MAX_TARGET_BYTES {
            return Err(format!(
                "`{text}` is longer than the {MAX_TARGET_BYTES} bytes of a path that count: end it \
                 with `{{rest...}}`"
            ));
        }
        Ok(template)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if a normalised path is one of this route; a slash at its end makes no difference.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut parts = path.split('/');
        for (index, segment) in self.segments.iter().enumerate() {
            let Some(part) = parts.next() else {
                return false;
            };
            let fits = match segment {
                Segment::Rest => return true,
                Segment::Any => !part.is_empty(),
                // The root is one empty segment.
                Segment::Literal(text) => part == text && (index == 0 || !part.is_empty()),
            };
            if !fits {
                return false;
            }
        }
        parts.next().is_none_or(str::is_empty) && parts.next().is_none()
    }

    /// True if it matches exactly what `other` matches.
    pub fn same_paths(&self, other: &Self) -> bool {
        self.segments == other.segments
    }

    /// What decides between templates that match the same path: the least wins.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let kind = |segment: &Segment| match segment {
            Segment::Literal(_) => 0_u8,
            Segment::Any => 1,
            Segment::Rest => 2,
        };
        self.segments.iter().map(kind).collect::<Vec<_>>()
    }

    /// Bytes of the shortest path that matches.
    fn shortest(&self) -> usize {
        let bytes = |segment: &Segment| match segment {
            Segment::Literal(text) => 1 + text.len(),
            Segment::Any => 2,
            Segment::Rest => 1,
        };
        self.segments.iter().map(bytes).sum()
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        !name.is_empty() && name.bytes().all(fits)
    };
    let inner = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(inner) = inner {
        let name = inner.strip_suffix("...");
        return match (is_name(name.unwrap_or(inner)), name) {
            (false, _) => Err(format!("`{part}` needs a name of letters and digits")),
            (true, Some(_)) => Ok(Segment::Rest),
            (true, None) => Ok(Segment::Any),
        };
    }
    if part.contains(['{', '}', '*', '?', '#', ' ']) {
        return Err(format!(
            "`{part}` is neither a plain word nor one `{{name}}`"
        ));
    }
    let mut out = [0; MAX_TARGET_BYTES + 1];
    let len = normalise(part.as_bytes(), &mut out);
    if &out[..len] != part.as_bytes() {
        return Err(format!(
            "segments with digits (other than v1 to v99) or of more than 24 bytes, like `{part}`, \
             are not told apart where requests are counted: write `{{name}}`"
        ));
    }
    Ok(Segment::Literal(part.into()))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_segment_by_segment() {
        for (template, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/users", "/users", true),
            ("/users", "/users/", true),
            ("/users/", "/users", true),
            ("/users", "/users//", false),
            ("/users", "/user", false),
            ("/users/{id}", "/users/*", true),
            ("/users/{id}", "/users/me", true),
            ("/users/{id}", "/users/", false),
            ("/users/{id}", "/users", false),
            ("/users/{id}", "/users/*/orders", false),
            ("/users/{id}/orders", "/users/*/orders", true),
            ("/users/{id}/orders", "/users/*/*", false),
            ("/v1/kv/{key...}", "/v1/kv/a", true),
            ("/v1/kv/{key...}", "/v1/kv/a/*/c", true),
            ("/v1/kv/{key...}", "/v1/kv/", true),
            ("/v1/kv/{key...}", "/v1/kv", false),
            ("/v1/kv/{key...}", "/v1/keys/a", false),
            ("/{all...}", "/", true),
            ("/users", "users", false),
            ("/users", "*", false),
        ] {
            let template_ = Template::parse(template).unwrap();
            assert_eq!(template_.matches(path), expected, "{template} {path}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for (template, reason) in [
            ("users", "does not begin with `/`"),
            ("", "does not begin with `/`"),
            ("/users/{id}.json", "neither a plain word"),
            ("/users/*", "neither a plain word"),
            ("/users/{}", "needs a name"),
            ("/users/{a b}", "needs a name"),
            ("/{all...}/more", "only the last segment"),
            ("/oauth2/token", "like `oauth2`"),
            ("/abcdefghijklmnopqrstuvwxyz", "more than 24 bytes"),
            (
                "/aaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbb/cccccccccccccccccccc/{id}",
                "longer than the 64 bytes",
            ),
        ] {
            let error = Template::parse(template).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }
}
