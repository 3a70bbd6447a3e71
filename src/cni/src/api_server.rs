//! `podhosts-cni serve`, `backup` and `restore`: the plugin becomes the API server's program.

use std::path::{Path, PathBuf};

use sys::process::exec::{self, NoProgram};

/// The API server's program. It is one of its own because the plugin is started for every pod, and has to stay small.
const PROGRAM: &str = "podhosts-apiserver";
/// Where `make install` and the package put it.
const BIN_DIRS: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

/// Whether a command line is one for the API server.
pub fn is_for_api_server(args: &[String]) -> bool {
    args.first().is_some_and(|first| matches!(first.as_str(), "serve" | "backup" | "restore"))
}

/// Becomes the API server with this process' own arguments; returns only where that fails, with the reason.
pub fn become_api_server() -> String {
    let own = match exec::own_path() {
        Ok(own) => own,
        Err(cause) => return format!("cannot find {PROGRAM}: {cause}"),
    };
    match find(&places(&own)) {
        Ok(program) => {
            let args: Vec<_> = std::env::args_os().skip(1).collect();
            let cause = exec::become_program(&program, &args);
            format!("cannot run {}: {cause}", program.display())
        }
        Err(error) => error,
    }
}

/// Beside the plugin `own`, as in a build's directory, then where it is installed. PATH is not asked: whoever starts the
/// plugin as root would choose the program.
fn places(own: &Path) -> Vec<PathBuf> {
    let installed = BIN_DIRS.map(|dir| Path::new(dir).join(PROGRAM));
    let mut places = vec![own.with_file_name(PROGRAM)];
    places.extend(installed.into_iter().filter(|place| *place != own.with_file_name(PROGRAM)));
    places
}

/// The first of `places` that is there.
fn find(places: &[PathBuf]) -> Result<PathBuf, String> {
    for place in places {
        match exec::program(place) {
            Ok(_) => return Ok(place.clone()),
            Err(NoProgram::Missing(_, cause)) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(fault) => return Err(format!("cannot run {PROGRAM}: {fault}")),
        }
    }
    let dirs: Vec<_> =
        places.iter().filter_map(|place| Some(place.parent()?.display().to_string())).collect();
    Err(format!("cannot find {PROGRAM} in {}: install it there", dirs.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use sys::fs::state_dir;

    #[test]
    fn it_is_looked_for_beside_the_plugin_and_where_it_is_installed() {
        let all = |own: &str| places(Path::new(own));
        let installed =
            ["/usr/local/bin/podhosts-apiserver", "/usr/bin/podhosts-apiserver"].map(PathBuf::from);
        assert_eq!(all("/usr/local/bin/podhosts-cni"), installed);
        let beside = PathBuf::from("/opt/cni/bin/podhosts-apiserver");
        assert_eq!(all("/opt/cni/bin/podhosts-cni"), [&[beside][..], &installed].concat());
    }

    #[test]
    fn the_first_that_is_there_is_taken_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let places = ["a", "b"].map(|name| dir.path().join(name).join(PROGRAM));
        let error = find(&places).unwrap_err();
        assert_eq!(
            error,
            format!("cannot find {PROGRAM} in {0}/a, {0}/b: install it there", dir.path().display())
        );
        for place in &places {
            state_dir::replace(place, b"").unwrap();
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(find(&places).as_ref(), Ok(&places[0]));
        // One that cannot be run is a mistake to be told, not passed over.
        std::fs::set_permissions(&places[0], std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = find(&places).unwrap_err();
        assert!(error.ends_with("/a/podhosts-apiserver is not executable"), "{error}");
        state_dir::remove(&places[0]).unwrap();
        assert_eq!(find(&places).as_ref(), Ok(&places[1]));
    }
}
