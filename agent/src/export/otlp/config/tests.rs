use super::*;

fn resolve(config: &OtlpConfig, variables: &[(&str, &str)]) -> Result<Targets, ConfigError> {
    config.resolve(&|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn at(endpoint: &str) -> OtlpConfig {
    OtlpConfig {
        endpoint: Some(endpoint.to_owned()),
        ..OtlpConfig::default()
    }
}

fn urls(targets: &Targets) -> [String; 2] {
    [&targets.traces, &targets.metrics].map(|target| match target {
        None => "off".to_owned(),
        Some(target) => match target.protocol {
            Protocol::Grpc => format!("grpc {}", target.uri),
            Protocol::HttpProtobuf => target.uri.to_string(),
        },
    })
}

#[test]
fn endpoints_follow_the_specification() {
    let check = |config: &OtlpConfig, variables: &[(&str, &str)], expected: [&str; 2]| {
        assert_eq!(urls(&resolve(config, variables).expect("valid")), expected);
    };
    let none = OtlpConfig::default();
    check(&none, &[], ["off", "off"]);
    check(
        &at("http://c:4317"),
        &[],
        ["grpc http://c:4317/", "grpc http://c:4317/"],
    );
    check(
        &at("http://c:4318"),
        &[],
        ["http://c:4318/v1/traces", "http://c:4318/v1/metrics"],
    );
    check(
        &none,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/base/")],
        ["https://c/base/v1/traces", "https://c/base/v1/metrics"],
    );
    check(
        &none,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/own"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "m:2"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
        ],
        ["http://t:1/own", "grpc http://m:2/"],
    );
    check(
        &none,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "m:2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ],
        ["off", "grpc https://m:2/"],
    );
    check(
        &at("http://flag:4318"),
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://env:1")],
        ["http://flag:4318/v1/traces", "http://flag:4318/v1/metrics"],
    );
}

#[test]
fn other_settings_are_taken_per_signal_first() {
    let targets = resolve(
        &at("https://c:4317"),
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%2Cc,Tenant = x"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "only=traces"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"),
        ],
    )
    .expect("valid");
    let (traces, metrics) = (targets.traces.expect("on"), targets.metrics.expect("on"));
    assert_eq!(traces.headers["only"], "traces");
    assert_eq!(traces.headers.len(), 1);
    assert_eq!(metrics.headers["api-key"], "a b,c");
    assert_eq!(metrics.headers["tenant"], "x");
    assert_eq!(traces.timeout, Duration::from_millis(2500));
    assert!(!traces.gzip && metrics.gzip && traces.is_tls());
    assert_eq!(traces.certificate, Some("/ca.pem".into()));
    assert_eq!(metrics.identity, Some(("/c.pem".into(), "/k.pem".into())));
}

#[test]
fn refusals_name_the_setting_and_the_remedy() {
    let check = |config: &OtlpConfig, variables: &[(&str, &str)], expected: &str| {
        let error = resolve(config, variables).expect_err("refused").to_string();
        assert_eq!(error, expected);
    };
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    let none = OtlpConfig::default();
    check(
        &at("collector:4318"),
        &[],
        "OTLP endpoint `collector:4318`: needs a scheme: http:// or https://",
    );
    check(
        &at("ftp://c"),
        &[],
        "OTLP endpoint `ftp://c`: must be http://HOST:PORT or https://HOST:PORT",
    );
    check(
        &none,
        &[base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
        "OTLP OTEL_EXPORTER_OTLP_PROTOCOL `http/json`: use `grpc` or `http/protobuf`",
    );
    check(
        &none,
        &[base, ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s")],
        "OTLP OTEL_EXPORTER_OTLP_TRACES_TIMEOUT `10s`: use milliseconds, at least 1",
    );
    check(
        &none,
        &[base, ("OTEL_EXPORTER_OTLP_HEADERS", "key=%zzsecret")],
        "OTLP OTEL_EXPORTER_OTLP_HEADERS `key`: use name=value,name2=value2 with percent-encoded values",
    );
    check(
        &none,
        &[base, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem")],
        "OTLP client certificate and key `/k.pem`: give both or neither",
    );
}
