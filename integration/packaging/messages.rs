//! docs/messages.md and the texts in the code, compared in both directions. Both are read as text; nothing is built.
//!
//! In the document `…` stands for what the code puts in. What the code composes of several literals ("cannot configure
//! {engine}: {cause}") is found piece by piece.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

const DOCUMENT: &str = "docs/messages.md";
/// Between what a literal has fixed; in the document, and here for `{…}`.
const HOLE: &str = "…";
/// Of how many literals one fragment of the document may be composed.
const PIECES_MAX: usize = 4;
/// Directories below src/ with texts that the document leaves out on purpose, but for those that begin with "cannot ".
const WORDS_OF_KUBERNETES: [&str; 2] = ["apiserver/src/", "pod/src/"];
/// The directory of `podhosts doctor`, whose findings are free text, each with its remedy.
const FINDINGS: &str = "cli/src/doctor/";
/// Texts that the document leaves out on purpose.
const LEFT_OUT: &[(&str, &str)] = &[
    ("…, in bundle …", "it follows the message of another row"),
    ("…, in …", "it follows the message of another row"),
    (
        "cannot bind token for serviceaccount … to pod running with different serviceaccount name.",
        "Kubernetes' words",
    ),
    ("cannot bind token to object of type …/…, Kind=…", "Kubernetes' words"),
    ("cannot be 0 when maxSurge is 0", "Kubernetes' words"),
    ("cannot be specified in combination with resourceAttributes", "Kubernetes' words"),
    ("cannot be set on create", "Kubernetes' words"),
    ("cannot change roleRef", "Kubernetes' words"),
];

/// A string literal of the code, and the file that it is in, below src/.
struct Literal {
    file: String,
    text: String,
    /// It is the text of an error type: `#[error("…")]`.
    is_error: bool,
}

impl Literal {
    /// What is fixed in it, around the places that the code fills in.
    fn parts(&self) -> impl Iterator<Item = &str> {
        self.text.split(HOLE)
    }

    /// Whether the document has to have it.
    fn is_message(&self) -> bool {
        let is_kubernetes = WORDS_OF_KUBERNETES.iter().any(|dir| self.file.starts_with(dir));
        let is_error = self.text.starts_with("cannot ") || self.is_error && !is_kubernetes;
        is_error && !self.file.starts_with(FINDINGS)
    }
}

/// Reads Rust code, with the position of the next character.
struct Lexer<'a> {
    code: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.code[self.at..]
    }

    /// Passes everything up to and including `end`.
    fn pass(&mut self, end: &str) -> String {
        let length = self.rest().find(end).unwrap_or(self.rest().len());
        let passed = self.rest()[..length].to_owned();
        self.at = (self.at + length + end.len()).min(self.code.len());
        passed
    }

    /// The next string literal with its escapes resolved, and whether it is in `#[error(…)]`.
    fn next(&mut self) -> Option<(String, bool)> {
        while let Some(next) = self.rest().chars().next() {
            if self.rest().starts_with("//") {
                self.pass("\n");
            } else if next == '"' {
                let is_error = self.code[..self.at].trim_end().ends_with("#[error(");
                self.at += 1;
                return Some((self.quoted(), is_error));
            } else if let Some(hashes) = self.raw() {
                self.pass("\"");
                return Some((self.pass(&format!("\"{hashes}")), false));
            } else if next == '\'' {
                self.at += self.character();
            } else {
                self.at += next.len_utf8();
            }
        }
        None
    }

    /// The hashes of a raw string that begins here.
    fn raw(&self) -> Option<String> {
        let is_word = self.code[..self.at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (hashes, _) = self.rest().strip_prefix('r')?.split_once('"')?;
        (!is_word && hashes.bytes().all(|b| b == b'#')).then(|| hashes.to_owned())
    }

    /// The length of a character literal; of a lifetime only its quote.
    fn character(&self) -> usize {
        let mut rest = self.rest()[1..].chars();
        match (rest.next(), rest.next(), rest.next()) {
            (Some('\\'), Some(_), _) => self.rest()[3..].find('\'').map_or(1, |end| end + 4),
            (Some(c), Some('\''), _) => c.len_utf8() + 2,
            _ => 1,
        }
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        while let Some(next) = self.rest().chars().next() {
            self.at += next.len_utf8();
            match next {
                '"' => break,
                '\\' => self.escape(&mut text),
                next => text.push(next),
            }
        }
        text
    }

    /// What follows a backslash. A line that goes on is joined to the next one.
    fn escape(&mut self, text: &mut String) {
        let Some(next) = self.rest().chars().next() else { return };
        self.at += next.len_utf8();
        match next {
            '\n' => self.at += self.rest().len() - self.rest().trim_start().len(),
            'n' => text.push('\n'),
            't' => text.push('\t'),
            next => text.push(next),
        }
    }
}

/// A format string with [`HOLE`] in the place of each `{…}`.
fn holes(text: &str) -> String {
    let mut cut = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.next_if_eq(&c).is_some() => cut.push(c),
            '{' => {
                chars.by_ref().find(|c| *c == '}');
                cut.push_str(HOLE);
            }
            c => cut.push(c),
        }
    }
    cut
}

/// All files of the product's code that are no tests.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !matches!(name, "tests" | "testing" | "target") {
                found.extend(sources(&path));
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "build.rs" {
            found.push(path);
        }
    }
    found
}

