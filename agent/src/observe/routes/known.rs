//! Routes of well-known APIs: service discovery by Consul and by Eureka.
//!
//! Only paths that are theirs alone are listed, one by one: `/v1/catalog/{...}` might as well be a
//! shop's.

/// Consul's HTTP API.
pub(super) const CONSUL: &[&str] = &[
    "/v1/kv/{key...}",
    "/v1/health/node/{node}",
    "/v1/health/checks/{service}",
    "/v1/health/service/{service}",
    "/v1/health/connect/{service}",
    "/v1/health/ingress/{service}",
    "/v1/health/state/{state}",
    "/v1/agent/members",
    "/v1/agent/self",
    "/v1/agent/metrics",
    "/v1/agent/monitor",
    "/v1/agent/host",
    "/v1/agent/reload",
    "/v1/agent/maintenance",
    "/v1/agent/leave",
    "/v1/agent/join/{address}",
    "/v1/agent/force-leave/{node}",
    "/v1/agent/token/{kind}",
    "/v1/agent/services",
    "/v1/agent/service/{id}",
    "/v1/agent/service/register",
    "/v1/agent/service/deregister/{id}",
    "/v1/agent/service/maintenance/{id}",
    "/v1/agent/health/service/name/{service}",
    "/v1/agent/health/service/id/{id}",
    "/v1/agent/checks",
    "/v1/agent/check/register",
    "/v1/agent/check/deregister/{check}",
    "/v1/agent/check/pass/{check}",
    "/v1/agent/check/warn/{check}",
    "/v1/agent/check/fail/{check}",
    "/v1/agent/check/update/{check}",
    "/v1/agent/connect/authorize",
    "/v1/agent/connect/ca/roots",
    "/v1/agent/connect/ca/leaf/{service}",
    "/v1/catalog/register",
    "/v1/catalog/deregister",
    "/v1/catalog/datacenters",
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/service/{service}",
    "/v1/catalog/connect/{service}",
    "/v1/catalog/node/{node}",
    "/v1/catalog/node-services/{node}",
    "/v1/catalog/gateway-services/{gateway}",
    "/v1/session/create",
    "/v1/session/destroy/{session}",
    "/v1/session/info/{session}",
    "/v1/session/node/{node}",
    "/v1/session/list",
    "/v1/session/renew/{session}",
    "/v1/event/fire/{event}",
    "/v1/event/list",
    "/v1/coordinate/datacenters",
    "/v1/coordinate/nodes",
    "/v1/coordinate/node/{node}",
    "/v1/config/{kind}/{name}",
    "/v1/connect/ca/roots",
    "/v1/connect/ca/configuration",
    "/v1/connect/intentions",
    "/v1/connect/intentions/exact",
    "/v1/connect/intentions/match",
    "/v1/connect/intentions/check",
    "/v1/connect/intentions/{id}",
    "/v1/internal/ui/services",
    "/v1/internal/ui/nodes",
    "/v1/internal/ui/node/{node}",
    "/v1/status/leader",
    "/v1/status/peers",
    "/v1/operator/raft/configuration",
    "/v1/operator/raft/peer",
    "/v1/operator/autopilot/configuration",
    "/v1/operator/autopilot/health",
    "/v1/acl/bootstrap",
    "/v1/acl/login",
    "/v1/acl/logout",
    "/v1/acl/token",
    "/v1/acl/token/{accessor}",
    "/v1/acl/token/self",
    "/v1/acl/tokens",
    "/v1/acl/policy",
    "/v1/acl/policy/{id}",
    "/v1/acl/policies",
    "/v1/query",
    "/v1/query/{query}",
    "/v1/query/{query}/execute",
    "/v1/query/{query}/explain",
    "/v1/txn",
    "/v1/snapshot",
];

/// Eureka's REST operations below `/eureka` and `/eureka/v2`.
pub(super) const EUREKA: &[&str] = &[
    "/apps",
    "/apps/delta",
    "/apps/{app}",
    "/apps/{app}/{instance}",
    "/apps/{app}/{instance}/status",
    "/apps/{app}/{instance}/metadata",
    "/instances/{instance}",
    "/vips/{vip}",
    "/svips/{svip}",
];

/// Where Eureka's operations may begin.
pub(super) const EUREKA_ROOTS: [&str; 2] = ["/eureka", "/eureka/v2"];

/// True if a request is one of Consul's blocking queries: it waits until what it asks for changes
/// from the state that `index` names, so that its duration is no latency.
pub fn is_blocking(method: Option<&str>, route: &str, target: &[u8]) -> bool {
    let Some(start) = target.iter().position(|byte| *byte == b'?') else {
        return false;
    };
    if method != Some("GET") || !CONSUL.contains(&route) {
        return false;
    }
    let query = &target[start + 1..];
    let query = query.split(|byte| *byte == b'#').next().unwrap_or(query);
    query
        .split(|byte| *byte == b'&')
        .filter_map(|pair| pair.strip_prefix(b"index="))
        // Index 0 answers at once.
        .any(|value| value.iter().any(|byte| matches!(byte, b'1'..=b'9')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocking_query_names_a_state() {
        for (method, route, target, expected) in [
            ("GET", "/v1/kv/{key...}", "/v1/kv/a?index=7", true),
            (
                "GET",
                "/v1/kv/{key...}",
                "/v1/kv/a?dc=x&index=10&wait=5s",
                true,
            ),
            ("GET", "/v1/kv/{key...}", "/v1/kv/a?index=0", false),
            ("GET", "/v1/kv/{key...}", "/v1/kv/a?index=", false),
            ("GET", "/v1/kv/{key...}", "/v1/kv/a?reindex=7", false),
            ("GET", "/v1/kv/{key...}", "/v1/kv/index=7", false),
            ("PUT", "/v1/kv/{key...}", "/v1/kv/a?index=7", false),
            ("GET", "/pages/{page}", "/pages/a?index=7", false),
        ] {
            let got = is_blocking(Some(method), route, target.as_bytes());
            assert_eq!(got, expected, "{method} {target}");
        }
    }
}
