//! What the tests rely on crictl for, so that the example and a real one are known to do the same.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, SOCKET, each_containerd, sleeping};
use crate::harness::{Run, image};

each_containerd!(versions_and_endpoints, lists_and_statuses, logs_and_commands, failures, files_in_yaml);

/// The words of a line.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn versions_and_endpoints(containerd: &mut Containerd) {
    let version = containerd.ask(&["version"]);
    let mut lines = version.lines().map(|line| line.split_once(":  ").unwrap());
    assert_eq!(lines.next(), Some(("Version", "0.1.0")));
    assert_eq!(lines.next(), Some(("RuntimeName", "containerd")));
    assert_eq!(lines.map(|(key, _)| key).collect::<Vec<_>>(), ["RuntimeVersion", "RuntimeApiVersion"]);

    let run = |mut crictl: Command| Run::from(crictl.output().unwrap());
    let endpoint = format!("unix://{SOCKET}");
    let mut by_environment = containerd.bare_crictl(&["version"]);
    by_environment.env("CONTAINER_RUNTIME_ENDPOINT", &endpoint);
    assert_eq!(run(by_environment).success().trim_end(), version);
    let path = containerd.node.path("crictl.yaml");
    let by_file = || containerd.bare_crictl(&["--config", path.to_str().unwrap(), "version"]);
    fs::write(&path, format!("runtime-endpoint: {endpoint}\ntimeout: 30\n")).unwrap();
    assert_eq!(run(by_file()).success().trim_end(), version);
    fs::write(&path, format!("endpoint: {endpoint}\n")).unwrap();
    assert!(run(by_file()).failure().contains("get server config"));
    fs::copy(&path, containerd.node.file("/etc/crictl.yaml")).unwrap();
    // It was not asked for, and containerd is where crictl looks by itself.
    assert_eq!(run(containerd.bare_crictl(&["version"])).success().trim_end(), version);
    assert!(!run(containerd.bare_crictl(&["-r", "unix:///run/nobody.sock", "version"])).ok);
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
    fs::write(&pod_file, pod).unwrap();
    fs::write(&container_file, container).unwrap();
    let files = [container_file.to_str().unwrap(), pod_file.to_str().unwrap()];
    let run = containerd.crictl(&["run", "--no-pull", "--runtime", "podhosts", files[0], files[1]]);
    run.success();
    let id = containerd.ask(&["ps", "-q"]);
    assert!(containerd.hosts(&id).contains("\tweb\n"));
    containerd.ask(&["rmp", "-f", "-a"]);
}
