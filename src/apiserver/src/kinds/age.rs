//! Ages as kubectl shows them (`k8s.io/apimachinery/pkg/util/duration.HumanDuration`).

use serde_json::Value;

use crate::object::Object;
use crate::time;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// The cell of the age of `object`; `now` is in seconds since 1970.
pub(super) fn cell(object: &Object, now: i64) -> Value {
    since(object.metadata().get("creationTimestamp"), now).into()
}

/// The age of a time; `<unknown>` if it is missing or invalid.
pub(super) fn since(time: Option<&Value>, now: i64) -> String {
    match time.and_then(Value::as_str).and_then(time::parse) {
        Some(time) => human(now - time),
        None => "<unknown>".to_owned(),
    }
}

/// An age in at most two units.
fn human(seconds: i64) -> String {
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two(seconds, MINUTE, "m", 1, "s"),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two(seconds, HOUR, "h", MINUTE, "m"),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two(seconds, DAY, "d", HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(seconds, YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn two(seconds: i64, large: i64, large_name: &str, small: i64, small_name: &str) -> String {
    let rest = seconds % large / small;
    let first = format!("{}{large_name}", seconds / large);
    if rest == 0 { first } else { format!("{first}{rest}{small_name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_kubectl_writes_them() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (1, "1s"),
            (70, "70s"),
            (119, "119s"),
            (120, "2m"),
            (190, "3m10s"),
            (599, "9m59s"),
            (600, "10m"),
            (70 * MINUTE, "70m"),
            (179 * MINUTE + 59, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 5 * MINUTE + 9, "3h5m"),
            (8 * HOUR, "8h"),
            (47 * HOUR + 59 * MINUTE, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 5 * HOUR, "2d5h"),
            (8 * DAY + HOUR, "8d"),
            (729 * DAY, "729d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + 90 * DAY, "2y90d"),
            (8 * YEAR + 90 * DAY, "8y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds} s");
        }
    }

    #[test]
    fn a_time_that_is_none_is_said_to_be_unknown() {
        let at = |text: &str| since(Some(&text.into()), 1_000_000_000);
        assert_eq!(at("2001-09-09T01:45:00Z"), "100s");
        assert_eq!(at("yesterday"), "<unknown>");
        assert_eq!(since(None, 0), "<unknown>");
    }
}
