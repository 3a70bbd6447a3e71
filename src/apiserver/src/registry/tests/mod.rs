mod found;
mod watches;
mod writes;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::accounts::Account;
use crate::kinds::ip_address;
use crate::resource::Transaction;
use crate::schema::Type;
use crate::selector::Selector;

/// A kind that takes an address for each of its objects, and refuses those labelled so.
struct Things;

static NO_FIELDS: Type = Type::open("", "", &[]);

static THINGS: Kind = Kind { namespaced: false, ..Kind::new("test", "Thing", "things", "thing", &NO_FIELDS) };

static ADDRESSES: Kind = Kind {
    numbers: ip_address::KIND.numbers,
    namespaced: false,
    ..Kind::new("test", "IPAddress", "ipaddresses", "ipaddress", &NO_FIELDS)
};

struct Addresses;

impl Resource for Addresses {
    fn kind(&self) -> &'static Kind {
        &ADDRESSES
    }

    fn create(&self, _: &mut dyn Transaction, _: &mut Object) -> Result<(), ApiError> {
        Ok(())
    }

    fn update(&self, _: &mut dyn Transaction, _: &mut Object, _: &Object) -> Result<(), ApiError> {
        Ok(())
    }

    fn cells(&self, _: &Object, _: i64) -> Vec<Value> {
        Vec::new()
    }
}

impl Resource for Things {
    fn kind(&self) -> &'static Kind {
        &THINGS
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        let number =
            transaction.free(Account::V4, 1, 100).ok_or_else(|| ApiError::internal("range is full"))?;
        let ip = std::net::Ipv4Addr::from(u32::try_from(number).unwrap_or_default()).to_string();
        object.spec_mut().insert("ip".to_owned(), ip.clone().into());
        let mut address = Object::from_value(json!({"metadata": {"name": ip}})).unwrap();
        transaction.put(&ADDRESSES, &mut address)?;
        if object.labels().any(|label| label.0 == "refused") {
            return Err(ApiError::invalid(&THINGS, object.name(), &[]));
        }
        Ok(())
    }

    fn update(&self, _: &mut dyn Transaction, _: &mut Object, _: &Object) -> Result<(), ApiError> {
        Ok(())
    }

    fn delete(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let ip = object.spec()["ip"].as_str().unwrap_or_default().to_owned();
        transaction.remove(&ADDRESSES, "", &ip)
    }

    fn cells(&self, _: &Object, _: i64) -> Vec<Value> {
        Vec::new()
    }
}

fn open(dir: &Path) -> Registry {
    Registry::open(&dir.join("db"), vec![Box::new(Things), Box::new(Addresses)]).unwrap()
}

fn thing(name: &str, labels: Value) -> Object {
    Object::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn create(registry: &Registry, name: &str, labels: Value, dry_run: bool) -> Result<Object, ApiError> {
    let options = WriteOptions { dry_run, ..WriteOptions::default() };
    run(registry.create(&THINGS, "", thing(name, labels), options)).and_then(|stored| stored.object())
}

fn names(registry: &Registry, kind: &'static Kind) -> Vec<String> {
    let list = registry.list(kind, &ListQuery::default()).unwrap();
    list.items.iter().map(|stored| stored.object().unwrap().name().to_owned()).collect()
}

#[test]
fn what_is_created_is_there_after_the_next_start_and_versions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let made = create(&registry, "a", json!({}), false).unwrap();
    assert_eq!((made.spec()["ip"].as_str(), made.uid().len()), (Some("0.0.0.1"), 36));
    assert_eq!(made.0["apiVersion"], "test/v1");
    let exists = create(&registry, "a", json!({}), false).unwrap_err();
    assert_eq!(exists.message, "things.test \"a\" already exists");
    assert_eq!(names(&registry, &ADDRESSES), ["0.0.0.1"]);
    run(registry.delete(&THINGS, "", "a", DeleteOptions::default())).unwrap();
    let last = registry.resource_version();
    assert!(last > made.resource_version());
    drop(registry);
    let registry = open(dir.path());
    assert_eq!(registry.resource_version(), last);
    assert!(names(&registry, &THINGS).is_empty() && names(&registry, &ADDRESSES).is_empty());
    let again = create(&registry, "a", json!({}), false).unwrap();
    assert!(again.resource_version() > last);
    assert_ne!(again.uid(), made.uid());
}

