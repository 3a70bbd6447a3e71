//! `podhosts doctor` beside a containerd that runs.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::bin;
use crate::harness::containerd::{CONFIG, Containerd, each_containerd};

each_containerd!(what_is_loaded_is_compared_with_the_files, a_network_that_is_not_ready);

/// What doctor finds for `check`.
fn findings(containerd: &Containerd, check: &str) -> Vec<Value> {
    let doctor = bin("podhosts");
    let run = containerd.run(doctor.to_str().unwrap(), &["doctor", "--json", "--no-self-test"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    let checks = report["checks"].as_array().unwrap();
    checks.iter().filter(|finding| finding["check"] == check).cloned().collect()
}

fn what_is_loaded_is_compared_with_the_files(containerd: &mut Containerd) {
    let well = findings(containerd, "containerd");
    let messages: Vec<&str> = well.iter().map(|finding| finding["message"].as_str().unwrap()).collect();
    let expected =
        ["/etc/containerd/config.toml: runtime handler podhosts", "containerd has loaded what its files say"];
    assert_eq!(messages, expected, "{well:#?}");
    assert!(well.iter().all(|finding| finding["status"] == "ok"));
    assert_eq!(findings(containerd, "cni")[0]["status"], "ok");

    let files = [CONFIG, "/etc/containerd/conf.d/99-podhosts.toml"].map(|path| containerd.node.file(path));
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
    let with_handler = files.iter().find(|path| text(path).contains("podhosts.io/*")).expect("a handler");
    fs::write(with_handler, text(with_handler).replace("podhosts.io/*", "*.io/*")).unwrap();
    let stale = findings(containerd, "containerd");
    assert_eq!(stale[1]["message"], "containerd has not loaded handler podhosts as its files have it now");
    assert_eq!(
        (&stale[1]["status"], &stale[1]["remedy"]),
        (&"error".into(), &"systemctl restart containerd".into())
    );

    containerd.end("TERM");
    containerd.launch();
    assert_eq!(findings(containerd, "containerd")[1]["message"], expected[1]);

    containerd.end("KILL");
    let gone = &findings(containerd, "containerd")[1];
    assert_eq!(gone["status"], "skipped", "{gone}");
    assert!(
        gone["message"].as_str().unwrap().starts_with("cannot connect to /run/containerd/containerd.sock: ")
    );
}

fn a_network_that_is_not_ready(containerd: &mut Containerd) {
    containerd.node.sh("rm /etc/cni/net.d/*");
    containerd.end("TERM");
    containerd.spawn();
    containerd.until(&["info"], |info| info.contains("NetworkPluginNotReady"));
    let found = findings(containerd, "containerd");
    let network = found.iter().find(|finding| finding["status"] == "error").expect("an error");
    assert!(network["message"].as_str().unwrap().starts_with("NetworkReady is not true: "), "{network}");
    // Where podhosts is for another engine, this one's network is none of its business.
    containerd.run(bin("podhosts").to_str().unwrap(), &["unconfigure", "--runtime", "containerd"]).success();
    let found = findings(containerd, "containerd");
    assert!(found.iter().all(|finding| finding["status"] != "error"), "{found:#?}");
    assert!(found.iter().any(|finding| finding["message"] == network["message"]), "{found:#?}");
}
