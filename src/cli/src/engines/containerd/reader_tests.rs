use super::*;

fn read(files: &[(&str, &str)], version: Option<Version>) -> Result<Containerd, EngineError> {
    let mut view = Files::new();
    for (path, text) in files {
        view.put(Path::new(path), (*text).to_owned());
    }
    Containerd::read(&view, Path::new(files[0].0), version)
}

const MAIN_V2: &str = r#"
    version = 2
    imports = ["conf.d/*.toml", "/nowhere.toml"]
    [plugins."io.containerd.grpc.v1.cri"]
    containerd.default_runtime_name = "crun"
    cni = { bin_dir = "/usr/lib/cni", conf_dir = "/etc/net" }
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
    runtime_type = "io.containerd.runc.v2"
    options.BinaryName = "/usr/bin/crun"
"#;
const IMPORT_V2: &str = r#"
    version = 2
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.podhosts]
    runtime_type = "io.containerd.runc.v2"
    base_runtime_spec = "/base.json"
    pod_annotations = ["podhosts.io/*"]
    [plugins."io.containerd.nri.v1.nri"]
    disable = true
"#;

#[test]
fn containerd_may_set_up_loopback_itself() {
    let said = |value: &str| {
        let text = format!(
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nuse_internal_loopback = {value}\n"
        );
        read(&[("/n/config.toml", text.as_str())], Some((2, 1))).unwrap().sets_up_loopback()
    };
    assert_eq!([said("true"), said("false"), said("'x'")], [true, false, false]);
    assert!(!read(&[("/n/config.toml", "version = 3\n")], Some((2, 1))).unwrap().sets_up_loopback());
}

#[test]
fn imported_sections_replace_before_2_0_and_are_merged_after_it() {
    let files = [("/n/config.toml", MAIN_V2), ("/n/conf.d/a.toml", IMPORT_V2)];
    let names = |config: &Containerd| {
        config.handlers().unwrap().into_iter().map(|handler| handler.name).collect::<Vec<_>>()
    };
    for before in [None, Some((1, 7))] {
        let old = read(&files, before).unwrap();
        assert_eq!(
            (names(&old), old.default_handler().unwrap().as_str()),
            (vec!["podhosts".to_owned()], "runc")
        );
        assert_eq!(old.cni_bin_dirs().unwrap(), [Path::new("/opt/cni/bin")]);
        assert_eq!(old.cni_conf_dir().unwrap(), Path::new("/etc/cni/net.d"));
    }
    let new = read(&files, Some((2, 1))).unwrap();
    assert_eq!(
        (names(&new).join(" "), new.default_handler().unwrap().as_str()),
        ("crun podhosts runc".to_owned(), "crun")
    );
    assert_eq!(new.cni_bin_dirs().unwrap(), [Path::new("/usr/lib/cni")]);
    assert_eq!(new.cni_conf_dir().unwrap(), Path::new("/etc/net"));
    assert_eq!((new.version().unwrap(), new.nri_disabled().unwrap()), (Some(2), Some(true)));
    assert_eq!(new.imported_cri_sections().unwrap(), [Path::new("/n/conf.d/a.toml")]);
    let handlers = new.handlers().unwrap();
    assert_eq!(handlers[0].binary_name.as_deref(), Some("/usr/bin/crun"));
    assert_eq!(handlers[1].base_runtime_spec.as_deref(), Some(Path::new("/base.json")));
    assert!(handlers[1].passes("podhosts.io/seal") && !handlers[0].passes("podhosts.io/seal"));
}

#[test]
fn later_versions_have_another_section_and_nothing_is_a_configuration_too() {
    let section = r#"[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.x]"#;
    for version in [3, 4] {
        let text = format!("version = {version}\n{section}\nruntime_type = 't'\n");
        let config = read(&[("/c", text.as_str())], None).unwrap();
        assert_eq!((config.version().unwrap(), config.handlers().unwrap().len()), (Some(version), 2));
    }
    let none = Containerd::read(&Files::new(), Path::new("/nowhere/c"), None).unwrap();
    assert_eq!((none.version().unwrap(), none.handlers().unwrap().len()), (None, 1));
    assert_eq!(read(&[("/c", "")], None).unwrap().version().unwrap(), Some(1));
}

#[test]
fn the_cri_plugin_may_be_switched_off() {
    for name in ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"] {
        let text = format!("disabled_plugins = [{name:?}]");
        let config = read(&[("/c", text.as_str())], None).unwrap();
        assert_eq!(config.cri_disabled_in().unwrap(), Some(Path::new("/c")));
    }
    assert_eq!(read(&[("/c", "disabled_plugins = []")], None).unwrap().cri_disabled_in().unwrap(), None);
    let without_nri = read(&[("/c", "disabled_plugins = ['io.containerd.nri.v1.nri']")], None).unwrap();
    assert_eq!(without_nri.nri_disabled_in().unwrap(), Some(Path::new("/c")));
    assert_eq!(without_nri.cri_disabled_in().unwrap(), None);
}

#[test]
fn wrong_types_are_errors_that_name_their_own_file() {
    for (text, error) in [
        ("version = 'x'", "cannot use /c: version is a string, expected an integer"),
        ("version = 2\nplugins = 3", "cannot use /c: plugins is an integer, expected a table"),
        ("imports = 'a'", "cannot use /c: imports is a string, expected a list of strings"),
        (
            "imports = ['[*']",
            "cannot use /c: \"/[*\" is no pattern of file names: Pattern syntax error near position 1: invalid range pattern",
        ),
        (
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\nruntimes = []",
            "cannot use /c: containerd.runtimes is a list, expected a table",
        ),
    ] {
        assert_eq!(read(&[("/c", text)], None).unwrap_err().to_string(), error);
    }
    let wrong =
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]\nx.runtime_type = 1";
    let files = [("/c", "version = 3\nimports = ['/d']"), ("/d", wrong)];
    let error = read(&files, None).unwrap_err().to_string();
    assert_eq!(error, "cannot use /d: containerd.runtimes.x.runtime_type is an integer, expected a string");
}
