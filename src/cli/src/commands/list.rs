//! `podhosts list`: the records of podhosts-cni, as a table or as JSON.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use super::args::ListArgs;
use pod::validation::{go_quote, printable, printable_json};
use records::record::{self, PodRecord, RECORD_DIR};
use sys::fs::state_dir;

const HEADER: [&str; 5] = ["NAMESPACE", "NAME", "POD IPS", "NETWORK", "SINCE"];

/// The output, and the errors of records that are left out.
pub(super) fn run(args: &ListArgs) -> (Vec<u8>, Vec<String>) {
    let (records, errors) = match read() {
        Ok(read) => read,
        Err(error) => return (Vec::new(), vec![error]),
    };
    if !args.json {
        return (table(&records).into_bytes(), errors);
    }
    // Strings and lists always have a JSON form.
    let json = serde_json::to_string_pretty(&records).unwrap_or_default() + "\n";
    (printable_json(&json).into_owned().into_bytes(), errors)
}

/// The readable records by namespace and name, and the errors of the others.
fn read() -> Result<(Vec<PodRecord>, Vec<String>), String> {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let names = state_dir::names(Path::new(RECORD_DIR)).map_err(|error| error.to_string())?;
    for id in names.iter().filter_map(|name| record::id_of(name)) {
        match record::read(id) {
            // None where the pod went meanwhile.
            Ok(record) => records.extend(record),
            Err(error) => errors.push(error.to_string()),
        }
    }
    records.sort_by(|a, b| (&a.namespace, &a.name, &a.since).cmp(&(&b.namespace, &b.name, &b.since)));
    Ok((records, errors))
}

fn table(records: &[PodRecord]) -> String {
    let rows: Vec<[String; 5]> = records
        .iter()
        .map(|record| {
            // Milliseconds are for machines.
            let since =
                record.since.split_once('.').map_or(record.since.clone(), |(time, _)| format!("{time}Z"));
            let ips = record.pod_ips.join(",");
            let [namespace, name] = [&record.namespace, &record.name].map(|name| cell(name));
            [namespace, name, printable(&ips), printable(&record.network), printable(&since)]
                .map(Cow::into_owned)
        })
        .collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADER[column].len()]).max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in [HEADER.map(str::to_owned)].iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:<width$}   ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A name as one word: the CRI lets its caller call a pod anything, so one with a blank, or none, is quoted.
fn cell(name: &str) -> Cow<'_, str> {
    if name.is_empty() || name.contains([' ', '"']) { go_quote(name).into() } else { printable(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word() {
        for (name, expected) in [
            ("create-PodSandbox-for-container-0F", "create-PodSandbox-for-container-0F"),
            ("", "\"\""),
            ("my pod", "\"my pod\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\nb\t\u{9b}\u{2028}\u{202e}", r"a\nb\t\u009b\u2028\u202e"),
        ] {
            assert_eq!(cell(name), expected);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let record: PodRecord = serde_json::from_value(serde_json::json!({
            "version": 1, "sandboxID": "s", "namespace": "kube-system", "name": "web\u{1b}[0m",
            "podIPs": ["10.0.0.2", "2001:db8::2"], "network": "net", "since": "2026-01-02T03:04:05.678Z"
        }))
        .unwrap();
        assert_eq!(
            table(&[record]),
            "NAMESPACE     NAME         POD IPS                NETWORK   SINCE\n\
             kube-system   web\\x1b[0m   10.0.0.2,2001:db8::2   net       2026-01-02T03:04:05Z\n"
        );
    }
}
