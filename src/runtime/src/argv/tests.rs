use super::*;

fn read(line: &str) -> Result<Invocation, ArgvError> {
    let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let mut invocation = Invocation::default();
    parse(&args, &mut invocation).map(|()| invocation)
}

fn bundle(line: &str) -> Option<Option<PathBuf>> {
    read(line).unwrap().create.map(|create| create.bundle)
}

#[test]
fn bundles_in_every_spelling() {
    let b = Some(Some(PathBuf::from("/b")));
    for line in [
        "create --bundle /b c",
        "create --bundle=/b c",
        "create -bundle /b c",
        "create -bundle=/b c",
        "create -b /b c",
        "create -b=/b c",
        "create -b/b c",
        "run -db /b c",
        "run -d -b/b c",
        "create c --bundle /b",
        "create --bundle /a --bundle /b c",
        "create --pid-file --bundle -b /b c",
        "create --new-flag --bundle /b c",
        "create -no-subreaper -detach -b /b c",
        "create --bund /b c",
        "create --b=/b c",
        "run --det --pre 3 --pid /p --bundl /b c",
        "--cgroup disabled --rootl true --deb create -b /b c",
        "--new-flag=x create -b /b c",
        "--root create --log-format json create --bundle /b c",
        "--root=/r --debug --systemd-cgroup -log /l --rootless true run --bundle /b c",
        "--cgroup-manager=disabled --log-level debug create -b /b c",
        "-- create -b /b c",
    ] {
        assert_eq!(bundle(line), b, "{line}");
    }
    for line in ["create c", "run c", "create -d c", "create c -- --bundle /b"] {
        assert_eq!(bundle(line), Some(None), "{line}");
    }
}

#[test]
fn other_commands_are_none_of_ours() {
    for line in [
        "",
        "state c",
        "--root create state c",
        "--version",
        "start create",
        "--help",
        "exec c create",
        "-v",
        "-V",
        "create --help",
        "run -h",
    ] {
        assert_eq!(bundle(line), None, "{line}");
    }
}

#[test]
fn what_may_be_the_id_of_a_container_that_exists() {
    for (line, root, ids) in [
        ("--root /r delete --force c", Some("/r"), "c"),
        ("--root=/r kill c KILL", Some("/r"), "c KILL"),
        ("state c", None, "c"),
        ("exec --process /tmp/p.json -d c ../x .. ", None, "c"),
        ("create c", None, ""),
        ("list", None, ""),
    ] {
        let invocation = read(line).unwrap();
        let found: Vec<&str> = invocation.ids().map(|id| id.to_str().unwrap()).collect();
        assert_eq!(
            (invocation.root.as_deref(), found.join(" ")),
            (root.map(std::path::Path::new), ids.into())
        );
    }
}

#[test]
fn the_log() {
    let invocation = read("--log /l --log-format json create c").unwrap();
    assert_eq!((invocation.log, invocation.log_is_json), (Some("/l".into()), true));
    assert!(!read("--log=/l --log-format=text create c").unwrap().log_is_json);
    for (value, file) in
        [("file:/l", Some("/l")), ("journald:crun", None), ("syslog:crun", None), ("file", Some("file"))]
    {
        let log = read(&format!("--log={value} create c")).unwrap().log;
        assert_eq!(log.as_deref(), file.map(std::path::Path::new), "{value}");
    }
    for config in ["-f other.json", "--config other.json", "--conf=other.json"] {
        let create = read(&format!("create {config} c")).unwrap().create.unwrap();
        assert_eq!(create.config, Some("other.json".into()), "{config}");
    }
}

#[test]
fn what_cannot_be_told_is_an_error() {
    assert_eq!(read("--new create c"), Err(ArgvError::UnknownGlobal("--new".into())));
    for (line, option) in [
        ("--lo x create c", "--lo"),
        ("create --con x c", "--con"),
        ("run --p 3 c", "--p"),
        ("run --=x c", "--=x"),
    ] {
        assert_eq!(read(line), Err(ArgvError::Ambiguous(option.into())), "{line}");
    }
    assert_eq!(read("--lo x delete c").unwrap().create, None);
    // Nothing is made, so nothing can be made without a hook.
    assert_eq!(read("--new delete c").unwrap().create, None);
    assert_eq!(read("--root"), Err(ArgvError::NoValue("--root".into())));
    assert_eq!(read("create --bundle"), Err(ArgvError::NoValue("--bundle".into())));
}

#[test]
fn paths_need_not_be_utf8() {
    let path = OsString::from_vec(vec![b'/', 0xff]);
    let args = [OsString::from("create"), OsString::from("-b"), path.clone()];
    let mut invocation = Invocation::default();
    parse(&args, &mut invocation).unwrap();
    assert_eq!(invocation.create.unwrap().bundle, Some(path.into()));
}