#[test]
fn what_is_refused_or_a_dry_run_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let version = registry.resource_version();
    assert_eq!(create(&registry, "a", json!({"refused": ""}), false).unwrap_err().code, 422);
    let dry = create(&registry, "a", json!({}), true).unwrap();
    assert_eq!(dry.spec()["ip"], "0.0.0.1");
    assert_eq!(dry.metadata().get("resourceVersion"), None);
    assert_eq!(registry.resource_version(), version);
    assert!(names(&registry, &THINGS).is_empty() && names(&registry, &ADDRESSES).is_empty());
    // The address was given back both times.
    assert_eq!(create(&registry, "b", json!({}), false).unwrap().spec()["ip"], "0.0.0.1");
}

#[test]
fn what_is_too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let long = |size: usize| json!({"x": "y".repeat(size)});
    assert!(create(&registry, "a", long(1_570_000), false).is_ok());
    let error = create(&registry, "b", long(1_573_000), false).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (413, "Request entity is too large: limit is 1572864"));
    assert_eq!(names(&registry, &THINGS), ["a"]);
}

#[test]
fn many_at_once_share_a_commit_and_no_address() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let labels = |n: usize| if n.is_multiple_of(7) { json!({"refused": ""}) } else { json!({}) };
    let all: Vec<Result<Object, ApiError>> = std::thread::scope(|scope| {
        let ten = |first: usize| {
            let registry = &registry;
            scope.spawn(move || {
                let one = |n| create(registry, &format!("t{n}"), labels(n), false);
                (first..first + 11).map(one).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..110).step_by(11).map(ten).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let ips: BTreeSet<String> =
        all.iter().flatten().map(|object| object.spec()["ip"].as_str().unwrap().to_owned()).collect();
    assert_eq!((all.iter().filter(|result| result.is_ok()).count(), ips.len()), (94, 94));
    assert_eq!(names(&registry, &ADDRESSES).len(), 94);
}

#[test]
fn updates_see_what_others_did() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let made = create(&registry, "a", json!({}), false).unwrap();
    let update = |change| run(registry.update(&THINGS, "", "a", change, WriteOptions::default()));
    let mut changed = made.clone();
    changed.metadata_mut().insert("labels".to_owned(), json!({"x": "y"}));
    let now = update(Change::Replace(changed.clone())).unwrap().stored.object().unwrap();
    assert_eq!((now.uid(), now.resource_version() > made.resource_version()), (made.uid(), true));
    let mut other = now.clone();
    other.metadata_mut().insert("labels".to_owned(), json!({"x": "z"}));
    let dry_run = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let dry = run(registry.update(&THINGS, "", "a", Change::Replace(other), dry_run)).unwrap();
    assert_eq!(dry.stored.object().unwrap().resource_version(), now.resource_version());
    let stale = update(Change::Replace(changed)).unwrap_err();
    assert_eq!((stale.code, stale.reason), (409, "Conflict"));
    assert!(stale.message.ends_with("please apply your changes to the latest version and try again"));
    // A change that changes nothing has no version of its own.
    let same = update(Change::Patch(Box::new(|old| Ok(old.unwrap().clone())))).unwrap();
    assert_eq!(
        (same.stored.object().unwrap().resource_version(), same.created),
        (now.resource_version(), false)
    );
    let other_name = update(Change::Replace(thing("b", json!({})))).unwrap_err();
    assert_eq!(other_name.code, 400);
    let none = run(registry.update(
        &THINGS,
        "",
        "b",
        Change::Replace(thing("b", json!({}))),
        WriteOptions::default(),
    ));
    assert_eq!(none.unwrap_err().code, 404);
    let applied = Change::Patch(Box::new(|old| {
        assert!(old.is_none());
        Ok(thing("b", json!({})))
    }));
    assert!(run(registry.update(&THINGS, "", "b", applied, WriteOptions::default())).unwrap().created);
}

#[test]
fn finalizers_keep_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    create(&registry, "a", json!({}), false).unwrap();
    let finalizers = |list: Value| {
        let patch = move |old: Option<&Object>| {
            let mut object = old.unwrap().clone();
            object.metadata_mut().insert("finalizers".to_owned(), list);
            Ok(object)
        };
        run(registry.update(&THINGS, "", "a", Change::Patch(Box::new(patch)), WriteOptions::default()))
            .unwrap()
    };
    let uid = finalizers(json!(["x/y"])).stored.object().unwrap().uid().to_owned();
    let delete = |options: DeleteOptions| run(registry.delete(&THINGS, "", "a", options));
    let wrong = DeleteOptions { uid: Some("other".to_owned()), ..DeleteOptions::default() };
    let why = "on Thing.test \"a\": the UID in the precondition (other) does not match the UID in record";
    let told = delete(wrong).unwrap_err().message;
    assert!(told.contains(why), "{told}");
    let right = DeleteOptions { uid: Some(uid), ..DeleteOptions::default() };
    let Deleted::Pending(pending) = delete(right).unwrap() else { panic!("gone at once") };
    assert!(pending.object().unwrap().is_being_deleted());
    assert!(matches!(delete(DeleteOptions::default()).unwrap(), Deleted::Pending(_)));
    let applied = json!({"metadata": {"name": "a"}}).as_object().unwrap().clone();
    let apply = |old: Option<&Object>, _: &Applied| {
        let mut object = old.unwrap().clone();
        object.metadata_mut().remove("finalizers");
        Ok(object)
    };
    let change = Change::Apply(applied, Box::new(apply));
    run(registry.update(&THINGS, "", "a", change, WriteOptions::default())).unwrap();
    assert!(names(&registry, &THINGS).is_empty() && names(&registry, &ADDRESSES).is_empty());
    // The next object of that name starts without its data.
    let reader = Store::open_for_reading(&dir.path().join("db")).unwrap();
    assert!(reader.applied(&THINGS, "", "a").unwrap().is_empty());
}

#[test]
fn lists_come_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    for n in 0..10 {
        create(&registry, &format!("t{n}"), json!({"odd": (n % 2).to_string()}), false).unwrap();
    }
    let mut query = ListQuery { limit: 4, ..ListQuery::default() };
    let first = registry.list(&THINGS, &query).unwrap();
    assert_eq!((first.items.len(), first.remaining), (4, Some(6)));
    query.continue_token = first.continue_token.unwrap();
    let second = registry.list(&THINGS, &query).unwrap();
    assert_eq!(
        (second.items.len(), second.remaining, second.resource_version),
        (4, Some(2), first.resource_version)
    );
    query.continue_token = second.continue_token.unwrap();
    let last = registry.list(&THINGS, &query).unwrap();
    assert_eq!((last.items.len(), last.continue_token), (2, None));
    query = ListQuery { selector: Selector::parse("odd=1", "").unwrap(), limit: 5, ..ListQuery::default() };
    let odd = registry.list(&THINGS, &query).unwrap();
    assert_eq!((odd.items.len(), odd.continue_token), (5, None));
    query.continue_token = "x".to_owned();
    assert_eq!(registry.list(&THINGS, &query).unwrap_err().code, 400);
    assert_eq!(registry.get(&THINGS, "", "none").unwrap_err().message, "things.test \"none\" not found");
}

