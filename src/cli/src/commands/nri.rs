//! `podhosts nri`: the plugin of containerd's and CRI-O's Node Resource Interface.

use super::args::NriArgs;
use crate::nri;
use crate::nri::session::Registration;
use crate::nri::{Engine, SOCKET_VARIABLE};
use container::node_config::CONFIG_PATH;
use sys::service::inherited;

pub(super) fn run(args: &NriArgs) -> Result<Vec<u8>, Vec<String>> {
    let refused = |option: &str, value: &str, expected: &str| {
        Err(vec![format!("cannot use --{option} {value:?}: expected {expected}")])
    };
    if !nri::is_name(&args.name) {
        return refused("name", &args.name, "letters, digits, '-', '_', '.' and '+'");
    }
    if !nri::is_index(&args.index) {
        return refused("index", &args.index, "two digits");
    }
    let registration = Registration { name: args.name.clone(), index: args.index.clone() };
    nri::run(&Engine::At(args.socket.clone()), &registration, &args.config)
        .map(|()| Vec::new())
        .map_err(|error| vec![error.to_string()])
}

/// Serves the engine that started this process as a plugin of its own, by a link such as
/// /opt/nri/plugins/90-podhosts; `None` where it did not.
pub(super) fn run_launched() -> Option<Result<Vec<u8>, Vec<String>>> {
    let socket = inherited::variable(SOCKET_VARIABLE)?.to_string_lossy().into_owned();
    let given = |name| inherited::variable(name).map(|value| value.to_string_lossy().into_owned());
    // The engine knows them already, by the link's name.
    let registration = Registration {
        name: given("NRI_PLUGIN_NAME").unwrap_or_default(),
        index: given("NRI_PLUGIN_IDX").unwrap_or_default(),
    };
    let result = nri::run(&Engine::Parent(socket), &registration, CONFIG_PATH.as_ref());
    Some(result.map(|()| Vec::new()).map_err(|error| vec![error.to_string()]))
}
