//! Go's `%q`: Kubernetes quotes every rejected value with it.

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
fn is_print(c: char) -> bool {
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
    use super::go_quote;

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
