//! CSV: the JSON paths of an item as columns, values in base units.

use serde::Serialize;
use serde_json::Value;

/// Header line for `paths` (dotted JSON paths, e.g. `client.service`).
pub fn header(paths: &[&str]) -> String {
    line(paths.iter().map(|path| (*path).to_owned()))
}

/// One item as a line; what is absent is an empty field, lists are joined by spaces.
pub fn record<T: Serialize>(item: &T, paths: &[&str]) -> String {
    let value = serde_json::to_value(item).unwrap_or(Value::Null);
    line(paths.iter().map(|path| field(&value, path)))
}

fn field(value: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(value, |value, key| value.get(key));
    text(found.unwrap_or(&Value::Null))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail.
    let written = writer.write_record(fields).is_ok();
    let bytes = writer.into_inner().unwrap_or_default();
    debug_assert!(written);
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_quoted_and_absent_ones_empty() {
        let item = json!({"a": {"b": "x,\"y\"\nz"}, "n": 1.5, "list": [1, 2], "no": null});
        let paths = ["a.b", "n", "list", "no", "missing.path"];
        assert_eq!(header(&paths), "a.b,n,list,no,missing.path\n");
        assert_eq!(record(&item, &paths), "\"x,\"\"y\"\"\nz\",1.5,1 2,,\n");
    }
}
