//! Durations as Go reads them.

use pod::validation::go_quote;

/// Nanoseconds of each unit.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Most nanoseconds of a duration, and one more of a negative one.
const MOST: u128 = i64::MAX as u128;

/// Checks what `ParseDuration` in Go's `time/format.go` checks: numbers with units, and a sign before them.
///
/// # Errors
/// Go's text.
pub(super) fn check_go_duration(text: &str) -> Result<(), String> {
    let invalid = || format!("time: invalid duration {}", go_quote(text));
    let limit = if text.starts_with('-') { MOST + 1 } else { MOST };
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(());
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let (mut total, is_digit) = (0_u128, |c: char| c.is_ascii_digit());
    while !rest.is_empty() {
        let (whole, after) = split_at_first(rest, |c| !is_digit(c));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_at_first(after, |c| !is_digit(c)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let (unit, after) = split_at_first(after, |c| is_digit(c) || c == '.');
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", go_quote(text)));
        }
        let Some((_, size)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
            let unit = go_quote(unit);
            return Err(format!("time: unknown unit {unit} in duration {}", go_quote(text)));
        };
        // More digits are below a nanosecond.
        let fraction = fraction.get(..15).unwrap_or(fraction);
        let part = fraction.bytes().rev().fold(0, |sum, digit| (u128::from(digit - b'0') * size + sum) / 10);
        let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<u64>().map(u128::from) };
        total += whole.map_err(|_| invalid())? * size + part;
        if total > limit {
            return Err(invalid());
        }
        rest = after;
    }
    Ok(())
}

/// A text up to the first character that is meant, and the rest.
fn split_at_first(text: &str, is_meant: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_meant).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for good in [
            "0",
            "+0",
            "5s",
            "-5s",
            "1h2m3.5s",
            "1ms",
            "1us",
            ".5s",
            "1.s",
            "1h1h",
            "1µs",
            "9223372036854775807ns",
            "-9223372036854775808ns",
            "0.99999999999999999999999s",
        ] {
            assert_eq!(check_go_duration(good), Ok(()), "{good}");
        }
        for bad in ["", "x", "-", ".s", "s", ".", "1h.", " 1s", "9999999999999h", "9223372036854775808ns"] {
            assert_eq!(check_go_duration(bad), Err(format!("time: invalid duration {bad:?}")));
        }
        for bad in ["5", "-1", "00", "5s3", "1.2.3s", "0."] {
            assert_eq!(check_go_duration(bad), Err(format!("time: missing unit in duration {bad:?}")));
        }
        for (bad, unit) in [("5 s", " s"), ("1d", "d"), ("1hx", "hx"), ("1S", "S"), ("1e3s", "e")] {
            let expected = format!("time: unknown unit {unit:?} in duration {bad:?}");
            assert_eq!(check_go_duration(bad), Err(expected));
        }
    }
}
