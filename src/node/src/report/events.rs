//! Events about this Node: each problem once when it comes, and once when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::api::fault;
use crate::problem::Problem;
use crate::run::Agent;

/// The pause after an Event that was not taken.
const PAUSE: Duration = Duration::from_secs(2);
/// How often an Event is tried that was not answered.
const TRIES: usize = 3;
/// The longest note that the API takes, in bytes.
const NOTE_MAX: usize = 1024;
/// How long a recorder adds to an Event that it has created, instead of creating another one.
const SERIES: Duration = Duration::from_secs(360);
/// As many Events of that time have notes of their own.
const NOTES: usize = 32;

/// A problem, and whether it is over.
type News = (Problem, bool);

/// Recorders of Events. A recorder adds to the Event that it has of a reason, whose note stays the first one, so each problem
/// has a recorder of its own. If there are very many, one is for the rest: thousands of Events would tell less.
struct Recorders {
    client: Client,
    reporter: Reporter,
    own: BTreeMap<News, (Recorder, Instant)>,
    rest: Recorder,
}

impl Recorders {
    fn new(client: Client, reporter: Reporter) -> Self {
        let rest = Recorder::new(client.clone(), reporter.clone());
        Self { client, reporter, own: BTreeMap::new(), rest }
    }

    fn of(&mut self, news: &News, now: Instant) -> &Recorder {
        self.own.retain(|_, (_, last)| now.duration_since(*last) < SERIES);
        if self.own.len() >= NOTES && !self.own.contains_key(news) {
            return &self.rest;
        }
        let new = || (Recorder::new(self.client.clone(), self.reporter.clone()), now);
        let (recorder, last) = self.own.entry(news.clone()).or_insert_with(new);
        *last = now;
        recorder
    }
}

/// Tells of problems that come and go. It does not end.
pub(crate) async fn tell(agent: &Agent, name: String) {
    let reporter = Reporter { controller: crate::PROGRAM.to_owned(), instance: Some(name.clone()) };
    let mut recorders = Recorders::new(agent.client.clone(), reporter);
    let mut told: BTreeSet<Problem> = BTreeSet::new();
    let mut uid = String::new();
    loop {
        let mut changed = std::pin::pin!(agent.standing.changed.notified());
        let mut renoded = std::pin::pin!(agent.renoded.notified());
        changed.as_mut().enable();
        renoded.as_mut().enable();
        // A Node that is registered anew is another object, of which nothing was told.
        let known = agent.cluster.borrow().nodes.get(&name).map(|node| node.uid.clone());
        if let Some(known) = known.filter(|known| *known != uid) {
            uid = known;
            told.clear();
        }
        let now: BTreeSet<Problem> = agent.standing.problems().into_iter().collect();
        let due = told.symmetric_difference(&now).next().cloned().filter(|_| !uid.is_empty());
        let Some(problem) = due else {
            tokio::select! {
                () = changed => {}
                () = renoded => {}
            }
            continue;
        };
        let is_over = told.contains(&problem);
        if is_over {
            tracing::info!(reason = problem.reason, node = problem.node, "no longer: {}", problem.text);
        } else {
            tracing::warn!(reason = problem.reason, node = problem.node, "{}", problem.text);
        }
        let news = (problem, is_over);
        let recorder = recorders.of(&news, Instant::now());
        publish(recorder, &event(&news.0, is_over), &reference(&name, &uid)).await;
        // The Node's condition has it also if the Event was not taken.
        if is_over {
            told.remove(&news.0);
        } else {
            told.insert(news.0);
        }
    }
}

/// Creates an Event, or adds to it. A connection that was idle may end just when it is used, so that is tried again; an answer
/// counts.
async fn publish(recorder: &Recorder, event: &Event, node: &ObjectReference) {
    for left in (0..TRIES).rev() {
        let Err(error) = recorder.publish(event, node).await else { return };
        tracing::warn!("cannot create an Event: {}", fault::text(&error));
        tokio::time::sleep(PAUSE).await;
        if left == 0 || matches!(error, kube::Error::Api(_)) {
            return;
        }
    }
}

/// The Node that Events are about.
fn reference(name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

fn event(problem: &Problem, is_over: bool) -> Event {
    let note = if is_over { format!("no longer: {}", problem.text) } else { problem.text.clone() };
    Event {
        type_: if is_over { EventType::Normal } else { EventType::Warning },
        reason: problem.reason.to_owned(),
        note: Some(note[..note.floor_char_boundary(NOTE_MAX)].to_owned()),
        action: "Program".to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(text: usize, is_over: bool) -> News {
        (Problem { reason: "PodCIDRConflict", node: None, text: text.to_string() }, is_over)
    }

    #[test]
    fn each_of_a_few_problems_has_an_event_of_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut recorders = Recorders::new(client, "test".into());
        let begun = Instant::now();
        for text in 0..NOTES / 2 {
            for is_over in [false, true, false] {
                recorders.of(&news(text, is_over), begun);
            }
        }
        assert_eq!(recorders.own.len(), NOTES);
        // One more is one of the rest, until the others are old; those that are known go on.
        recorders.of(&news(NOTES, false), begun);
        assert_eq!(recorders.own.len(), NOTES);
        recorders.of(&news(0, true), begun + SERIES / 2);
        recorders.of(&news(NOTES, false), begun + SERIES);
        let left: Vec<&News> = recorders.own.keys().collect();
        assert_eq!(left, [&news(0, true), &news(NOTES, false)]);
    }

    /// A server that gives each connection the next of these answers, and closes it; how many came.
    async fn serve(answers: &[&str]) -> (Recorder, tokio::task::JoinHandle<usize>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
        let answers: Vec<String> = answers.iter().map(|it| (*it).to_owned()).collect();
        let serving = tokio::spawn(async move {
            let mut count = 0;
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                count += stream.read(&mut [0; 4096]).await.unwrap().min(1);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            count
        });
        (Recorder::new(client, "test".into()), serving)
    }

    #[test]
    fn an_event_without_an_answer_is_tried_again_and_a_refused_one_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = |status: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        let created = answer("201 Created", r#"{"metadata": {"name": "x"}, "eventTime": null}"#);
        let refused = answer(
            "403 Forbidden",
            r#"{"kind": "Status", "status": "Failure", "message": "no", "code": 403}"#,
        );
        runtime.block_on(async {
            let event = event(&news(1, false).0, false);
            let (recorder, serving) = serve(&["", &created]).await;
            publish(&recorder, &event, &reference("n", "u")).await;
            let asked = tokio::time::timeout(Duration::from_secs(30), serving).await;
            assert_eq!(asked.expect("it is not tried again").unwrap(), 2);
            let (recorder, serving) = serve(&[&refused, "none"]).await;
            publish(&recorder, &event, &reference("n", "u")).await;
            assert!(!serving.is_finished());
        });
    }
}
