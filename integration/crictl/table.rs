//! crictl's tables: columns of 20 characters or more, three blanks between them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MIN_WIDTH: usize = 20;
const PADDING: usize = 3;
const ID_WIDTH: usize = 13;

/// Prints rows, of which the first is the heading.
pub(crate) fn print(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        MIN_WIDTH.max(longest + PADDING)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths).take(columns.saturating_sub(1)) {
            line += &format!("{cell:<width$}");
        }
        println!("{line}{}", row.last().map_or("", String::as_str));
    }
}

/// An id as tables have it.
pub(crate) fn short_id(id: &str, whole: bool) -> String {
    let id = if whole { id } else { id.strip_prefix("sha256:").unwrap_or(id) };
    id.chars().take(if whole { usize::MAX } else { ID_WIDTH }).collect()
}

/// How long ago a time is, which is in nanoseconds since 1970.
pub(crate) fn ago(nanoseconds: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let seconds = SystemTime::now().duration_since(time).unwrap_or_default().as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    let duration = match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ => match hours {
            0..2 => "About an hour".to_owned(),
            2..48 => format!("{hours} hours"),
            48..336 => format!("{} days", hours / 24),
            336..1440 => format!("{} weeks", hours / 24 / 7),
            1440..17520 => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", hours / 24 / 365),
        },
    };
    format!("{duration} ago")
}

/// A size in bytes, with three digits.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value >= 99.95 { 0 } else { 1 + usize::from(value < 9.995) };
    let shown = format!("{value:.digits$}");
    let shown = if digits > 0 { shown.trim_end_matches('0').trim_end_matches('.') } else { &shown };
    format!("{shown}{}", units[unit])
}
