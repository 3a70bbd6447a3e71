//! The names of the environment variables that a pod may ask for by annotation.
//!
//! An environment steers the programs that get it, and the container's own is not the only one: runc before 1.2 hands
//! it to other people's hooks, which run on the node as root before the container does. Which names some program obeys
//! cannot be listed, so the names that are allowed are: those that say which field of the pod they hold.
//! `docs/design/overview.md` has the reasons.

use crate::validation::go_quote;

/// The usual names of the fields, which no known program takes for a setting.
const USUAL: [&str; 16] = [
    "MY_*",
    "POD_*",
    "*POD_IP",
    "*POD_IPS",
    "*POD_NAME",
    "*POD_NAMESPACE",
    "*POD_UID",
    "*NODE_NAME",
    "*NODE_IP",
    "*NODE_IPS",
    "*HOST_IP",
    "*HOST_IPS",
    "NAMESPACE",
    "INSTANCE_IP",
    "INSTANCE_IPS",
    "INSTANCE_NAME",
];

/// Beginnings of the names that the dynamic linker, the C library and the runtime obey in every program. No
/// configuration allows these, for a pattern that is too wide must not give the node away.
const NEVER: [&str; 17] = [
    "LD_",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "GETCONF_DIR",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MALLOC_",
    "NIS_PATH",
    "NLSPATH",
    "RESOLV_",
    "RES_OPTIONS",
    "TMPDIR",
    "TZDIR",
    "GODEBUG",
    "GOTRACEBACK",
    "_LIBCONTAINER_",
];

/// Checks the name of a variable; `also_allowed` are the patterns of the node's configuration.
///
/// # Errors
/// The fault, and the setting that would allow the name.
pub fn check(name: &str, also_allowed: &[String]) -> Result<(), String> {
    let quoted = go_quote(name);
    if !is_env_var_name(name) {
        let expected =
            "expected a name of letters, digits, '_', '-' and '.' that does not start with a digit";
        return Err(format!("{quoted} is no environment variable, {expected}"));
    }
    if NEVER.iter().any(|start| name.starts_with(start)) {
        let refused =
            "is not set by annotation: programs of the node may obey it before the container starts";
        return Err(format!("{quoted} {refused}"));
    }
    let mut allowed = USUAL.into_iter().chain(also_allowed.iter().map(String::as_str));
    if allowed.any(|pattern| matches(name.as_bytes(), pattern.as_bytes())) {
        return Ok(());
    }
    Err(format!(
        "{quoted} is not allowed, expected a name such as MY_{name} or POD_IP, or one in env.allow of \
         /etc/podhosts/config.toml"
    ))
}

/// Whether `text` can stand in the node's configuration: the letters of names, and `*`.
pub fn is_pattern(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == '*' || is_of_name(c))
}

/// `IsEnvVarName` of Kubernetes' validation, before the names it relaxed later.
fn is_env_var_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_of_name) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Whether `name` is as `pattern` says. Only the last star is ever taken back, so the work is bounded by the product of
/// both lengths.
fn matches(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut of_pattern, mut star) = (0, 0, None);
    while at < name.len() {
        match pattern.get(of_pattern) {
            Some(b'*') => {
                of_pattern += 1;
                star = Some((at, of_pattern));
            }
            Some(byte) if *byte == name[at] => (at, of_pattern) = (at + 1, of_pattern + 1),
            _ => {
                // The star stands for one byte more.
                let Some((taken, behind)) = star else { return false };
                star = Some((taken + 1, behind));
                (at, of_pattern) = (taken + 1, behind);
            }
        }
    }
    pattern[of_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str, also_allowed: &[&str]) -> Option<String> {
        let also_allowed: Vec<String> = also_allowed.iter().map(|&pattern| pattern.to_owned()).collect();
        check(name, &also_allowed).err()
    }

    #[test]
    fn the_usual_names_are_allowed() {
        for name in [
            "MY_POD_IPS",
            "POD_IP",
            "POD_IPS",
            "POD_NAME",
            "POD_NAMESPACE",
            "POD_UID",
            "POD_LABEL_APP",
            "NODE_NAME",
            "NODE_IP",
            "HOST_IP",
            "HOST_IPS",
            "K8S_NODE_NAME",
            "KUBE_POD_NAME",
            "NAMESPACE",
            "INSTANCE_IP",
            "OTEL_RESOURCE_ATTRIBUTES_POD_NAME",
        ] {
            assert_eq!(error(name, &[]), None, "{name}");
        }
    }

    /// Names that shells, interpreters, libraries, drivers and clients obey.
    #[test]
    fn names_that_steer_programs_are_not() {
        for name in [
            "BASH_ENV",
            "ENV",
            "IFS",
            "PS4",
            "SHELLOPTS",
            "PATH",
            "HOME",
            "PERL5OPT",
            "PERL5LIB",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "RUBYOPT",
            "RUBYLIB",
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_EXTRA_CA_CERTS",
            "GOGC",
            "GOCOVERDIR",
            "NVIDIA_VISIBLE_DEVICES",
            "NVIDIA_DRIVER_CAPABILITIES",
            "CUDA_VISIBLE_DEVICES",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "CLASSPATH",
            "DOTNET_STARTUP_HOOKS",
            "GIT_SSH",
            "GIT_NAMESPACE",
            "OPENSSL_CONF",
            "SSL_CERT_FILE",
            "KUBERNETES_SERVICE_HOST",
            "KUBECONFIG",
            "DOCKER_HOST",
            "HTTP_PROXY",
            "https_proxy",
            "XDG_RUNTIME_DIR",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "LC_ALL",
            "LANG",
            "TERM",
            "HOSTNAME",
            "PYTHONHOSTIP",
            "MY",
            "pod_ip",
        ] {
            let error = error(name, &[]).expect(name);
            assert!(
                error.starts_with(&format!("\"{name}\" is not allowed, expected a name such as ")),
                "{error}"
            );
            assert!(error.contains("env.allow"), "{error}");
        }
    }

    #[test]
    fn the_configuration_widens_but_for_what_every_program_obeys() {
        assert_eq!(error("DD_AGENT_HOST", &["APP_*", "DD_AGENT_HOST"]), None);
        assert_eq!(error("BASH_ENV", &["*"]), None);
        for name in ["LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES", "GODEBUG", "_LIBCONTAINER_X", "LD_POD_IP"] {
            let error = error(name, &["*", name]).unwrap();
            assert!(
                error.ends_with("programs of the node may obey it before the container starts"),
                "{error}"
            );
        }
    }

    #[test]
    fn patterns() {
        for (name, pattern, expected) in [
            ("A", "A", true),
            ("A", "B", false),
            ("A", "", false),
            ("", "*", true),
            ("AB", "A*", true),
            ("A", "A*", true),
            ("XA", "*A", true),
            ("XAY", "*A", false),
            ("A_B_C", "A*B*C", true),
            ("A_B_C_", "A*B*C", false),
            ("aXbXb", "a*Xb", true),
            ("AB", "A**B", true),
            ("A.B", "A?B", false),
        ] {
            assert_eq!(matches(name.as_bytes(), pattern.as_bytes()), expected, "{name} {pattern}");
        }
        assert!(is_pattern("A*_b.-9") && is_pattern("*"));
        for bad in ["", "A B", "A=B", "A?", "Ä"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
