//! Parses label selectors, with the errors of `labels.Parser` in
//! `k8s.io/apimachinery/pkg/labels/selector.go`.

use std::collections::BTreeSet;

use super::requirement::{Operator, Requirement};
use pod::validation::go_quote;
use pod::validation::labels::{label_value_errors, qualified_name_errors};

/// The operators that error messages list.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

/// A token of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Less,
    NotEquals,
    Open,
    /// A key, a value, or one of the words `in` and `notin`.
    Word(&'a str),
}

impl Token<'_> {
    /// The token in error messages.
    fn text(&self) -> &str {
        match self {
            Self::End => "",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::DoubleEquals => "==",
            Self::Equals => "=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::NotEquals => "!=",
            Self::Open => "(",
            Self::Word(word) => word,
        }
    }
}

/// Parses a selector.
///
/// # Errors
/// The fault, in upstream's words.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: tokens(text), position: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.next() {
            Token::Word(_) | Token::Not => {
                let requirement = parser.requirement();
                requirements.push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
                match parser.take() {
                    Token::End => return Ok(requirements),
                    Token::Comma => {
                        let next = parser.next();
                        if !matches!(next, Token::Word(_) | Token::Not) {
                            return Err(format!("found '{}', expected: identifier after ','", next.text()));
                        }
                    }
                    other => {
                        return Err(format!("found '{}', expected: ',' or 'end of string'", other.text()));
                    }
                }
            }
            Token::End => return Ok(requirements),
            other => {
                let found = other.text();
                return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
            }
        }
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_blank);
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '(' => (Token::Open, 1),
            '>' => (Token::Greater, 1),
            '<' => (Token::Less, 1),
            '!' if rest.starts_with("!=") => (Token::NotEquals, 2),
            '!' => (Token::Not, 1),
            '=' if rest.starts_with("==") => (Token::DoubleEquals, 2),
            '=' => (Token::Equals, 1),
            _ => {
                let is_end = |c: char| is_blank(c) || "=!(),><".contains(c);
                let length = rest.find(is_end).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start_matches(is_blank);
    }
    tokens.push(Token::End);
    tokens
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
}

