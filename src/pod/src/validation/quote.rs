//! Go's `%q`: Kubernetes quotes every rejected value with it. Everything that people read of what others wrote goes
//! through here, too: no control character (C0, C1), no bidirectional override, no invisible character reaches a
//! terminal or a log.

use std::borrow::Cow;
use std::fmt::Write;

/// Quotes `value` as Go's `strconv.Quote` does, so that no control character reaches a terminal or a log.
pub fn go_quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        push_escaped(&mut out, c);
    }
    out.push('"');
    out
}

/// `text` on one line, with everything in it escaped that a terminal would obey instead of showing.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, &[])
}

/// The same for a text of several lines: its newlines and tabs stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'])
}

/// The same for JSON, where the escapes are JSON's own: a reader gets the value as it was.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Characters beyond ASCII stand in strings only, and the serializer has escaped the rest of ASCII.
    let is_shown = |c: char| c == '\n' || is_print(c);
    if json.chars().all(is_shown) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_shown(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.into()
}

fn escaped<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_shown = |c: char| is_print(c) || kept.contains(&c);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_shown(c) { out.push(c) } else { push_escaped(&mut out, c) }
    }
    out.into()
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{07}' => out.push_str("\\a"),
        '\u{08}' => out.push_str("\\b"),
        '\u{0c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{0b}' => out.push_str("\\v"),
        c if is_print(c) => out.push(c),
        c => push_code_point(out, u32::from(c)),
    }
}

fn push_code_point(out: &mut String, code: u32) {
    // Writing to a String cannot fail.
    let _ = match code {
        0..0x80 => write!(out, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(super) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // The standard library's table of printable characters is only reachable through `escape_debug`. A mark
    // is escaped there when it comes first, so it is asked about behind a letter.
    let mut probe = String::from("a");
    probe.push(c);
    probe.escape_debug().eq(probe.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as a terminal might obey it: C0, DEL, C1, bidirectional marks, embeddings, overrides and isolates, separators
    /// of lines, invisible characters.
    const OBEYED: [char; 29] = [
        '\0',
        '\u{7}',
        '\u{8}',
        '\r',
        '\u{b}',
        '\u{1b}',
        '\u{7f}',
        '\u{80}',
        '\u{85}',
        '\u{90}',
        '\u{9b}',
        '\u{9d}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202d}',
        '\u{202e}',
        '\u{2066}',
        '\u{2069}',
        '\u{206f}',
        '\u{feff}',
        '\u{fff9}',
        '\u{e0001}',
        '\u{e007f}',
    ];

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        for c in OBEYED {
            let text = format!("a{c}b");
            for shown in
                [printable(&text), printable_lines(&text), printable_json(&text), go_quote(&text).into()]
            {
                assert!(!shown.contains(c) && shown.contains('\\'), "{c:?}: {shown}");
            }
        }
        assert_eq!(printable("web\u{9b}31m\u{202e}\n"), "web\\u009b31m\\u202e\\n");
        assert_eq!(printable_lines("a\tb\n\u{1b}c"), "a\tb\n\\x1bc");
        let plain = "10.0.0.1 \"日本\" é \\";
        assert!(matches!(printable(plain), Cow::Borrowed(text) if text == plain));
    }

    #[test]
    fn json_keeps_its_value() {
        let value: String = OBEYED.iter().chain(&['"', '\\', '日', '😀']).collect();
        let json = serde_json::to_string_pretty(&[&value]).unwrap();
        let shown = printable_json(&json);
        assert!(!OBEYED.iter().any(|c| shown.contains(*c)), "{shown}");
        assert!(shown.contains("\\udb40\\udc01") && shown.contains("日😀"), "{shown}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [value]);
    }

    #[test]
    fn quotes_as_go_does() {
        let cases = [
            ("plain", r#""plain""#),
            ("a\0b\u{7f}", r#""a\x00b\x7f""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}\"\\'", r#""\a\b\f\n\r\t\v\"\\'""#),
            ("日本.local é e\u{301}", "\"日本.local é e\u{301}\""),
            ("\u{a0}\u{2028}\u{200b}\u{ad}", r#""\u00a0\u2028\u200b\u00ad""#),
            ("\u{e000}\u{10ffff}", r#""\ue000\U0010ffff""#),
        ];
        for (value, quoted) in cases {
            assert_eq!(go_quote(value), quoted);
        }
    }
}
