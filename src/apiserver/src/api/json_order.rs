//! Puts the faults of a JSON body into the order in which they stand in it, as `UnmarshalStrict` in
//! `sigs.k8s.io/json/json.go` tells them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Sorts faults such as `unknown field "spec.x"` by their places. What is twice below an unknown field is not told.
pub(super) fn sorted(bytes: &[u8], faults: Vec<String>) -> Vec<String> {
    if faults.len() < 2 {
        return faults;
    }
    let path = |fault: &str| {
        let path = fault.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"'));
        path.unwrap_or_default().to_owned()
    };
    let paths: Vec<String> = faults.iter().map(|fault| path(fault)).collect();
    let mut found = vec![Vec::new(); paths.len()];
    let here = (0..paths.len()).map(|index| (index, 0)).collect();
    let seed = Seed { paths: &paths, found: &mut found, count: &mut 0, here };
    // The body was read before, so this cannot fail.
    let _ = seed.deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    let is_unknown = |index: usize| faults[index].starts_with("unknown");
    let unknown: Vec<&str> =
        (0..paths.len()).filter(|index| is_unknown(*index)).map(|index| &*paths[index]).collect();
    let is_told = |path: &str| {
        !unknown.iter().any(|above| {
            path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    let mut placed: Vec<(usize, usize)> = Vec::new();
    for index in 0..paths.len() {
        if !is_unknown(index) && !is_told(&paths[index]) {
            continue;
        }
        // A field that is there three times is told twice.
        let earlier = (0..index).filter(|other| !is_unknown(*other) && paths[*other] == paths[index]).count();
        let occurrence = if is_unknown(index) { 0 } else { earlier + 1 };
        placed.push((found[index].get(occurrence).copied().unwrap_or(usize::MAX), index));
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, index)| faults[index].clone()).collect()
}

/// Notes where paths occur, by the number of the member.
struct Seed<'a> {
    paths: &'a [String],
    found: &'a mut Vec<Vec<usize>>,
    count: &'a mut usize,
    /// The paths that may lead through the value, and how much of each is behind.
    here: Vec<(usize, usize)>,
}

impl Seed<'_> {
    /// The paths that go on with a step.
    fn behind(&self, step: &str) -> Vec<(usize, usize)> {
        let go_on = |(index, at): &(usize, usize)| {
            let path = &self.paths[*index];
            let rest = path.get(*at..)?;
            let rest = if *at == 0 || step.starts_with('[') { rest } else { rest.strip_prefix('.')? };
            let rest = rest.strip_prefix(step)?;
            Some((*index, path.len() - rest.len()))
        };
        self.here.iter().filter_map(go_on).collect()
    }

    fn inside(&mut self, here: Vec<(usize, usize)>) -> Seed<'_> {
        Seed { paths: self.paths, found: self.found, count: self.count, here }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.here.is_empty() {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let here = self.behind(&format!("[{index}]"));
            if items.next_element_seed(self.inside(here))?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            *self.count += 1;
            let here = self.behind(&key);
            for (index, at) in &here {
                if *at == self.paths[*index].len() {
                    self.found[*index].push(*self.count);
                }
            }
            entries.next_value_seed(self.inside(here))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kube-apiserver 1.36.2 told of these bodies.
    #[test]
    fn faults_are_told_as_they_stand() {
        let told = |text: &str, duplicates: &[&str], unknown: &[&str]| {
            let duplicates = duplicates.iter().map(|path| format!("duplicate field {path:?}"));
            let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
            sorted(text.as_bytes(), duplicates.chain(unknown).collect()).join(", ")
        };
        let text = r#"{"metadata":{"name":"x"},"zzz":1,"data":{"a":"1","a":"2"},"bbb":2,"immutable":true,"immutable":true,"aaa":1}"#;
        let expected = r#"unknown field "zzz", duplicate field "data.a", unknown field "bbb", duplicate field "immutable", unknown field "aaa""#;
        assert_eq!(told(text, &["data.a", "immutable"], &["aaa", "bbb", "zzz"]), expected);
        let text = r#"{"zz":{"a":1,"a":2},"metadata":{"labels":{"a":"b","a":"c"}},"aa":1,"xx":1,"xx":2}"#;
        let expected = r#"unknown field "zz", duplicate field "metadata.labels.a", unknown field "aa", unknown field "xx""#;
        assert_eq!(told(text, &["zz.a", "metadata.labels.a", "xx"], &["aa", "xx", "zz"]), expected);
        // In lists, with dots in names, and three times.
        let text = r#"{"b":[{"x":1},{"c.d":1,"c.d":2,"c":{"d":3},"c.d":4,"x":1}],"a":0}"#;
        let expected = r#"unknown field "b[0].x", duplicate field "b[1].c.d", duplicate field "b[1].c.d", unknown field "b[1].x", unknown field "a""#;
        assert_eq!(told(text, &["b[1].c.d", "b[1].c.d"], &["a", "b[0].x", "b[1].x"]), expected);
    }
}
