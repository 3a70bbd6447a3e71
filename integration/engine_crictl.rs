//! What the tests rely on crictl for, so that the example and a real one are known to do the same.

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, each_containerd, sleeping};
use crate::harness::image;

each_containerd!(lists_and_statuses, logs_and_commands, failures, files_in_yaml);

/// The words of a line.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn lists_and_statuses(containerd: &mut Containerd) {
    assert_eq!(
        words(&containerd.ask(&["pods"])),
        "POD ID CREATED STATE NAME NAMESPACE ATTEMPT RUNTIME".split(' ').collect::<Vec<_>>()
    );
    let mut config = containerd.pod_config("web");
    config["labels"] = json!({"app": "web"});
    config["linux"]["security_context"] = json!({"namespace_options": {}});
    let pod = containerd.pod(&config);
    let id = pod.start(&sleeping("main"));
    assert!(pod.id.len() == 64 && id.len() == 64, "{} {id}", pod.id);

    let row = containerd.ask(&["pods"]).lines().nth(1).unwrap().to_owned();
    let row = words(&row);
    assert_eq!(
        (row[0], &row[row.len() - 5..]),
        (&pod.id[..13], &["Ready", "web", "default", "1", "podhosts"][..])
    );
    assert_eq!(containerd.ask(&["pods", "-q", "--name", "^we"]), pod.id);
    assert_eq!(containerd.ask(&["pods", "-q", "--name", "db"]), "");
    assert_eq!(containerd.ask(&["pods", "-q", "--label", "app=web", "--state", "ready"]), pod.id);
    let pods: Value = serde_json::from_str(&containerd.ask(&["pods", "-o", "json"])).unwrap();
    let first = &pods["items"][0];
    assert_eq!((&first["state"], &first["runtimeHandler"]), (&"SANDBOX_READY".into(), &"podhosts".into()));
    assert_eq!((&first["metadata"], &first["labels"]), (&config["metadata"], &config["labels"]));
    assert!(first["createdAt"].as_str().unwrap().parse::<u64>().is_ok(), "{first}");

    assert_eq!(containerd.ask(&["ps", "-q", "--pod", &pod.id]), id);
    let row = containerd.ask(&["ps"]).lines().nth(1).unwrap().to_owned();
    assert!(words(&row).contains(&"Running") && words(&row).contains(&&id[..13]), "{row}");
    let status = containerd.inspect("inspect", &id);
    assert_eq!(status["status"]["state"], "CONTAINER_RUNNING");
    assert_eq!(status["status"]["metadata"], json!({"name": "main", "attempt": 0}));
    assert!(status["info"]["pid"].as_u64().unwrap() > 1);
    let status = containerd.inspect("inspectp", &pod.id);
    assert_eq!(status["status"]["linux"]["namespaces"]["options"]["network"], "POD");
    assert!(status["status"]["createdAt"].as_str().unwrap().contains('T'));

    assert_eq!(containerd.ask(&["stop", &id]), id);
    assert_eq!(containerd.ask(&["ps", "-q"]), "");
    assert_eq!(containerd.ask(&["ps", "-a", "-q"]), id);
    assert_eq!(containerd.ask(&["rm", &id]), id);
    let (stopped, removed) = (format!("Stopped sandbox {}", pod.id), format!("Removed sandbox {}", pod.id));
    assert_eq!(containerd.ask(&["stopp", &pod.id]), stopped);
    assert_eq!(containerd.ask(&["rmp", &pod.id]), removed);

    let images = containerd.ask(&["images"]);
    let row = images.lines().find(|line| line.starts_with("docker.io/library/busybox")).unwrap();
    assert_eq!(words(row)[1], "latest");
    let id = containerd.ask(&["images", "-q", image::NAME]);
    assert!(id.starts_with("sha256:") && id.contains(words(row)[2]), "{id}");
}

fn logs_and_commands(containerd: &mut Containerd) {
    let pod = containerd.pod(&containerd.pod_config("web"));
    let mut config = sleeping("main");
    config["command"] = json!(["sh", "-c", "echo out; printf no-end; echo err >&2; sleep 100000"]);
    config["envs"] = json!([{"key": "WHO", "value": "me"}]);
    let id = pod.start(&config);
    containerd.until(&["logs", &id], |out| out == "out\n");
    containerd.ask(&["stop", &id]);
    let logs = containerd.crictl(&["logs", &id]);
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("out\nno-end", "err\n"));
    let id = pod.start(&sleeping("other"));
    let run = containerd.exec(&id, "echo one; echo two >&2");
    assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.code), ("one\n", "two\n", Some(0)));
    assert_eq!(containerd.crictl(&["exec", "-s", &id, "echo", "-n", "one"]).success(), "one\n\n");
    assert_eq!(containerd.crictl(&["exec", "-s", &id, "sh", "-c", "exit 3"]).code, Some(1));
    assert_eq!(containerd.exec(&id, "exit 3").code, Some(1));
    pod.remove();
}

fn failures(containerd: &mut Containerd) {
    let absent = containerd.crictl(&["runp", "absent.json"]);
    assert_eq!((absent.code, absent.stdout.as_str()), (Some(1), ""));
    assert!(absent.stderr.contains("config at absent.json not found"), "{}", absent.stderr);
    let nameless = containerd.file("nameless.json", &json!({"metadata": {"name": "web"}}));
    let error = containerd.crictl(&["runp", &nameless]).failure();
    assert!(error.contains("name or namespace is not in metadata"), "{error}");
    let file = containerd.file("web.json", &containerd.pod_config("web"));
    let error = containerd.crictl(&["runp", "--runtime", "absent", &file]).failure();
    assert!(error.contains("rpc error: code = ") && error.contains("absent"), "{error}");
    let pod = containerd.pod(&containerd.pod_config("web"));
    let id = pod.start(&sleeping("main"));
    assert!(containerd.crictl(&["rm", &id]).failure().contains("is running, please stop it first"));
    assert!(containerd.crictl(&["rmp", &pod.id]).failure().contains("is running, please stop it first"));
    pod.remove();
}

fn files_in_yaml(containerd: &mut Containerd) {
    let pod = "metadata: {name: web, namespace: default, uid: u1}\nlinux: {}\nunknown: passed over\n";
    let container =
        format!("metadata:\n  name: main\nimage:\n  image: {}\ncommand: [sleep, '1000']\n", image::NAME);
    let (pod_file, container_file) = (containerd.node.path("pod.yaml"), containerd.node.path("main.yaml"));
    std::fs::write(&pod_file, pod).unwrap();
    std::fs::write(&container_file, container).unwrap();
    let files = [container_file.to_str().unwrap(), pod_file.to_str().unwrap()];
    let run = containerd.crictl(&["run", "--no-pull", "--runtime", "podhosts", files[0], files[1]]);
    run.success();
    let id = containerd.ask(&["ps", "-q"]);
    assert!(containerd.hosts(&id).contains("\tweb\n"));
    containerd.ask(&["rmp", "-f", "-a"]);
}