#[test]
fn what_cannot_be_read_is_an_error_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    for name in ["a", "b", "c"] {
        store.put(&THINGS, "", name, 1, "{").unwrap();
    }
    drop(store);
    let registry = open(dir.path());
    let mut query = ListQuery { limit: 1, ..ListQuery::default() };
    for expected in [Some(2), Some(1), None] {
        let list = registry.list(&THINGS, &query).unwrap();
        assert_eq!((list.items.len(), list.remaining), (1, expected));
        query.continue_token = list.continue_token.unwrap_or_default();
    }
    query = ListQuery { selector: Selector::parse("a", "").unwrap(), ..ListQuery::default() };
    let error = registry.list(&THINGS, &query).unwrap_err();
    assert!(error.code == 500 && error.message.contains("cannot read a stored object"), "{error:?}");
    assert_eq!(run(registry.delete(&THINGS, "", "a", DeleteOptions::default())).unwrap_err().code, 500);
}

#[test]
fn what_waits_keeps_its_room_and_is_not_done_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let (block, blocked) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let wait = Change::Patch(Box::new(move |_| {
        begun.send(()).unwrap();
        let _ = blocked.recv();
        Err(ApiError::internal("it waited"))
    }));
    let writing = {
        let registry = registry.clone();
        std::thread::spawn(move || run(registry.update(&THINGS, "", "x", wait, WriteOptions::default())))
    };
    has_begun.recv().unwrap();
    let room = Arc::new(());
    run(async {
        let registry = registry.holding(Arc::clone(&room));
        let creating = registry.create(&THINGS, "", thing("a", json!({})), WriteOptions::default());
        // The client asks, and does not wait.
        assert!(tokio::time::timeout(std::time::Duration::ZERO, creating).await.is_err());
    });
    assert_eq!(Arc::strong_count(&room), 2);
    drop(block);
    assert_eq!(writing.join().unwrap().unwrap_err().code, 500);
    create(&registry, "b", json!({}), false).unwrap();
    assert_eq!((Arc::strong_count(&room), names(&registry, &THINGS)), (1, vec!["b".to_owned()]));
}

