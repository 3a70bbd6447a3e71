use serde_json::Value;

use super::*;

const ENTRY: &str = r#"{"args":["podhosts-hook"],"env":[],"path":"/h","timeout":10}"#;

fn edit(text: &str, removed: &[usize]) -> Option<String> {
    let hook = Some(hook("/h", vec!["podhosts-hook".to_owned()], 10));
    let changes = Changes { hook, removed_mounts: removed, env: &[] };
    inject(text.as_bytes(), &changes).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn the_hook_goes_in_and_no_other_byte_changes() {
    let list = format!("[{ENTRY}]");
    let cases = [
        ("{}", format!(r#"{{"hooks":{{"createRuntime":{list}}}}}"#)),
        (" { } \n", format!(r#" {{"hooks":{{"createRuntime":{list}}}}} "#) + " \n"),
        (
            r#"{"a":1e999,"b":"\u0041" }"#,
            format!(r#"{{"a":1e999,"b":"\u0041","hooks":{{"createRuntime":{list}}} }}"#),
        ),
        (r#"{"hooks":null,"z":1}"#, format!(r#"{{"hooks":{{"createRuntime":{list}}},"z":1}}"#)),
        (r#"{"hooks":{},"z":1}"#, format!(r#"{{"hooks":{{"createRuntime":{list}}},"z":1}}"#)),
        (r#"{"hooks":{"x":[ ]}}"#, format!(r#"{{"hooks":{{"x":[ ],"createRuntime":{list}}}}}"#)),
        (r#"{"hooks":{"createRuntime":null}}"#, format!(r#"{{"hooks":{{"createRuntime":{list}}}}}"#)),
        (r#"{"hooks":{"createRuntime":[]}}"#, format!(r#"{{"hooks":{{"createRuntime":{list}}}}}"#)),
        (
            r#"{"hooks":{"createRuntime":[ {"path":"/n"} ]}}"#,
            format!(r#"{{"hooks":{{"createRuntime":[ {{"path":"/n"}},{ENTRY} ]}}}}"#),
        ),
    ];
    for (text, expected) in cases {
        let edited = edit(text, &[]).unwrap();
        // A space that stood before the closing bracket may stand on either side of what was added.
        let strip = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(strip(&edited), strip(&expected));
    }
}

#[test]
fn what_is_added_can_be_cut_out_again() {
    let text = "{\n\t\"ociVersion\": \"1.0.2\",\n\t\"hooks\": {\n\t\t\"poststop\": [\n\t\t\t{\"path\": \"/x\"}\n\t\t]\n\t}\n}\n";
    let edited = edit(text, &[]).unwrap();
    let added = format!(",\"createRuntime\":[{ENTRY}]");
    assert_eq!(edited.replacen(&added, "", 1), text);
}

#[test]
fn twice_is_once() {
    let once = edit(r#"{"mounts":[1,2,3]}"#, &[1]).unwrap();
    assert_eq!(edit(&once, &[]), None);
    assert_eq!(edit(r#"{"hooks":{"createRuntime":[{"path":"/h","args":["other"]}]}}"#, &[]), None);
}

#[test]
fn an_entry_that_knows_less_is_replaced() {
    let hook = hook("/h", ["podhosts-hook", "--kubelet-hosts", "/k"].map(str::to_owned).to_vec(), 10);
    let others = r#"{"hooks":{"createRuntime":[{"path":"/a"},{"path":"/h","args":["podhosts-hook"]} ,{"path":"/z"}]}}"#;
    let changes = Changes { hook: Some(hook), ..Changes::default() };
    let edited = inject(others.as_bytes(), &changes).unwrap().unwrap();
    let expected = r#"{"hooks":{"createRuntime":[{"path":"/a"},{"args":["podhosts-hook","--kubelet-hosts","/k"],"env":[],"path":"/h","timeout":10} ,{"path":"/z"}]}}"#;
    assert_eq!(String::from_utf8(edited).unwrap(), expected);
    assert!(inject(expected.as_bytes(), &changes).unwrap().is_none());
    // The wrapper again, with the kubelet's mount gone: what it wrote before stays.
    assert_eq!(edit(expected, &[]), None);
}

#[test]
fn mounts_go_with_one_comma_each() {
    let cases: [(&str, &[usize], &str); 9] = [
        ("[0, 1, 2]", &[0], "[1, 2]"),
        ("[0, 1, 2]", &[1], "[0, 2]"),
        ("[0, 1, 2 ]", &[2], "[0, 1 ]"),
        ("[0, 1, 2]", &[0, 2], "[1]"),
        ("[0, 1, 2]", &[1, 2], "[0]"),
        ("[0, 1, 2]", &[0, 1], "[2]"),
        ("[ 0, 1 ]", &[0, 1], "[  ]"),
        ("[0]", &[0], "[]"),
        ("[0, 1]", &[], "[0, 1]"),
    ];
    for (mounts, removed, expected) in cases {
        let edited =
            edit(&format!(r#"{{"mounts":{mounts},"hooks":{{"createRuntime":[{ENTRY}]}}}}"#), removed);
        let edited = edited.unwrap_or_else(|| format!("{{\"mounts\":{mounts},"));
        assert!(
            edited.starts_with(&format!(r#"{{"mounts":{expected},"#)),
            "{mounts} - {removed:?}: {edited}"
        );
    }
}

/// With a pass over the rest for each of them this takes minutes.
#[test]
fn a_million_mounts_are_taken_out_in_one_pass() {
    let mounts = vec!["0"; 1_000_000].join(",");
    let text = format!(r#"{{"mounts":[{mounts}],"hooks":{{"createRuntime":[{ENTRY}]}}}}"#);
    let every_second: Vec<usize> = (0..1_000_000).step_by(2).collect();
    assert_eq!(edit(&text, &every_second).unwrap().len(), text.len() - 1_000_000);
    let all: Vec<usize> = (0..1_000_000).collect();
    assert_eq!(edit(&text, &all).unwrap().len(), text.len() - mounts.len());
}

#[test]
fn brackets_in_strings_are_no_brackets() {
    let text = r#"{"a":"}]{[\"","mounts":[{"destination":"/}"},{"destination":"/etc/hosts"}],"b":"}"}"#;
    let edited: Value = serde_json::from_str(&edit(text, &[1]).unwrap()).unwrap();
    assert_eq!(edited["mounts"].as_array().unwrap().len(), 1);
    assert_eq!(edited["b"], "}");
    assert_eq!(edited["hooks"]["createRuntime"][0]["path"], "/h");
}

#[test]
fn another_shape_is_refused() {
    let hook = Some(hook("/h", Vec::new(), 1));
    let env = ["A=b".to_owned()];
    let changes = Changes { hook, removed_mounts: &[0], env: &env };
    for bad in [
        "",
        "[]",
        "{",
        r#"{"hooks":[]}"#,
        r#"{"hooks":{"createRuntime":{}}}"#,
        r#"{"hooks":{},"hooks":{}}"#,
        r#"{"mounts":{}}"#,
        r#"{"process":[]}"#,
        r#"{"process":{"env":{}}}"#,
        r#"{"process":{"env":[1]}}"#,
        "{} {}",
    ] {
        assert!(inject(bad.as_bytes(), &changes).is_err(), "{bad}");
    }
    assert!(matches!(inject(b"{\"a\":\"\xff\"}", &changes), Err(InjectError::NotUtf8)));
}

#[test]
fn variables_go_in_where_the_container_has_none_of_the_name() {
    let env = ["A=1".to_owned(), "B=a\"b".to_owned()];
    let cases = [
        (r#"{"process":{"env":["X=1"]},"z":1}"#, Some(r#"{"process":{"env":["X=1","A=1","B=a\"b"]},"z":1}"#)),
        (r#"{"process":{"env":[ "B=" , "AA=" ]}}"#, Some(r#"{"process":{"env":[ "B=" , "AA=","A=1" ]}}"#)),
        (r#"{"process":{"env":[]}}"#, Some(r#"{"process":{"env":["A=1","B=a\"b"]}}"#)),
        (r#"{"process":{"env":null}}"#, Some(r#"{"process":{"env":["A=1","B=a\"b"]}}"#)),
        (r#"{"process":{}}"#, Some(r#"{"process":{"env":["A=1","B=a\"b"]}}"#)),
        (r#"{"process":{"cwd":"/"}}"#, Some(r#"{"process":{"cwd":"/","env":["A=1","B=a\"b"]}}"#)),
        (r#"{"process":{"env":["A","B=2"]}}"#, None),
        (r#"{"process":null}"#, None),
        ("{}", None),
    ];
    for (text, expected) in cases {
        let changes = Changes { env: &env, ..Changes::default() };
        let edited =
            inject(text.as_bytes(), &changes).unwrap().map(|edited| String::from_utf8(edited).unwrap());
        assert_eq!(edited.as_deref(), expected, "{text}");
    }
}

/// A fixed sequence of numbers (xorshift).
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn space(&mut self) -> &'static str {
        self.pick(&["", "", " ", "\n\t", "\r\n  "])
    }

    /// `items` between brackets, with white space wherever JSON allows it.
    fn wrap(&mut self, open: char, items: &[String], close: char) -> String {
        let mut out = String::from(open);
        for (i, item) in items.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            out.push_str(&[comma, self.space(), item, self.space()].concat());
        }
        if items.is_empty() {
            out.push_str(self.space());
        }
        out.push(close);
        out
    }

    fn member(&mut self, key: &str, value: &str) -> String {
        [&format!("\"{key}\""), self.space(), ":", self.space(), value].concat()
    }

    fn scalar(&mut self) -> String {
        self.pick(&[
            "null",
            "true",
            "-1.50e-3",
            "\"}],{[\"",
            "\"\\\"\\u005d\\\\\"",
            "[]",
            "{}",
            "[ {} , [ ] ]",
        ])
        .to_owned()
    }

    fn mounts(&mut self) -> (String, usize) {
        let count = self.below(5);
        let items: Vec<String> = (0..count)
            .map(|_| {
                let destination = self.member("destination", "\"/]}\"");
                let other = self.scalar();
                let other = self.member("x", &other);
                self.wrap('{', &[destination, other], '}')
            })
            .collect();
        (self.wrap('[', &items, ']'), count)
    }

    fn hooks(&mut self) -> Option<String> {
        let entries: Vec<String> = (0..self.below(3)).map(|i| format!("{{\"path\":\"/{i}\"}}")).collect();
        let list = match self.below(3) {
            0 => None,
            1 => Some("null".to_owned()),
            _ => Some(self.wrap('[', &entries, ']')),
        };
        let others = (0..self.below(2)).map(|_| "\"poststop\":[ ]".to_owned());
        let mut members: Vec<String> = others.collect();
        if let Some(list) = list {
            let member = self.member("createRuntime", &list);
            members.insert(self.below(members.len() + 1), member);
        }
        match self.below(4) {
            0 => None,
            1 => Some("null".to_owned()),
            _ => Some(self.wrap('{', &members, '}')),
        }
    }
}

/// The same edit on values instead of text.
fn expected(text: &str, removed: &[usize]) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    if let Some(mounts) = value["mounts"].as_array_mut() {
        let mut index = 0;
        mounts.retain(|_| {
            index += 1;
            !removed.contains(&(index - 1))
        });
    }
    if value["mounts"].is_null() {
        value.as_object_mut().unwrap().remove("mounts");
    }
    let list = &mut value["hooks"]["createRuntime"];
    if list.is_null() {
        *list = Value::Array(Vec::new());
    }
    list.as_array_mut().unwrap().push(serde_json::from_str(ENTRY).unwrap());
    value
}

#[test]
fn any_configuration_in_any_spelling() {
    let mut sequence = Sequence(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        let mut members = Vec::new();
        let mut count = 0;
        if sequence.below(4) > 0 {
            let (mounts, number) = sequence.mounts();
            count = number;
            members.push(sequence.member("mounts", &mounts));
        }
        if let Some(hooks) = sequence.hooks() {
            let member = sequence.member("hooks", &hooks);
            members.insert(sequence.below(members.len() + 1), member);
        }
        for key in ["a", "z"] {
            if sequence.below(2) == 0 {
                let value = sequence.scalar();
                let member = sequence.member(key, &value);
                members.insert(sequence.below(members.len() + 1), member);
            }
        }
        let object = sequence.wrap('{', &members, '}');
        let text = [sequence.space(), &object, sequence.space()].concat();
        let removed: Vec<usize> = (0..count).filter(|_| sequence.below(2) == 0).collect();
        let edited = edit(&text, &removed).unwrap();
        let value: Value =
            serde_json::from_str(&edited).unwrap_or_else(|error| panic!("{error}\n{text}\n{edited}"));
        assert_eq!(value, expected(&text, &removed), "{text}\n{edited}");
        assert_eq!(edit(&edited, &[]), None, "{edited}");
    }
}
