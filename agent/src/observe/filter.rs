//! Which items an answer holds.

use serde::Serialize;

use super::{
    exchange::UNANSWERED,
    model::{EdgeState, Endpoint, Exchange, Filter, FlowItem, VerdictItem},
};

impl Filter {
    /// True for exchanges that match at `now` (unix seconds).
    pub fn matches_exchange(&self, exchange: &Exchange, now: f64) -> bool {
        self.is_recent(exchange.ts, now)
            && self.matches_ends(&exchange.client, &exchange.server)
            && equals(&self.protocol, &exchange.protocol)
            && self.matches_status(status_of(exchange))
            && equals(&self.verdict, &exchange.verdict)
    }

    /// True for edges that match. The status is not asked here: it selects operations.
    pub fn matches_edge(&self, edge: &EdgeState, now: f64) -> bool {
        self.is_recent(edge.last_seen_ns as f64 / 1e9, now)
            && self.matches_ends(&edge.client, &edge.server)
            && equals(&self.protocol, &edge.protocol)
    }

    /// True for connections that match. A live one is as recent as can be.
    pub fn matches_flow(&self, flow: &FlowItem, now: f64) -> bool {
        let is_over = matches!(flow.event.as_str(), "close" | "failed");
        (!is_over || self.is_recent(flow.ts, now))
            && self.matches_ends(&flow.client, &flow.server)
            && equals(&self.protocol, &flow.protocol)
    }

    /// True for verdicts that match. The protocol is the transport.
    pub fn matches_verdict(&self, item: &VerdictItem, now: f64) -> bool {
        self.is_recent(item.ts, now)
            && self.matches_ends(&item.client, &item.server)
            && equals(&self.protocol, &item.transport)
            && equals(&self.verdict, &item.verdict)
    }

    /// True for both ends of something.
    pub fn matches_ends(&self, client: &Endpoint, server: &Endpoint) -> bool {
        is_called(&self.from, client)
            && is_called(&self.to, server)
            && (is_called(&self.service, client) || is_called(&self.service, server))
    }

    /// True for a status code; 0 is "no response" and is written `none`.
    pub fn matches_status(&self, status: u16) -> bool {
        let Some(wanted) = &self.status else {
            return true;
        };
        let class = wanted
            .strip_suffix("xx")
            .and_then(|c| c.parse::<u16>().ok());
        match (class, wanted.parse::<u16>()) {
            (Some(class), _) => status / 100 == class && status != 0,
            (None, Ok(code)) => status == code,
            (None, Err(_)) => wanted == "none" && status == 0,
        }
    }

    /// True if the item's JSON is as all conditions want it.
    pub fn agrees<T: Serialize>(&self, item: &T) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        let value = serde_json::to_value(item).unwrap_or_default();
        self.conditions
            .iter()
            .all(|condition| condition.holds(&value))
    }

    fn is_recent(&self, ts: f64, now: f64) -> bool {
        self.since_seconds.is_none_or(|since| ts >= now - since)
    }
}

/// 0 for an exchange without a response; of protocols without status codes a number that is none.
fn status_of(exchange: &Exchange) -> u16 {
    let unanswered = exchange.error.as_deref() == Some(UNANSWERED);
    exchange.status.unwrap_or(u16::from(!unanswered))
}

/// True if the endpoint has this service name, `namespace/service`, or address.
fn is_called(wanted: &Option<String>, end: &Endpoint) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    if *wanted == end.service || *wanted == end.addr {
        return true;
    }
    match (wanted.split_once('/'), &end.namespace) {
        (Some((namespace, service)), Some(own)) => namespace == own && service == end.service,
        _ => false,
    }
}

fn equals(wanted: &Option<String>, value: &str) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::model::WorkloadKind;

    fn end(service: &str, namespace: Option<&str>) -> Endpoint {
        Endpoint {
            service: service.into(),
            namespace: namespace.map(Into::into),
            kind: WorkloadKind::Process,
            instance: None,
            addr: format!("addr-of-{service}"),
        }
    }

    #[test]
    fn status_codes_and_classes() {
        for (wanted, status, expected) in [
            (None, 0, true),
            (Some("404"), 404, true),
            (Some("404"), 403, false),
            (Some("5xx"), 503, true),
            (Some("5xx"), 404, false),
            (Some("0xx"), 0, false),
            (Some("none"), 0, true),
            (Some("none"), 200, false),
            (Some("xx"), 200, false),
            (Some("teapot"), 418, false),
        ] {
            let filter = Filter {
                status: wanted.map(Into::into),
                ..Filter::default()
            };
            assert_eq!(
                filter.matches_status(status),
                expected,
                "{wanted:?} {status}"
            );
        }
    }

    #[test]
    fn ends_by_service_namespace_and_address() {
        let (web, db) = (end("web", None), end("db", Some("shop")));
        let text = |value: &str| Some(value.to_owned());
        for (from, to, service, expected) in [
            (None, None, None, true),
            (text("web"), None, None, true),
            (text("db"), None, None, false),
            (text("web"), text("shop/db"), None, true),
            (text("web"), text("other/db"), None, false),
            (None, None, text("db"), true),
            (None, None, text("web"), true),
            (None, None, text("cache"), false),
            (None, text("addr-of-db"), None, true),
        ] {
            let filter = Filter {
                from,
                to,
                service,
                ..Filter::default()
            };
            assert_eq!(filter.matches_ends(&web, &db), expected, "{filter:?}");
        }
    }

    #[test]
    fn since_looks_back_from_now() {
        let filter = Filter {
            since_seconds: Some(10.0),
            ..Filter::default()
        };
        for (ts, expected) in [(100.0, true), (90.0, true), (89.9, false)] {
            assert_eq!(filter.is_recent(ts, 100.0), expected);
        }
    }
}