impl<'a> Parser<'a> {
    fn next(&self) -> Token<'a> {
        self.tokens.get(self.position).copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.next();
        self.position += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let is_absent = self.next() == Token::Not;
        if is_absent {
            self.take();
        }
        let token = self.take();
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        let errors = qualified_name_errors(key);
        if !errors.is_empty() {
            // Go prints the path as <nil>: the caller gives none.
            return Err(format!("<nil>: Invalid value: {}: {}", go_quote(key), errors.join("; ")));
        }
        let key = key.to_owned();
        if is_absent {
            // The caller checks the next token: like upstream, no operator may follow.
            return Ok(Requirement { key, operator: Operator::Absent });
        }
        if matches!(self.next(), Token::End | Token::Comma) {
            return Ok(Requirement { key, operator: Operator::Exists });
        }
        let operator = self.take();
        let values = match operator {
            Token::Word("in" | "notin") => self.values()?,
            Token::Equals | Token::DoubleEquals | Token::NotEquals | Token::Greater | Token::Less => {
                BTreeSet::from([self.value()?])
            }
            other => return Err(format!("found '{}', expected: {OPERATORS}", other.text())),
        };
        made(key, operator, values)
    }

    /// `(a,b,)`, which may have empty values.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open != Token::Open {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let first = self.next();
        match first {
            Token::Close => {
                self.take();
                Ok(BTreeSet::from([String::new()]))
            }
            Token::Word(_) | Token::Comma => {
                let values = self.identifiers()?;
                // Takes the end of the list, which `identifiers` found.
                self.take();
                Ok(values)
            }
            other => Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
    }

    fn identifiers(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                Token::Word(value) => {
                    values.insert(value.to_owned());
                    match self.next() {
                        Token::Comma => {}
                        Token::Close => return Ok(values),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Comma => {
                    if values.is_empty() || self.next() == Token::Comma {
                        values.insert(String::new());
                    }
                    if self.next() == Token::Close {
                        values.insert(String::new());
                        return Ok(values);
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }

    /// The value after `=`, which may be empty.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.next(), Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.take() {
            Token::Word(value) => Ok(value.to_owned()),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

/// Checks the values (`NewRequirement`).
fn made(key: String, operator: Token<'_>, values: BTreeSet<String>) -> Result<Requirement, String> {
    let values: Vec<String> = values.into_iter().collect();
    let mut faults = Vec::new();
    let mut number = 0;
    if matches!(operator, Token::Greater | Token::Less) {
        let given = values.first().map_or("", String::as_str);
        match given.parse() {
            Ok(given) => number = given,
            Err(_) => faults.push(format!(
                "values[0]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer",
                go_quote(given)
            )),
        }
    }
    for (index, value) in values.iter().enumerate() {
        let errors = label_value_errors(value);
        if !errors.is_empty() {
            let value = go_quote(value);
            faults.push(format!("values[{index}][{key}]: Invalid value: {value}: {}", errors.join("; ")));
        }
    }
    match &faults[..] {
        [] => {}
        [one] => return Err(one.clone()),
        all => return Err(format!("[{}]", all.join(", "))),
    }
    let operator = match operator {
        Token::NotEquals | Token::Word("notin") => Operator::NotIn(values),
        Token::Greater => Operator::Greater(number),
        Token::Less => Operator::Less(number),
        _ => Operator::In(values),
    };
    Ok(Requirement { key, operator })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Selectors that upstream takes, with the requirements that it makes of them.
    #[test]
    fn what_the_grammar_has() {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let is_in = |all: &[&str]| Operator::In(values(all));
        let not_in = |all: &[&str]| Operator::NotIn(values(all));
        let table = [
            ("", vec![]),
            (" \t\r\n", vec![]),
            ("a", vec![("a", Operator::Exists)]),
            ("!a", vec![("a", Operator::Absent)]),
            (" ! a , b ", vec![("a", Operator::Absent), ("b", Operator::Exists)]),
            ("a=b,c!=d", vec![("a", is_in(&["b"])), ("c", not_in(&["d"]))]),
            ("a==b", vec![("a", is_in(&["b"]))]),
            ("a=", vec![("a", is_in(&[""]))]),
            ("a=,b", vec![("a", is_in(&[""])), ("b", Operator::Exists)]),
            ("a!=", vec![("a", not_in(&[""]))]),
            (
                "x in (foo,,baz),y,z notin ()",
                vec![("x", is_in(&["", "baz", "foo"])), ("y", Operator::Exists), ("z", not_in(&[""]))],
            ),
            ("x in (,a)", vec![("x", is_in(&["", "a"]))]),
            ("x in (a,)", vec![("x", is_in(&["", "a"]))]),
            ("x in (,)", vec![("x", is_in(&[""]))]),
            ("x in(a,a)", vec![("x", is_in(&["a"]))]),
            ("value in (in,notin)", vec![("value", is_in(&["in", "notin"]))]),
            ("in in (in)", vec![("in", is_in(&["in"]))]),
            ("in", vec![("in", Operator::Exists)]),
            ("notin=in", vec![("notin", is_in(&["in"]))]),
            ("a>1,b<22", vec![("a", Operator::Greater(1)), ("b", Operator::Less(22))]),
            ("example.com/a=b", vec![("example.com/a", is_in(&["b"]))]),
        ];
        for (text, expected) in table {
            let expected: Vec<Requirement> = expected
                .into_iter()
                .map(|(key, operator)| Requirement { key: key.to_owned(), operator })
                .collect();
            assert_eq!(parse(text), Ok(expected), "{text:?}");
        }
    }

    /// Selectors that it does not take: an empty requirement never means everything.
    #[test]
    fn what_it_does_not_have() {
        let form = "consist of alphanumeric characters";
        for (text, expected) in [
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("a,,b", "found ',', expected: identifier after ','"),
            ("a=b, ,c", "found ',', expected: identifier after ','"),
            ("()", "found '(', expected: !, identifier, or 'end of string'"),
            ("=", "found '=', expected: !, identifier, or 'end of string'"),
            ("=b", "found '=', expected: !, identifier, or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("!,a", "unable to parse requirement: found ',', expected: identifier"),
            ("!!a", "unable to parse requirement: found '!', expected: identifier"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a(b)", "unable to parse requirement: found '(', expected: in, notin, =, ==, !=, gt, lt"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in", "unable to parse requirement: found '' expected: '('"),
            ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
            ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
            ("a===b", "unable to parse requirement: found '=', expected: identifier"),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a in (b))", "found ')', expected: ',' or 'end of string'"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text:?}");
        }
        for (text, start) in [
            ("a/b/c", "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key"),
            ("a_=b", "unable to parse requirement: <nil>: Invalid value: \"a_\": name part must consist"),
            ("a\0=b", "unable to parse requirement: <nil>: Invalid value: \"a\\x00\": name part must"),
            ("\0", "unable to parse requirement: <nil>: Invalid value: \"\\x00\": name part must"),
            ("a=-", "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must"),
            ("a in (b,_)", "unable to parse requirement: values[0][a]: Invalid value: \"_\": a valid label"),
            ("a>b", "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators"),
            ("a>", "unable to parse requirement: values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators"),
            ("a<-1", "unable to parse requirement: values[0][a]: Invalid value: \"-1\": a valid label must"),
            ("a>-", "unable to parse requirement: [values[0]: Invalid value: \"-\": for 'Gt', 'Lt'"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.starts_with(start), "{text:?}: {told}");
            assert!(told.contains(form) || told.contains("must be an integer"), "{told}");
        }
    }
}
