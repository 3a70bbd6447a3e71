//! containerd with many pods at once, and containerd that ends while pods run.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::cni::is_there;
use crate::harness::containerd::{Containerd, Pod, each_containerd, sleeping};
use crate::harness::managed;

each_containerd!(
    fifty_pods_at_once,
    pods_outlive_a_containerd_that_is_stopped,
    pods_outlive_a_containerd_that_is_killed,
);

const PODS: usize = 50;

/// The file of a pod without aliases.
fn expected(name: &str, addresses: &[String]) -> String {
    managed(&addresses.iter().map(|address| format!("{address}\t{name}\n")).collect::<String>())
}

fn fifty_pods_at_once(containerd: &mut Containerd) {
    let containerd = &*containerd;
    let before = containerd.node.traces();
    let start = |number: usize| {
        let name = format!("pod-{number}");
        let pod = containerd.pod(&containerd.pod_config(&name));
        let id = pod.start(&sleeping("main"));
        let addresses = pod.addresses();
        assert_eq!(containerd.hosts(&id), expected(&name, &addresses));
        containerd.exec(&id, "echo >>/etc/hosts").failure();
        (pod, addresses)
    };
    let started: Vec<(Pod<'_>, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..PODS).map(|number| scope.spawn(move || start(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let distinct: BTreeSet<&String> = started.iter().flat_map(|(_, addresses)| addresses).collect();
    assert_eq!(distinct.len(), 2 * PODS);
    std::thread::scope(|scope| {
        for (pod, _) in started {
            scope.spawn(|| pod.remove());
        }
    });
    assert_eq!(containerd.ask(&["pods", "-q"]), "");
    assert_eq!(containerd.node.traces(), before);
}

fn pods_outlive_a_containerd_that_is_stopped(containerd: &mut Containerd) {
    pods_outlive(containerd, "TERM");
}

fn pods_outlive_a_containerd_that_is_killed(containerd: &mut Containerd) {
    pods_outlive(containerd, "KILL");
}

fn pods_outlive(containerd: &mut Containerd, signal: &str) {
    let before = containerd.node.traces();
    let names = ["web", "db"];
    let start = |name: &str| {
        let (id, file) = containerd.pod(&containerd.pod_config(name)).into_parts();
        let pod = Pod::new(containerd, &id, &file);
        let container = pod.start(&sleeping("main"));
        (id, file, container, pod.addresses())
    };
    let old = names.map(start);
    let seals = old.each_ref().map(|(_, _, container, _)| containerd.seal(container));

    containerd.end(signal);
    assert!(!containerd.crictl(&["info"]).ok);
    containerd.launch();

    for (number, (id, file, container, addresses)) in old.iter().enumerate() {
        let name = names[number];
        let pod = Pod::new(containerd, id, file);
        assert_eq!(pod.addresses(), *addresses);
        assert_eq!(containerd.hosts(container), expected(name, addresses));
        assert_eq!(containerd.seal(container), seals[number]);
        // A container that comes now gets the pod's file, too.
        let new = pod.start(&sleeping("late"));
        assert_eq!(containerd.hosts(&new), expected(name, addresses));
        assert_ne!(containerd.seal(&new), seals[number]);
    }
    let pod = containerd.pod(&containerd.pod_config("new"));
    let addresses = pod.addresses();
    assert!(old.iter().all(|(_, _, _, others)| others.iter().all(|other| !addresses.contains(other))));
    assert_eq!(containerd.hosts(&pod.start(&sleeping("main"))), expected("new", &addresses));

    let record = format!("/run/podhosts/pods/{}.json", pod.id);
    assert!(is_there(&containerd.node, &record));
    pod.remove();
    assert!(!is_there(&containerd.node, &record));
    for (id, file, ..) in &old {
        Pod::new(containerd, id, file).remove();
    }
    assert_eq!(containerd.node.traces(), before);
    assert_eq!(fs::read_dir(containerd.node.file("/run/podhosts/pods")).unwrap().count(), 0);
}
