//! Versions of engines.

/// A program's version, as far as it matters: major and minor.
pub type Version = (u32, u32);

/// The first word that is a version, as `1.6.20~ds1` or `v2.1.9+unknown`.
pub(crate) fn version_in(said: &str) -> Option<Version> {
    let parse = |word: &str| {
        let mut numbers = word.strip_prefix('v').unwrap_or(word).split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    said.split_whitespace().find_map(parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_tell_their_version_in_many_ways() {
        for (said, version) in [
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", Some((1, 6))),
            ("containerd github.com/containerd/containerd/v2 2.1.9+unknown ", Some((2, 1))),
            ("containerd containerd.io v2.2.0 1c4457e00facac03ce1d75f7b6777a7a851e5c41", Some((2, 2))),
            ("podman version 5.8.6", Some((5, 8))),
            ("podman version 6", None),
            ("", None),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }
}
