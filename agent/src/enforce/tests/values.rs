//! Rates and address ranges.

use weir_common::flow::v4_mapped;

use super::super::{cidr::Cidr, rate};

#[test]
fn rates_are_read_in_bits_and_bytes() {
    for (text, bytes) in [
        ("100Mbit/s", 12_500_000),
        ("100 Mbit/s", 12_500_000),
        ("1Gbit/s", 125_000_000),
        ("2.5Gbit/s", 312_500_000),
        ("8kbit/s", 1_000),
        ("8000bit/s", 1_000),
        ("1kB/s", 1_000),
        ("12MB/s", 12_000_000),
        ("1.25GB/s", 1_250_000_000),
        ("1000Gbit/s", 125_000_000_000),
        ("64000B/s", 64_000),
    ] {
        assert_eq!(rate::parse(text), Ok(bytes), "{text}");
        assert_eq!(
            rate::parse(&rate::words(bytes)),
            Ok(bytes),
            "{text} and back"
        );
    }
}

#[test]
fn rates_in_words_are_the_ones_people_write() {
    for (bytes, words) in [
        (12_500_000, "100Mbit/s"),
        (312_500_000, "2.5Gbit/s"),
        (1_000, "8kbit/s"),
        (1_001, "8.008kbit/s"),
        (12_345_678, "98765.424kbit/s"),
    ] {
        assert_eq!(rate::words(bytes), words);
    }
}

#[test]
fn bad_rates_say_what_is_wrong() {
    for (text, reason, remedy) in [
        ("100", "no unit", "Mbit/s"),
        ("100Mbps", "unknown unit `Mbps`", "units: bit/s"),
        (
            "100mbit/s",
            "unknown unit `mbit/s`",
            "did you mean `Mbit/s`?",
        ),
        ("100Mbit", "unknown unit `Mbit`", "did you mean `Mbit/s`?"),
        (
            "1MiB/s",
            "unknown unit `MiB/s`",
            "binary units are not used",
        ),
        ("fast", "unknown unit `fast`", "units:"),
        ("Mbit/s", "does not begin with a number", "100Mbit/s"),
        ("-5Mbit/s", "unknown unit `-5Mbit/s`", "units:"),
        (
            "1.2345Mbit/s",
            "does not begin with a number",
            "three decimals",
        ),
        (
            "1.2.3Mbit/s",
            "does not begin with a number",
            "three decimals",
        ),
        (
            "99999999999999999999999Gbit/s",
            "does not begin",
            "a number",
        ),
        ("0Mbit/s", "less than can be held", "action: deny"),
        ("7kbit/s", "less than can be held", "8kbit/s"),
        ("2000Gbit/s", "more than can be held", "leave the limit out"),
    ] {
        let error = rate::parse(text).expect_err(text);
        assert!(error.reason.contains(reason), "{text}: {}", error.reason);
        assert!(error.remedy.contains(remedy), "{text}: {}", error.remedy);
    }
}

#[test]
fn ranges_are_read_and_written_in_one_form() {
    for (text, prefix, words) in [
        ("10.0.0.0/8", 104, "10.0.0.0/8"),
        ("10.1.2.3", 128, "10.1.2.3/32"),
        ("0.0.0.0/0", 96, "0.0.0.0/0"),
        ("::/0", 0, "::/0"),
        ("2001:DB8::/32", 32, "2001:db8::/32"),
        ("::1", 128, "::1/128"),
        ("::ffff:10.0.0.0/104", 104, "10.0.0.0/8"),
    ] {
        let cidr = Cidr::parse(text).expect(text);
        assert_eq!(
            (cidr.prefix, cidr.to_string().as_str()),
            (prefix, words),
            "{text}"
        );
        assert!(cidr.class() > 2);
    }
}

#[test]
fn bad_ranges_say_what_is_wrong() {
    for (text, reason, remedy) in [
        (
            "10.0.0.1/8",
            "bits set after its prefix",
            "write `10.0.0.0/8`",
        ),
        (
            "2001:db8::1/32",
            "bits set after its prefix",
            "write `2001:db8::/32`",
        ),
        (
            "10.0.0.0/33",
            "`33` is not a number from 0 to 32",
            "/0 to /32",
        ),
        (
            "::/129",
            "`129` is not a number from 0 to 128",
            "/0 to /128",
        ),
        ("10.0.0.0/", "`` is not a number", "/32"),
        ("10.0.0.0/+8", "`+8` is not a number", "/32"),
        ("10.0.0/8", "is not an address range", "10.0.0.0/8"),
        ("example.com", "is not an address range", "address/length"),
        ("10.0.0.0/8/8", "`8/8` is not a number", "/32"),
    ] {
        let error = Cidr::parse(text).expect_err(text);
        assert!(error.to_string().contains(reason), "{text}: {error}");
        assert!(
            error.remedy().contains(remedy),
            "{text}: {}",
            error.remedy()
        );
    }
}

#[test]
fn v4_and_v6_ranges_do_not_hold_each_other() {
    let cidr = |text: &str| Cidr::parse(text).expect(text);
    let v4 = v4_mapped([10, 1, 2, 3]);
    assert!(cidr("10.0.0.0/8").contains(&v4));
    assert!(!cidr("::/0").contains(&v4));
    assert!(!cidr("::/0").covers(&cidr("10.0.0.0/8")));
    assert!(cidr("::/0").covers(&cidr("2001:db8::/32")));
    assert!(cidr("0.0.0.0/0").covers(&cidr("10.0.0.0/8")));
    assert!(!cidr("10.0.0.0/8").covers(&cidr("0.0.0.0/0")));
}
