//! Which items of a live stream a filter lets through.
//!
//! Names match exactly or, where the filter holds `*`, as a pattern; `namespace/service` is
//! understood too.

use crate::observe::model::{Endpoint, Exchange, Filter, FlowItem, VerdictItem};

/// An item that has two ends.
pub trait Matches {
    /// True if every field of the filter that is set agrees. `since_seconds` is not looked at:
    /// a live item is always new.
    fn matches(&self, filter: &Filter) -> bool;
}

impl Matches for Exchange {
    fn matches(&self, filter: &Filter) -> bool {
        ends_match(filter, &self.client, &self.server)
            && unset_or(&filter.protocol, |wanted| pattern(wanted, &self.protocol))
            && unset_or(&filter.verdict, |wanted| pattern(wanted, &self.verdict))
            && unset_or(&filter.status, |wanted| {
                status(wanted, self.status.unwrap_or(0))
            })
    }
}

impl Matches for FlowItem {
    fn matches(&self, filter: &Filter) -> bool {
        ends_match(filter, &self.client, &self.server)
            && unset_or(&filter.protocol, |wanted| pattern(wanted, &self.protocol))
    }
}

impl Matches for VerdictItem {
    fn matches(&self, filter: &Filter) -> bool {
        ends_match(filter, &self.client, &self.server)
            && unset_or(&filter.protocol, |wanted| pattern(wanted, &self.transport))
            && unset_or(&filter.verdict, |wanted| pattern(wanted, &self.verdict))
    }
}

fn unset_or(field: &Option<String>, test: impl Fn(&str) -> bool) -> bool {
    field.as_deref().is_none_or(test)
}

fn ends_match(filter: &Filter, client: &Endpoint, server: &Endpoint) -> bool {
    unset_or(&filter.from, |wanted| end(wanted, client))
        && unset_or(&filter.to, |wanted| end(wanted, server))
        && unset_or(&filter.service, |wanted| {
            end(wanted, client) || end(wanted, server)
        })
}

fn end(wanted: &str, endpoint: &Endpoint) -> bool {
    if pattern(wanted, &endpoint.service) {
        return true;
    }
    let (Some((namespace, service)), Some(own)) = (wanted.split_once('/'), &endpoint.namespace)
    else {
        return false;
    };
    pattern(namespace, own) && pattern(service, &endpoint.service)
}

/// `404` exactly, or `5xx` for the class.
fn status(wanted: &str, code: u16) -> bool {
    match wanted.to_ascii_lowercase().strip_suffix("xx") {
        Some(class) => class.parse() == Ok(code / 100),
        None => wanted.parse() == Ok(code),
    }
}

/// Equality, or with `*` for any text. Linear: `*` is matched greedily with one way back.
fn pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixture;

    #[test]
    fn patterns() {
        for (wanted, text, expected) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("web*", "web-1", true),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("", "x", false),
        ] {
            assert_eq!(pattern(wanted, text), expected, "{wanted} {text}");
        }
    }

    #[test]
    fn statuses() {
        for (wanted, code, expected) in [
            ("404", 404, true),
            ("404", 403, false),
            ("5xx", 503, true),
            ("5XX", 499, false),
            ("0", 0, true),
            ("xx", 200, false),
        ] {
            assert_eq!(status(wanted, code), expected, "{wanted} {code}");
        }
    }

    #[test]
    fn ends_match_by_name_side_and_namespace() {
        let exchange = fixture::exchange(7);
        let filter = |set: fn(&mut Filter)| {
            let mut filter = Filter::default();
            set(&mut filter);
            exchange.matches(&filter)
        };
        assert!(filter(|f| f.from = Some("web".into())));
        assert!(!filter(|f| f.from = Some("api".into())));
        assert!(filter(|f| f.service = Some("api".into())));
        assert!(filter(|f| f.to = Some("shop/api".into())));
        assert!(!filter(|f| f.to = Some("bank/api".into())));
        assert!(filter(|f| f.status = Some("2xx".into())));
        assert!(!filter(|f| f.protocol = Some("tcp".into())));
    }
}
