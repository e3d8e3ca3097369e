//! Numbers in human units.

/// A duration: `850ns`, `12.3µs`, `1.2ms`, `3.4s`, `2m05s`, `1h02m`, `3d04h`.
pub fn duration(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..999_950 => format!("{}µs", digits(value / 1e3)),
        999_950..999_950_000 => format!("{}ms", digits(value / 1e6)),
        999_950_000..59_950_000_000 => format!("{}s", digits(value / 1e9)),
        _ => long_duration((ns + 500_000_000) / 1_000_000_000),
    }
}

fn long_duration(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A duration that may be unknown: `-`.
pub fn maybe_duration(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".into(), duration)
}

/// An age: `now`, `5s`, `3m`, `2h`, `4d`. Times ahead of `now` (clock steps) are `now`.
pub fn age(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        0 => "now".into(),
        s @ 1..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..86_400 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// Bytes: `512 B`, `3.4 KiB`, `1.2 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be written as 1024.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

/// A rate: `0/s`, `0.05/s`, `12.3/s`, `71.5k/s`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r < 0.005 => "0/s".into(),
        r if r < 0.995 => format!("{r:.2}/s"),
        r if r < 9_999.5 => format!("{}/s", digits(r)),
        r if r < 999_950.0 => format!("{}k/s", digits(r / 1e3)),
        r => format!("{}M/s", digits(r / 1e6)),
    }
}

/// Three digits where they carry something: `1.2`, `12.3`, `123`.
fn digits(value: f64) -> String {
    if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A share: `0 %`, `< 0.1 %`, `0.4 %`, `12 %`; never rounded to 0 or 100 when it is not.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".into(),
        p if p < 0.1 => "< 0.1 %".into(),
        p if p < 9.95 => format!("{p:.1} %"),
        p if p < 99.0 => format!("{p:.0} %"),
        p if p < 99.9 => format!("{p:.1} %"),
        p if p < 100.0 => "> 99.9 %".into(),
        _ => "100 %".into(),
    }
}

/// Part of a whole; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// Unix time as RFC 3339 in UTC with milliseconds.
pub fn time(unix_seconds: f64) -> String {
    let millis = (unix_seconds.max(0.0) * 1000.0).round() as u64;
    let (days, of_day) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = civil(days as i64);
    let (h, m) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (s, ms) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

/// Date of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Text from the wire made harmless for a terminal: control characters become visible.
pub fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| match c {
            c if c.is_control() => c.escape_default().collect::<Vec<_>>(),
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (ns, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.0µs"),
            (123_456, "123µs"),
            (999_949, "1000µs"),
            (999_950, "1.0ms"),
            (1_234_567, "1.2ms"),
            (999_949_999, "1000ms"),
            (3_400_000_000, "3.4s"),
            (59_949_999_999, "59.9s"),
            (59_950_000_000, "1m00s"),
            (125_000_000_000, "2m05s"),
            (3_720_000_000_000, "1h02m"),
            (273_600_000_000_000, "3d04h"),
        ] {
            assert_eq!(duration(ns), expected, "{ns}");
        }
    }

    #[test]
    fn quantities() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (3_565_158, "3.4 MiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
        for (value, expected) in [
            (0.0, "0/s"),
            (0.05, "0.05/s"),
            (1.0, "1.0/s"),
            (12.34, "12.3/s"),
            (1234.0, "1234/s"),
            (71_500.0, "71.5k/s"),
            (2.5e6, "2.5M/s"),
        ] {
            assert_eq!(rate(value), expected, "{value}");
        }
        for (value, expected) in [
            (0.0, "0 %"),
            (0.0001, "< 0.1 %"),
            (0.004, "0.4 %"),
            (0.12, "12 %"),
            (0.992, "99.2 %"),
            (0.99999, "> 99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(value), expected, "{value}");
        }
        for (value, expected) in [(-5.0, "now"), (59.9, "59s"), (3600.0, "1h"), (2e5, "2d")] {
            assert_eq!(age(value), expected, "{value}");
        }
    }

    #[test]
    fn times() {
        for (unix, expected) in [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (951_782_400.5, "2000-02-29T00:00:00.500Z"),
            (1_700_000_000.123_4, "2023-11-14T22:13:20.123Z"),
            (4_102_444_799.999_9, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(unix), expected, "{unix}");
        }
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(printable("/a\u{1b}[2J\n"), "/a\\u{1b}[2J\\n");
        assert_eq!(printable("größe"), "größe");
    }
}
