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

#[cfg(test)]
mod tests {
    use super::*;

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
