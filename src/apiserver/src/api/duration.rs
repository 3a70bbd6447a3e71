//! Durations as Go reads them.

/// Whether Go's `time.ParseDuration` reads a text: numbers with units, and a sign before them.
pub(super) fn is_go_duration(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, after) = rest.split_at(number);
        let is_number = digits.bytes().any(|b| b.is_ascii_digit()) && digits.matches('.').count() < 2;
        let unit =
            ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].into_iter().find(|unit| after.starts_with(unit));
        let Some(unit) = unit.filter(|_| is_number) else { return text == "0" };
        rest = &after[unit.len()..];
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for good in ["0", "+0", "5s", "-5s", "1h2m3.5s", "1ms", "1us", ".5s", "1.s", "1h1h"] {
            assert!(is_go_duration(good), "{good}");
        }
        for bad in ["", "x", "5", "-", ".s", "1.2.3s", "5 s", "s", "1d", "00", "5s3"] {
            assert!(!is_go_duration(bad), "{bad}");
        }
    }
}
