//! Which items of a live stream a filter lets through.
//!
//! A service is named by its name, `namespace/service`, or an address.

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
            && unset_or(&filter.protocol, |wanted| wanted == self.protocol)
            && unset_or(&filter.verdict, |wanted| wanted == self.verdict)
            && unset_or(&filter.status, |wanted| {
                status(wanted, self.status.unwrap_or(0))
            })
    }
}

impl Matches for FlowItem {
    fn matches(&self, filter: &Filter) -> bool {
        ends_match(filter, &self.client, &self.server)
            && unset_or(&filter.protocol, |wanted| wanted == self.protocol)
    }
}

impl Matches for VerdictItem {
    fn matches(&self, filter: &Filter) -> bool {
        ends_match(filter, &self.client, &self.server)
            && unset_or(&filter.protocol, |wanted| wanted == self.transport)
            && unset_or(&filter.verdict, |wanted| wanted == self.verdict)
    }
}

fn unset_or(field: &Option<String>, test: impl Fn(&str) -> bool) -> bool {
    field.as_deref().is_none_or(test)
}

fn ends_match(filter: &Filter, client: &Endpoint, server: &Endpoint) -> bool {
    unset_or(&filter.from, |wanted| is_called(wanted, client))
        && unset_or(&filter.to, |wanted| is_called(wanted, server))
        && unset_or(&filter.service, |wanted| {
            is_called(wanted, client) || is_called(wanted, server)
        })
}

fn is_called(wanted: &str, end: &Endpoint) -> bool {
    if wanted == end.service || wanted == end.addr {
        return true;
    }
    match (wanted.split_once('/'), &end.namespace) {
        (Some((namespace, service)), Some(own)) => namespace == own && service == end.service,
        _ => false,
    }
}

/// `404` exactly, `5xx` for the class, `none` for no response.
fn status(wanted: &str, code: u16) -> bool {
    match wanted.strip_suffix("xx") {
        Some(class) => code != 0 && class.parse() == Ok(code / 100),
        None if wanted == "none" => code == 0,
        None => wanted.parse() == Ok(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixture;

    #[test]
    fn statuses() {
        for (wanted, code, expected) in [
            ("404", 404, true),
            ("404", 403, false),
            ("5xx", 503, true),
            ("5xx", 499, false),
            ("0xx", 0, false),
            ("none", 0, true),
            ("none", 200, false),
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
        assert!(filter(|f| f.to = Some("10.0.0.2:8080".into())));
        assert!(filter(|f| f.status = Some("2xx".into())));
        assert!(!filter(|f| f.protocol = Some("tcp".into())));
    }
}
