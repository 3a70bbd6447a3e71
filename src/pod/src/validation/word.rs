//! Names that no API server has checked: what of them can stand in a hosts file.
//!
//! The CRI lets its caller name a pod as it likes. A hosts file is lines of words: a blank ends a name, a newline a
//! line, and `#` begins a comment. Characters that steer a terminal or are not shown at all are kept out, too: whoever
//! looks at the file has to see what a resolver reads.

use std::borrow::Cow;

use super::dns::SUBDOMAIN_MAX;
use super::quote::is_print;

/// Whether `name` can stand in a hosts file as it is: one word of at most 253 bytes.
pub(crate) fn is_word(name: &str) -> bool {
    !name.is_empty() && name.len() <= SUBDOMAIN_MAX && name.chars().all(is_word_char)
}

/// `name` with a dash in the place of each character that cannot stand in a hosts file.
pub(crate) fn dashed(name: &str) -> Cow<'_, str> {
    if name.chars().all(is_word_char) {
        return name.into();
    }
    name.chars().map(|c| if is_word_char(c) { c } else { '-' }).collect()
}

fn is_word_char(c: char) -> bool {
    c != '#' && c != ' ' && is_print(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let longest = "x".repeat(253);
        let good = [
            "a", "A_b", "-a-", ".", "..", "a@b", "a/../b", "日本", "é", "10.0.0.1", "7", "a;b=c", "\\", "\"",
            "%",
        ];
        for name in good.into_iter().chain([longest.as_str()]) {
            assert!(is_word(name), "{name:?}");
            assert_eq!(dashed(name), name);
        }
        let blanks =
            ["\u{85}", "\u{a0}", "\u{1680}", "\u{2000}", "\u{2028}", "\u{2029}", "\u{202f}", "\u{3000}"];
        let control = [
            "\0", "\x01", "\x1b", "\x7f", "\u{9b}", "\u{ad}", "\u{200b}", "\u{202e}", "\u{2066}", "\u{feff}",
        ];
        let ascii = [" ", "\t", "\n", "\u{b}", "\u{c}", "\r", "#"];
        for bad in blanks.iter().chain(&control).chain(&ascii) {
            let name = format!("a{bad}6.6.6.6");
            assert!(!is_word(&name), "{name:?}");
            assert_eq!(dashed(&name), "a-6.6.6.6");
        }
        assert!(!is_word("") && !is_word(&"x".repeat(254)) && !is_word(&"日".repeat(85)));
        assert_eq!(dashed(""), "");
    }
}
