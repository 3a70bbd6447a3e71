//! Which texts are regular expressions to Go's `regexp`: engines refuse a hook whose patterns are none. Facts from Go's
//! `regexp/syntax` with the flags of Perl. Nothing is matched here.

use crate::engines::go::release::GoRelease;
use crate::engines::go::unicode;

/// The largest repetition, and of nested ones the largest product.
const REPEAT_MAX: u32 = 1000;

/// How deep groups may be nested.
const DEPTH_MAX: usize = 1000;

/// Checks a pattern.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub(crate) fn check(pattern: &str, release: GoRelease) -> Result<(), String> {
    let mut parser = Parser { rest: pattern, depth: 0, release };
    parser.alternatives()?;
    if parser.rest.is_empty() { Ok(()) } else { Err("unexpected )".to_owned()) }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    release: GoRelease,
}

impl<'a> Parser<'a> {
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Up to a closing parenthesis or the end; the largest product of repetitions in it.
    fn alternatives(&mut self) -> Result<u32, String> {
        let mut largest = 1;
        // What an operator would repeat.
        let mut repeated: Option<u32> = None;
        let mut is_after_operator = false;
        while let Some(c) = self.rest.chars().next() {
            let mut is_operator = false;
            match c {
                ')' => break,
                '|' => {
                    self.next();
                    repeated = None;
                }
                '*' | '+' | '?' => {
                    self.next();
                    is_operator = true;
                    operand(repeated, is_after_operator, &c.to_string())?;
                    self.take("?");
                }
                '{' => match self.repetition()? {
                    None => {
                        self.next();
                        repeated = Some(1);
                    }
                    Some((text, most)) => {
                        is_operator = true;
                        let inner = operand(repeated, is_after_operator, &text)?;
                        self.take("?");
                        let product = inner.saturating_mul(most);
                        if product > REPEAT_MAX {
                            return Err(format!("invalid repeat count: `{text}`"));
                        }
                        // Zero repetitions need no room.
                        repeated = Some(product.max(1));
                    }
                },
                // Flags alone and an empty quotation change no operand.
                _ => repeated = self.atom(c)?.or(repeated),
            }
            is_after_operator = is_operator;
            largest = largest.max(repeated.unwrap_or(1));
        }
        Ok(largest)
    }

    /// One thing that can be repeated; `None` where there was nothing but flags.
    fn atom(&mut self, c: char) -> Result<Option<u32>, String> {
        match c {
            '(' => return self.group(),
            '[' => self.class()?,
            '\\' => return Ok(self.escape()?.then_some(1)),
            _ => drop(self.next()),
        }
        Ok(Some(1))
    }

    /// `{n}`, `{n,}` or `{n,m}`: its text, and the number that Go limits. Anything else stands for itself.
    fn repetition(&mut self) -> Result<Option<(String, u32)>, String> {
        let Some(end) = self.rest.find('}') else { return Ok(None) };
        let text = &self.rest[..=end];
        let inner = &text[1..end];
        let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
        let number = |digits: &str| {
            let is_number = !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            is_number.then(|| digits.parse().unwrap_or(u32::MAX))
        };
        let Some(least) = number(least) else { return Ok(None) };
        let most = if most.is_empty() { Some(least) } else { number(most) };
        let Some(most) = most else { return Ok(None) };
        self.rest = &self.rest[end + 1..];
        if least > REPEAT_MAX || most > REPEAT_MAX || most < least {
            return Err(format!("invalid repeat count: `{text}`"));
        }
        Ok(Some((text.to_owned(), most)))
    }

    fn group(&mut self) -> Result<Option<u32>, String> {
        let whole = self.rest;
        self.next();
        if self.take("?") && self.is_flags_alone(whole)? {
            return Ok(None);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("expression nests too deeply".to_owned());
        }
        let largest = self.alternatives()?;
        self.depth -= 1;
        if self.take(")") { Ok(Some(largest)) } else { Err(format!("missing closing ): `{whole}`")) }
    }