/// SQLite takes back the whole transaction where, say, the disk is full. What comes after that in a batch must not be kept
/// on its own.
#[test]
fn a_batch_whose_transaction_is_lost_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    let version = store.version().unwrap();
    let mut writer = Writer {
        store,
        resources: Arc::new(vec![Box::new(Things), Box::new(Addresses)]),
        accounts: Arc::default(),
        dependents: Default::default(),
        is_counted: true,
        has_lost_savepoint: false,
        version,
        events: Arc::new(Events::new(version)),
        wake: None,
        has_notes: false,
        allocations: Arc::default(),
        found: Found::default(),
        committed: Arc::default(),
        mark: VersionMark::begin(&dir.path().join("db"), version),
    };
    let batch = |writer: &mut Writer, works: Vec<Work>| {
        let (jobs, answers): (Vec<Job>, Vec<_>) = works
            .into_iter()
            .map(|work| {
                let (reply, answer) = oneshot::channel();
                (Job { work, dry_run: false, reply, _held: None }, answer)
            })
            .unzip();
        writer.batch(jobs);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap().is_ok()).collect::<Vec<_>>()
    };
    let make = |name: &'static str| -> Work {
        Box::new(move |pending| {
            super::create(pending, &THINGS, "", thing(name, json!({}))).map(Outcome::Created)
        })
    };
    let lose: Work = Box::new(|pending| {
        pending.store.db.execute_batch("ROLLBACK").unwrap();
        Err(ApiError::internal("the disk is full"))
    });
    assert_eq!(batch(&mut writer, vec![make("a"), lose, make("c")]), [false, false, false]);
    assert!(writer.store.list(&THINGS, None, ("", ""), 10).unwrap().is_empty());
    assert_eq!((writer.version, writer.wake.is_some()), (version, true));
    assert_eq!(batch(&mut writer, vec![make("b")]), [true]);
    assert_eq!(writer.store.list(&THINGS, None, ("", ""), 10).unwrap().len(), 1);
}
