//! `/healthz`, `/livez` and `/readyz` with their checks (`k8s.io/apiserver/pkg/server/healthz/healthz.go`).

use hyper::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::answer::{self, Answer, set};
use super::call::Shared;
use crate::api::path::Health;
use crate::kinds::namespace;
use crate::registry::ListQuery;
use crate::status::ApiError;
use pod::validation::go_quote;

/// One check. Their names are upstream's: `etcd` is the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Ping,
    Etcd,
    Shutdown,
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Etcd => "etcd",
            Self::Shutdown => "shutdown",
        }
    }

    fn run(self, shared: &Shared) -> Result<(), String> {
        match self {
            Self::Ping => Ok(()),
            Self::Etcd => {
                let query = ListQuery { limit: 1, ..ListQuery::default() };
                let found = tokio::task::block_in_place(|| shared.registry.list(&namespace::KIND, &query));
                found.map(|_| ()).map_err(|error| error.message)
            }
            // Load balancers notice by this that the server stops.
            Self::Shutdown if *shared.stopping.borrow() => Err("process is shutting down".to_owned()),
            Self::Shutdown => Ok(()),
        }
    }
}

/// The checks of a path. Only `/readyz` fails when the server stops.
const fn checks(path: Health) -> (&'static str, &'static [Check]) {
    match path {
        Health::Healthz => ("healthz", &[Check::Ping, Check::Etcd]),
        Health::Livez => ("livez", &[Check::Ping, Check::Etcd]),
        Health::Readyz => ("readyz", &[Check::Ping, Check::Etcd, Check::Shutdown]),
    }
}

/// The answer of all checks of a path, or of the one that is named below it.
///
/// # Errors
/// `NotFound` if the path has no such check.
pub(super) fn page(
    shared: &Shared,
    path: Health,
    check: Option<&str>,
    query: &str,
) -> Result<Answer, ApiError> {
    let (name, all) = checks(path);
    let mut answer = match check {
        None => {
            let ran = all.iter().map(|check| (check.name(), check.run(shared)));
            let (code, text) = summary(name, &ran.collect::<Vec<_>>(), query);
            answer::plain(code, text)
        }
        Some(check) => {
            let check = all.iter().find(|one| one.name() == check).ok_or_else(ApiError::no_such_path)?;
            match check.run(shared) {
                Ok(()) => answer::plain(200, "ok"),
                Err(why) => answer::plain(500, format!("internal server error: {why}\n")),
            }
        }
    };
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(answer)
}

/// What the checks of `name` add up to. Each is told with `verbose`, and if one failed; those in `exclude` do not count.
fn summary(name: &str, ran: &[(&str, Result<(), String>)], query: &str) -> (u16, String) {
    let asked: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut excluded: Vec<&str> =
        asked.iter().filter(|(key, _)| key == "exclude").map(|(_, value)| value.as_str()).collect();
    excluded.sort_unstable();
    excluded.dedup();
    let (mut text, mut has_failed) = (String::new(), false);
    for (check, found) in ran {
        if excluded.contains(check) {
            text.push_str(&format!("[+]{check} excluded: ok\n"));
        } else if found.is_err() {
            has_failed = true;
            text.push_str(&format!("[-]{check} failed: reason withheld\n"));
        } else {
            text.push_str(&format!("[+]{check} ok\n"));
        }
    }
    excluded.retain(|one| !ran.iter().any(|(check, _)| check == one));
    if !excluded.is_empty() {
        let names: Vec<String> = excluded.into_iter().map(go_quote).collect();
        let names = names.join(", ");
        text.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    if has_failed {
        return (500, format!("{text}{name} check failed\n"));
    }
    if asked.iter().any(|(key, _)| key == "verbose") {
        return (200, format!("{text}{name} check passed\n"));
    }
    (200, "ok".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `handleRootHealth`.
    #[test]
    fn checks_are_told_and_excluded() {
        let good = [("ping", Ok(())), ("etcd", Ok(()))];
        let bad = [("ping", Ok(())), ("etcd", Err("gone".to_owned()))];
        let failed = "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n";
        let warn = "warn: some health checks cannot be excluded: no matches for ";
        for (ran, query, expected) in [
            (&good, "", (200, "ok".to_owned())),
            (&good, "verbose=0", (200, "[+]ping ok\n[+]etcd ok\nlivez check passed\n".to_owned())),
            (
                &good,
                "verbose&exclude=x&exclude=etcd&exclude=a",
                (200, format!("[+]ping ok\n[+]etcd excluded: ok\n{warn}\"a\", \"x\"\nlivez check passed\n")),
            ),
            (&good, "exclude=x", (200, "ok".to_owned())),
            (&bad, "", (500, failed.to_owned())),
            (&bad, "exclude=etcd", (200, "ok".to_owned())),
        ] {
            assert_eq!(summary("livez", ran, query), expected, "{query}");
        }
    }
}
