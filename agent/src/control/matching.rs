//! Which items of a live stream a filter lets through.
//!
//! A service is named by its name, `namespace/service`, or an address.

use crate::observe::model::{Exchange, Filter, FlowItem, VerdictItem};

/// An item that has two ends.
pub trait Matches {
    /// True if every field of the filter that is set agrees. `since_seconds` is not looked at:
    /// a live item is always new.
    fn matches(&self, filter: &Filter) -> bool;
}

/// Before everything: a live item is recent enough, whatever the filter says.
const EVER: f64 = f64::NEG_INFINITY;

impl Matches for Exchange {
    fn matches(&self, filter: &Filter) -> bool {
        filter.matches_exchange(self, EVER) && filter.agrees(self)
    }
}

impl Matches for FlowItem {
    fn matches(&self, filter: &Filter) -> bool {
        filter.matches_flow(self, EVER) && filter.agrees(self)
    }
}

impl Matches for VerdictItem {
    fn matches(&self, filter: &Filter) -> bool {
        filter.matches_verdict(self, EVER) && filter.agrees(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixture;

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
        assert!(
            filter(|f| f.since_seconds = Some(0.0)),
            "a live item is new"
        );
        let condition = |text: &str| {
            let conditions = vec![text.parse().expect("a condition")];
            exchange.matches(&Filter {
                conditions,
                ..Filter::default()
            })
        };
        assert!(condition("client.service=web"));
        assert!(!condition("client.service=api"));
    }
}
