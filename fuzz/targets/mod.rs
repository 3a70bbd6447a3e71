//! What is fuzzed: a target for each parser that reads what others wrote. A target panics where a property does not
//! hold; that nothing else panics is the first property of all.

mod cni;
mod hook;
mod nri;
mod serve;
mod store;

/// Something that is fuzzed.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name, which is that of its directory of seeds.
    pub(crate) name: &'static str,
    /// Tries one input.
    pub(crate) run: fn(&[u8]),
}

/// All of them, in the order of the programs.
pub(crate) const ALL: &[Target] = &[
    Target { name: "state", run: hook::state },
    Target { name: "config", run: hook::config },
    Target { name: "annotations", run: hook::annotations },
    Target { name: "kubelet_file", run: hook::kubelet_file },
    Target { name: "record", run: hook::record },
    Target { name: "node_config", run: hook::node_config },
    Target { name: "arguments", run: hook::arguments },
    Target { name: "cni_config", run: cni::config },
    Target { name: "cni_environment", run: cni::environment },
    Target { name: "cni_add", run: cni::add },
    Target { name: "nri", run: nri::stream },
    Target { name: "nri_container", run: nri::container },
    Target { name: "path", run: serve::path },
    Target { name: "media", run: serve::media },
    Target { name: "query", run: serve::query },
    Target { name: "json", run: serve::json },
    Target { name: "yaml", run: serve::yaml },
    Target { name: "protobuf", run: serve::protobuf },
    Target { name: "patch", run: serve::patch },
    Target { name: "restore", run: store::restore },
];

/// The input as text, where it is text.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// The input behind its first byte, and a number below `count` that this byte stands for: `0` is 0, `1` is 1.
fn chosen(data: &[u8], count: usize) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(first.wrapping_sub(b'0')) % count, rest))
}