/// The code before the module of tests that ends a file.
fn without_tests(code: &str) -> &str {
    let is_module = |at: &usize| code[*at..].lines().nth(1).is_some_and(|line| line.ends_with("mod tests {"));
    let mut marks = code.match_indices("#[cfg(test)]\n").map(|(at, _)| at);
    marks.find(is_module).map_or(code, |at| &code[..at])
}

fn literals() -> Vec<Literal> {
    let src = repository().join("src");
    let mut found = Vec::new();
    for path in sources(&src) {
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let code = fs::read_to_string(&path).unwrap();
        let code = without_tests(&code);
        let mut lexer = Lexer { code, at: 0 };
        while let Some((text, is_error)) = lexer.next() {
            // A message in the document has no backquotes in it.
            found.push(Literal { file: file.clone(), text: holes(&text.replace('`', "")), is_error });
        }
    }
    found
}

/// The messages of the document: what is in backquotes in the columns of its tables that have messages.
fn messages() -> Vec<String> {
    let text = fs::read_to_string(repository().join(DOCUMENT)).unwrap();
    let mut column = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else {
            column = column.filter(|_| line.starts_with('|'));
            continue;
        };
        let mut cells = row.split(" | ");
        match column {
            None => column = cells.position(|cell| cell == "message" || cell == "messages"),
            Some(column) => {
                let cell = cells.nth(column).unwrap_or_else(|| panic!("{line}: there is no such column"));
                found.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }
    assert!(found.len() > 150, "only {} messages were found", found.len());
    found
}

/// What is fixed in the literals of the code.
struct Parts {
    whole: BTreeSet<String>,
    /// All of them, with something between that no message has.
    joined: String,
}

impl Parts {
    fn new(literals: &[Literal]) -> Self {
        let parts = literals.iter().flat_map(Literal::parts).filter(|part| !part.is_empty());
        let whole: BTreeSet<String> = parts.map(str::to_owned).collect();
        let joined = whole.iter().flat_map(|part| [part, "\0"]).collect();
        Self { whole, joined }
    }

    /// Whether the code has a fragment of a message, in one literal or composed of several.
    fn have(&self, fragment: &str) -> bool {
        let begins = |end: usize| self.whole.iter().any(|part| part.ends_with(&fragment[..end]));
        self.joined.contains(fragment)
            || fragment
                .char_indices()
                .skip(1)
                .any(|(at, _)| begins(at) && self.compose(&fragment[at..], PIECES_MAX - 1))
    }

    /// Whether `rest` is whole parts one after the other, of the last one its beginning.
    fn compose(&self, rest: &str, pieces: usize) -> bool {
        let last = |part: &String| part.starts_with(rest);
        let is_piece = |piece: &str| self.whole.contains(piece) && piece.parse::<u64>().is_err();
        self.whole.range(rest.to_owned()..).next().is_some_and(last)
            || pieces > 1
                && rest
                    .char_indices()
                    .skip(1)
                    .any(|(at, _)| is_piece(&rest[..at]) && self.compose(&rest[at..], pieces - 1))
    }
}

/// Whether a message has, at its beginning or as the cause after a colon, what a literal becomes when something is put
/// into each of its places.
fn has_text(message: &str, text: &str) -> bool {
    let mut parts = text.split(HOLE);
    let first = parts.next().unwrap_or_default();
    let causes = message.match_indices(": ").map(|(at, colon)| at + colon.len());
    std::iter::once(0)
        .chain(causes)
        .any(|start| message[start..].strip_prefix(first).is_some_and(|rest| fills(rest, parts.clone())))
}

/// Whether something and the next part follow, for each of the parts.
fn fills(rest: &str, mut parts: std::str::Split<'_, &str>) -> bool {
    let Some(part) = parts.next() else { return true };
    let filled = rest.chars().next().map_or(0, char::len_utf8);
    filled > 0
        && rest[filled..]
            .match_indices(part)
            .any(|(at, _)| fills(&rest[filled + at + part.len()..], parts.clone()))
}

#[test]
fn every_message_of_the_document_is_in_the_code() {
    let parts = Parts::new(&literals());
    let mut missing = Vec::new();
    for message in messages() {
        let fragments = message.split(HOLE).filter(|fragment| !fragment.trim().is_empty());
        missing.extend(
            fragments.filter(|fragment| !parts.have(fragment)).map(|it| format!("{it:?} in {message:?}")),
        );
    }
    assert!(missing.is_empty(), "{DOCUMENT} has what the code does not say:\n{}", missing.join("\n"));
}

#[test]
fn every_error_text_of_the_code_is_in_the_document() {
    let (literals, messages) = (literals(), messages());
    let mut unused: BTreeSet<&str> = LEFT_OUT.iter().map(|(text, _)| *text).collect();
    let mut missing = BTreeSet::new();
    for Literal { file, text, .. } in literals.iter().filter(|literal| literal.is_message()) {
        if LEFT_OUT.iter().any(|(left_out, _)| left_out == text) {
            unused.remove(text.as_str());
        } else if !messages.iter().any(|message| has_text(message, text)) {
            missing.insert(format!("{file}: {text}"));
        }
    }
    let missing: Vec<String> = missing.into_iter().collect();
    assert!(missing.is_empty(), "{DOCUMENT} has no row for:\n{}", missing.join("\n"));
    assert!(unused.is_empty(), "the code does not have what is left out: {unused:?}");
}
