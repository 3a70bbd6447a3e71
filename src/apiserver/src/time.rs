//! Times as objects carry them: RFC 3339, in UTC, in whole seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time such as `2026-11-22T06:47:47Z`; a time before 1970 becomes 1970.
pub(crate) fn format(seconds: i64) -> String {
    let since_epoch = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

/// Seconds since 1970; `None` if `text` is no time or one before 1970.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// A time in the years 0 to 9999, which JSON can have in Go (`Time.MarshalJSON` in `time/time.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Seconds since 1970; negative before.
    seconds: i64,
    nanos: u32,
}

const DAY: i64 = 24 * 3600;

impl Moment {
    /// Go's zero time, which is shown as null: the first of January of the year 1.
    const ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0 };
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;

    /// `None` outside of those years.
    pub(crate) fn new(seconds: i64, nanos: u32) -> Option<Self> {
        let is_possible = (Self::FIRST..=Self::LAST).contains(&seconds) && nanos < 1_000_000_000;
        is_possible.then_some(Self { seconds, nanos })
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Reads a time such as `2026-01-02T03:04:05.6+02:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (start, rest) = text.split_at_checked("2006-01-02T15:04:05".len())?;
        let numbers = start.split(['-', 'T', ':']).map(digits);
        let [year, month, day, hour, minute, second] = numbers.collect::<Option<Vec<_>>>()?[..] else {
            return None;
        };
        let signs: Vec<u8> = start.bytes().filter(|byte| !byte.is_ascii_digit()).collect();
        let is_formed =
            signs == b"--T::" && [4, 7, 10, 13, 16].iter().all(|at| !start.as_bytes()[*at].is_ascii_digit());
        let is_possible = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        if !is_formed || !is_possible || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (fraction, zone) = match rest.strip_prefix('.') {
            None => ("", rest),
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        };
        if rest.starts_with('.') && fraction.is_empty() {
            return None;
        }
        let nanos = format!("{fraction:0<9.9}").parse().ok()?;
        let seconds = days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        Self::new(seconds - offset(zone)?, nanos)
    }

    /// In UTC, in whole seconds.
    pub(crate) fn text(self) -> String {
        let (year, month, day) = date(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// In UTC, with microseconds.
    pub(crate) fn text_in_micros(self) -> String {
        let text = self.text();
        format!("{}.{:06}Z", text.trim_end_matches('Z'), self.nanos / 1000)
    }
}

fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Seconds of `Z` or `+02:00`.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    if (hours.len(), minutes.len()) != (2, 2) {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let seconds = (hours <= 24 && minutes <= 60).then_some(hours * 3600 + minutes * 60)?;
    match zone.as_bytes()[0] {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to a date. The year is counted from March, so that the day of the leap year is its last one (Howard
/// Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970; the reverse of [`days_since_1970`].
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let (month, day) = ((from_march + 2) % 12 + 1, day_of_year - (153 * from_march + 2) / 5 + 1);
    (era * 400 + of_era + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_years_are_read() {
        for (text, expected) in [
            ("0001-01-01T00:00:02.5Z", "0001-01-01T00:00:02.500000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"),
            ("1960-02-29T23:59:59.123456789Z", "1960-02-29T23:59:59.123456Z"),
            ("2000-02-29T00:00:00+02:30", "2000-02-28T21:30:00.000000Z"),
            ("1999-12-31T23:00:00-01:00", "2000-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(Moment::parse(text).unwrap().text_in_micros(), expected, "{text}");
        }
        for bad in [
            "",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00é",
            "026-001-01T00:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
        // Every day comes back.
        for days in -719_528..=2_932_896 {
            let (year, month, day) = date(days);
            assert_eq!(days_since_1970(year, month, day), days);
            assert!((0..=9999).contains(&year) && (1..=days_in(year, month)).contains(&day), "{days}");
        }
        let zero = Moment::parse("0001-01-01T00:00:00Z").unwrap();
        assert!(zero.is_zero() && zero.text() == "0001-01-01T00:00:00Z");
        assert_eq!(Moment::parse("1970-01-01T00:00:00Z"), Moment::new(0, 0));
    }

    #[test]
    fn times_come_back() {
        assert_eq!(format(1_000_000_000), "2001-09-09T01:46:40Z");
        assert_eq!(parse("2001-09-09T01:46:40Z"), Some(1_000_000_000));
        assert_eq!(parse("2001-09-09T01:46:40.123456Z"), Some(1_000_000_000));
        assert_eq!(format(-1), "1970-01-01T00:00:00Z");
        assert_eq!(parse("now"), None);
        assert!(now() > 1_700_000_000);
    }
}