    /// Reads the name or the flags after `(?`; true for flags alone, which open no group.
    fn is_flags_alone(&mut self, whole: &str) -> Result<bool, String> {
        if self.take("P<") || self.release >= GoRelease::From1_22 && self.take("<") {
            let Some((name, rest)) = self.rest.split_once('>') else {
                return Err(format!("invalid named capture: `{whole}`"));
            };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(format!("invalid named capture: `{name}`"));
            }
            self.rest = rest;
            return Ok(false);
        }
        let (mut is_off, mut has_flag) = (false, false);
        loop {
            match self.next() {
                Some('i' | 'm' | 's' | 'U') => has_flag = true,
                Some('-') if !is_off => (is_off, has_flag) = (true, false),
                Some(end @ (':' | ')')) if !is_off || has_flag => return Ok(end == ')'),
                _ => return Err(format!("invalid or unsupported Perl syntax: `{whole}`")),
            }
        }
    }

    /// A backslash and what follows it, outside of a class; whether there is something to repeat.
    fn escape(&mut self) -> Result<bool, String> {
        if self.take(r"\Q") {
            let (quoted, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            return Ok(!quoted.is_empty());
        }
        if [r"\A", r"\b", r"\B", r"\z"].iter().any(|assertion| self.take(assertion)) || self.is_set()? {
            return Ok(true);
        }
        self.escaped_character().map(|_| true)
    }

    /// `\d` and its like, or a Unicode class.
    fn is_set(&mut self) -> Result<bool, String> {
        if [r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"].iter().any(|set| self.take(set)) {
            return Ok(true);
        }
        let whole = self.rest;
        if !self.take(r"\p") && !self.take(r"\P") {
            return Ok(false);
        }
        let wrong = |text: &str| Err(format!("invalid character class range: `{text}`"));
        let name = if self.take("{") {
            let Some((name, rest)) = self.rest.split_once('}') else { return wrong(whole) };
            self.rest = rest;
            name.strip_prefix('^').unwrap_or(name)
        } else {
            let before = self.rest;
            let Some(c) = self.next() else { return wrong(whole) };
            &before[..c.len_utf8()]
        };
        if unicode::is_class(name, self.release) { Ok(true) } else { wrong(name) }
    }

    /// A character that is written with a backslash.
    fn escaped_character(&mut self) -> Result<char, String> {
        let whole = self.rest;
        self.next();
        let wrong =
            || Err(format!("invalid escape sequence: `{}`", whole.chars().take(2).collect::<String>()));
        let Some(c) = self.next() else { return Err("trailing backslash at end of expression".to_owned()) };
        match c {
            // One digit is a reference back, which there is not, but for zero.
            '1'..='7' if !self.rest.starts_with(|next| matches!(next, '0'..='7')) => wrong(),
            '0'..='7' => {
                let digits = self.rest.bytes().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let octal = format!("{c}{}", &self.rest[..digits]);
                self.rest = &self.rest[digits..];
                Ok(u32::from_str_radix(&octal, 8).ok().and_then(char::from_u32).unwrap_or('\0'))
            }
            'x' => {
                let digits = if self.take("{") {
                    let Some((digits, rest)) = self.rest.split_once('}') else { return wrong() };
                    self.rest = rest;
                    digits
                } else {
                    let Some(digits) = self.rest.get(..2) else { return wrong() };
                    self.rest = &self.rest[2..];
                    digits
                };
                let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let code = u32::from_str_radix(digits, 16).ok().filter(|code| is_hex && *code <= 0x10_ffff);
                // Halves of surrogates have a number in Go.
                code.map_or_else(wrong, |code| Ok(char::from_u32(code).unwrap_or('\u{d7ff}')))
            }
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => Ok('\n'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => wrong(),
        }
    }

    /// A class in brackets.
    fn class(&mut self) -> Result<(), String> {
        let whole = self.rest;
        self.next();
        self.take("^");
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            if self.rest.is_empty() {
                return Err(format!("missing closing ]: `{whole}`"));
            }
            is_first = false;
            if self.rest.starts_with("[:")
                && let Some((name, rest)) = self.rest[2..].split_once(":]")
            {
                if !unicode::is_posix(name) {
                    return Err(format!("invalid character class range: `[:{name}:]`"));
                }
                self.rest = rest;
                continue;
            }
            if !self.is_set()? {
                self.range(whole)?;
            }
        }
        self.next();
        Ok(())
    }

    /// A character or a range of a class.
    fn range(&mut self, whole: &str) -> Result<(), String> {
        let start = self.rest;
        let low = self.class_character(whole)?;
        if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.next();
            let high = self.class_character(whole)?;
            if high < low {
                let text = &start[..start.len() - self.rest.len()];
                return Err(format!("invalid character class range: `{text}`"));
            }
        }
        Ok(())
    }

    fn class_character(&mut self, whole: &str) -> Result<char, String> {
        if self.rest.starts_with('\\') {
            return self.escaped_character();
        }
        self.next().ok_or_else(|| format!("missing closing ]: `{whole}`"))
    }
}

/// The repetition count of the operand of an operator.
fn operand(repeated: Option<u32>, is_after_operator: bool, operator: &str) -> Result<u32, String> {
    match repeated {
        _ if is_after_operator => Err(format!("invalid nested repetition operator: `{operator}`")),
        None => Err(format!("missing argument to repetition operator: `{operator}`")),
        Some(inner) => Ok(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go accepts; `integration/configure/podman_hooks.rs` has podman's word for these and many others.
    const PATTERNS: [&str; 22] = [
        "",
        "a|b||",
        "^*",
        "(|a)*",
        "a{2}",
        "a{,2}",
        "a{",
        "a{01}",
        "a{0}{",
        "(?i)a",
        "a(?i)*",
        "(?P<n_1>a)",
        "(?s-i:a)",
        r"\Q(\E*",
        r"\_\/\x{10ffff}\x41\012\pL\p{^Greek}",
        "[]a]",
        "[^]-]",
        "[[:^alpha:]a-z\\d]",
        "(a{10}){100}",
        "(a{0}){1000}",
        "x{1000}",
        "[a-]",
    ];

    /// What it refuses.
    const NO_PATTERNS: [&str; 24] = [
        "*",
        "a**",
        "a{2}{3}",
        "(",
        ")",
        "a)b",
        "[",
        "[]",
        "[a",
        "[b-a]",
        "[[:no:]]",
        r"\8",
        r"\1",
        r"\y",
        r"\x{}",
        r"\xg1",
        "\\",
        r"\p{No_Such}",
        r"\pX",
        "(?=a)",
        "(?i-)",
        "(?P<>a)",
        "a{1001}",
        "(a{10}){101}",
    ];

    #[test]
    fn patterns_are_accepted_and_refused_as_go_does() {
        let is_one = |pattern: &str| check(pattern, GoRelease::Before1_22).is_ok();
        for pattern in PATTERNS {
            assert!(is_one(pattern), "{pattern}: {:?}", check(pattern, GoRelease::Before1_22));
        }
        for pattern in NO_PATTERNS {
            assert!(!is_one(pattern), "{pattern}");
        }
        assert!(!is_one("(?<n>a)") && check("(?<n>a)", GoRelease::From1_22).is_ok());
    }
}
