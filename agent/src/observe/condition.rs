//! Conditions on any field of an item: `duration_ns>100ms`, `operation~orders`, `error`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A condition on one field of an item, as its JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Condition {
    /// Dotted path, e.g. `client.service`.
    pub field: String,
    test: Test,
    /// What it is compared with; empty for [`Test::Set`] and [`Test::Unset`].
    wanted: String,
    /// The same as a number in the field's unit, if it is one.
    number: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    /// There is a value that is not false, empty or 0.
    Set,
    Unset,
    Is,
    IsNot,
    Has,
    HasNot,
    AtLeast,
    AtMost,
    Over,
    Under,
}

/// Tests by their signs, longer ones first.
const SIGNS: [(&str, Test); 8] = [
    ("!=", Test::IsNot),
    ("!~", Test::HasNot),
    (">=", Test::AtLeast),
    ("<=", Test::AtMost),
    ("=", Test::Is),
    ("~", Test::Has),
    (">", Test::Over),
    ("<", Test::Under),
];

/// What times in nanoseconds may be written in.
const TIMES: [(&str, f64); 6] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
];

/// What sizes in bytes may be written in.
const SIZES: [(&str, f64); 6] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
];

impl Condition {
    /// True if the item, in its JSON form, is as wanted. What is absent is neither more nor less
    /// than anything, and contains nothing.
    pub fn holds(&self, item: &Value) -> bool {
        let found = self.field.split('.').try_fold(item, |at, key| at.get(key));
        let value = found.unwrap_or(&Value::Null);
        match self.test {
            Test::Set => is_set(value),
            Test::Unset => !is_set(value),
            Test::Is => self.equals(value),
            Test::IsNot => !self.equals(value),
            Test::Has => self.is_in(value),
            Test::HasNot => !self.is_in(value),
            Test::AtLeast => self.compares(value, |found, wanted| found >= wanted),
            Test::AtMost => self.compares(value, |found, wanted| found <= wanted),
            Test::Over => self.compares(value, |found, wanted| found > wanted),
            Test::Under => self.compares(value, |found, wanted| found < wanted),
        }
    }

    fn equals(&self, value: &Value) -> bool {
        match value {
            Value::Null => self.wanted.is_empty(),
            Value::String(text) => *text == self.wanted,
            Value::Number(number) => number.as_f64() == self.number,
            Value::Bool(flag) => flag.to_string() == self.wanted,
            Value::Array(items) => items.iter().any(|item| self.equals(item)),
            Value::Object(_) => false,
        }
    }

    fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text.to_lowercase().contains(&self.wanted.to_lowercase()),
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            Value::Number(number) => number.to_string().contains(&self.wanted),
            _ => false,
        }
    }

    fn compares(&self, value: &Value, test: fn(f64, f64) -> bool) -> bool {
        match (value.as_f64(), self.number) {
            (Some(found), Some(wanted)) => test(found, wanted),
            _ => false,
        }
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(_) => true,
    }
}

/// A number with a unit that fits the field, in the field's own unit.
fn number(field: &str, text: &str) -> Option<f64> {
    let units: &[(&str, f64)] = if field.ends_with("_ns") {
        &TIMES
    } else if field.contains("bytes") {
        &SIZES
    } else {
        &[]
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | 'e'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let digits: f64 = digits.parse().ok()?;
    if unit.is_empty() {
        return Some(digits);
    }
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    Some(digits * factor)
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let (negated, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (field, rest) = rest.split_at(end);
        if field.is_empty() || (negated && !rest.is_empty()) {
            return Err(format!("`{text}`: {FORM}"));
        }
        let (test, wanted) = if rest.is_empty() {
            (if negated { Test::Unset } else { Test::Set }, "")
        } else {
            let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
            let (sign, test) = sign.ok_or_else(|| format!("`{text}`: {FORM}"))?;
            (*test, &rest[sign.len()..])
        };
        let number = number(field, wanted);
        let orders = matches!(
            test,
            Test::AtLeast | Test::AtMost | Test::Over | Test::Under
        );
        if orders && number.is_none() {
            return Err(format!("`{text}`: `{wanted}` is no number; {NUMBERS}"));
        }
        Ok(Self {
            field: field.to_owned(),
            test,
            wanted: wanted.to_owned(),
            number,
        })
    }
}

const FORM: &str = "write FIELD, !FIELD, or FIELD and one of = != ~ !~ > >= < <= with a value, \
                    like duration_ns>100ms or operation~orders";

const NUMBERS: &str = "times may end in ns, us, ms, s, m, sizes in kB, MB, GB, KiB, MiB, GiB";

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = SIGNS.iter().find(|(_, test)| *test == self.test);
        match (self.test, sign) {
            (Test::Unset, _) => write!(f, "!{}", self.field),
            (_, None) => f.write_str(&self.field),
            (_, Some((sign, _))) => write!(f, "{}{sign}{}", self.field, self.wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_field_can_be_asked_about() {
        let item = json!({
            "operation": "GET /Users/*", "status": 503, "duration_ns": 250_000_000, "tls": false,
            "client": {"service": "web"}, "request_bytes": 2048, "error": "503",
            "tls_handshake": {"alpn": ["h2", "http/1.1"]},
        });
        for (text, expected) in [
            ("operation=GET /Users/*", true),
            ("operation~users", true),
            ("operation!~users", false),
            ("client.service=web", true),
            ("client.service!=web", false),
            ("status=503", true),
            ("status>=500", true),
            ("status<500", false),
            ("duration_ns>100ms", true),
            ("duration_ns<0.2s", false),
            ("duration_ns<=250000us", true),
            ("request_bytes=2KiB", true),
            ("request_bytes>2kB", true),
            ("error", true),
            ("!error", false),
            ("path", false),
            ("!path", true),
            ("path=", true),
            ("path!=/x", true),
            ("path~x", false),
            ("path>1", false),
            ("tls", false),
            ("tls=false", true),
            ("tls_handshake.alpn=h2", true),
            ("tls_handshake.alpn~http", true),
            ("tls_handshake.alpn=h3", false),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition.holds(&item), expected, "{text}");
            assert_eq!(condition.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_form() {
        for (text, reason) in [
            ("", "write FIELD"),
            ("=x", "write FIELD"),
            ("status%5", "write FIELD"),
            ("!status=5", "write FIELD"),
            ("duration_ns>fast", "`fast` is no number"),
            ("status>5ms", "`5ms` is no number"),
            ("duration_ns>5KiB", "times may end in"),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
