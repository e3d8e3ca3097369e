//! Bandwidth with units: `100Mbit/s`, `2.5 Gbit/s`, `12MB/s`.

/// Units a rate may have: name, bits per second. Decimal, as network rates are; `b` is bit and
/// `B` is byte.
const UNITS: [(&str, u64); 8] = [
    ("bit/s", 1),
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("B/s", 8),
    ("kB/s", 8_000),
    ("MB/s", 8_000_000),
    ("GB/s", 8_000_000_000),
];

/// Least rate that is taken: below it one segment would need more than a second.
pub const LEAST_BYTES_PER_SECOND: u64 = 1_000;

/// Largest rate that is taken, a terabit per second: it would limit no interface of today.
pub const MOST_BYTES_PER_SECOND: u64 = 125_000_000_000;

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateError {
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl RateError {
    fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// Reads a rate; returns bytes per second.
pub fn parse(text: &str) -> Result<u64, RateError> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim_start());
    let bits = unit_bits(unit)?;
    let thousandths = parse_thousandths(number).ok_or_else(|| {
        RateError::new(
            format!("`{text}` does not begin with a number"),
            "write a number with at most three decimals and a unit: `100Mbit/s`",
        )
    })?;
    let bytes = thousandths * u128::from(bits) / 8_000;
    if bytes < u128::from(LEAST_BYTES_PER_SECOND) {
        return Err(RateError::new(
            format!("{text} is less than can be held"),
            "the least is `8kbit/s`; to stop the traffic use `action: deny`",
        ));
    }
    if bytes > u128::from(MOST_BYTES_PER_SECOND) {
        return Err(RateError::new(
            format!("{text} is more than can be held"),
            "the most is `1000Gbit/s`; leave the limit out if there shall be none",
        ));
    }
    Ok(bytes as u64)
}

fn unit_bits(unit: &str) -> Result<u64, RateError> {
    if let Some((_, bits)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return Ok(*bits);
    }
    let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
    let all = format!(
        "units: {} (decimal; bit or byte per second)",
        names.join(", ")
    );
    if unit.is_empty() {
        return Err(RateError::new("the rate has no unit", all));
    }
    let folded = unit.to_ascii_lowercase();
    let close = names.iter().find(|name| {
        let name = name.to_ascii_lowercase();
        name == folded || name.strip_suffix("/s") == Some(&folded)
    });
    let remedy = match (close, folded.contains("ib")) {
        (_, true) => format!("binary units are not used; {all}"),
        (Some(name), _) => format!("did you mean `{name}`? {all}"),
        _ => all,
    };
    Err(RateError::new(format!("unknown unit `{unit}`"), remedy))
}

/// `2.5` → 2500; at most three decimals and twelve digits before the point.
fn parse_thousandths(number: &str) -> Option<u128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.len() > 15 || decimals.len() > 3 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let decimals: u128 = format!("{decimals:0<3}").parse().ok()?;
    Some(whole * 1_000 + decimals)
}

/// Writes a rate so that [`parse`] reads the same number back: `100Mbit/s`.
pub fn words(bytes_per_second: u64) -> String {
    let bits = u128::from(bytes_per_second) * 8;
    for (name, unit) in UNITS[..4].iter().rev() {
        // Up to three decimals, if they are exact.
        let unit = u128::from(*unit);
        if bits < unit || (bits * 1_000) % unit != 0 {
            continue;
        }
        let thousandths = bits * 1_000 / unit;
        let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
        if rest == 0 {
            return format!("{whole}{name}");
        }
        let decimals = format!("{rest:03}");
        return format!("{whole}.{}{name}", decimals.trim_end_matches('0'));
    }
    format!("{bits}bit/s")
}
