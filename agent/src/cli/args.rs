//! Flags that several commands share.

use clap::{Args, ValueEnum};

use crate::observe::{condition::Condition, model::Filter, protocol::name};

/// Form of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people
    #[default]
    Table,
    /// The same with every column
    Wide,
    /// One document: {v, completeness, lost, items}
    Json,
    /// One item a line
    Jsonl,
    /// Comma-separated, in base units
    Csv,
}

/// How to print.
#[derive(Args, Clone, Copy, Debug)]
pub struct Output {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub output: Format,
    /// Leave out the heading of tables and CSV
    #[arg(long)]
    pub no_headers: bool,
}

/// Which items.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Filters (all that are given must match)")]
pub struct Filters {
    /// Only what was seen within this time: 10s, 5m, 24h, 1h30m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub since: Option<f64>,
    /// Client: a service, `namespace/service`, or an address
    #[arg(long, value_name = "WHO")]
    pub from: Option<String>,
    /// Server: the same
    #[arg(long, value_name = "WHOM")]
    pub to: Option<String>,
    /// Client or server: the same
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// Protocol: http, postgresql, tls, tcp, …
    #[arg(long, value_parser = protocol)]
    pub protocol: Option<String>,
    /// Status: 404, a class like 5xx, or `none` for no response
    #[arg(long, value_parser = status)]
    pub status: Option<String>,
    /// Verdict: allow, deny, audit
    #[arg(long, value_parser = ["allow", "deny", "audit"])]
    pub verdict: Option<String>,
    /// Any field of the JSON: 'duration_ns>100ms', 'operation~orders', error, '!path'; may be given
    /// several times
    #[arg(long = "where", value_name = "CONDITION")]
    pub conditions: Vec<Condition>,
}

impl From<Filters> for Filter {
    fn from(filters: Filters) -> Self {
        Self {
            since_seconds: filters.since,
            from: filters.from,
            to: filters.to,
            service: filters.service,
            protocol: filters.protocol,
            status: filters.status,
            verdict: filters.verdict,
            conditions: filters.conditions,
        }
    }
}

/// A list, once or followed.
#[derive(Args, Clone, Debug)]
pub struct List {
    #[command(flatten)]
    pub output: Output,
    /// Go on until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// End after this time: 10s, 5m
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub duration: Option<f64>,
    #[command(flatten)]
    pub filters: Filters,
}

/// Reads a time like `10s`, `5m`, `24h`, `1h30m`, `500ms`, `2d`; a bare number is seconds.
pub fn seconds(text: &str) -> Result<f64, String> {
    let form = "write it like 10s, 5m, 24h or 1h30m";
    if let Ok(seconds) = text.parse::<f64>() {
        return match seconds.is_finite() && seconds >= 0.0 {
            true => Ok(seconds),
            false => Err(form.into()),
        };
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| form.to_owned())?;
        let unit = &rest[digits..];
        let end = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(form.into()),
        };
        total += number * factor;
        rest = &unit[end..];
    }
    Ok(total)
}

fn status(text: &str) -> Result<String, String> {
    let class = text.to_ascii_lowercase();
    let known = matches!(
        class.as_str(),
        "none" | "1xx" | "2xx" | "3xx" | "4xx" | "5xx"
    );
    if known
        || text
            .parse::<u16>()
            .is_ok_and(|code| (1..1000).contains(&code))
    {
        return Ok(class);
    }
    let forms = "write a code like 404, a class like 5xx, or none for no response";
    Err(format!(
        "{forms}; what failed, whatever its protocol, is `--where error`"
    ))
}

/// A protocol as answers name it. Another word would wait for ever for what cannot come.
fn protocol(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let mut names: Vec<&str> = (0..=u8::MAX).map(name).chain(["udp"]).collect();
    names.sort_unstable();
    names.dedup();
    if names.contains(&text.as_str()) {
        return Ok(text);
    }
    Err(format!("weir knows {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn protocols_are_those_of_answers() {
        for known in ["http", "postgresql", "PostgreSQL", "tcp", "dns", "udp"] {
            assert_eq!(super::protocol(known), Ok(known.to_ascii_lowercase()));
        }
        let told = super::protocol("postgress").unwrap_err();
        assert!(told.contains("postgresql, redis, tcp"), "{told}");
    }

    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("10s", Some(10.0)),
            ("5m", Some(300.0)),
            ("1h30m", Some(5400.0)),
            ("1.5h", Some(5400.0)),
            ("500ms", Some(0.5)),
            ("2d", Some(172_800.0)),
            ("30", Some(30.0)),
            ("", Some(0.0)),
            ("h", None),
            ("10x", None),
            ("-5s", None),
            ("-5", None),
            ("inf", None),
            ("1..2s", None),
        ] {
            let expected = if text.is_empty() {
                None.or(expected)
            } else {
                expected
            };
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn statuses() {
        for (text, ok) in [
            ("none", true),
            ("0", false),
            ("404", true),
            ("5xx", true),
            ("5XX", true),
            ("6xx", false),
            ("x", false),
        ] {
            assert_eq!(status(text).is_ok(), ok, "{text}");
        }
    }
}
