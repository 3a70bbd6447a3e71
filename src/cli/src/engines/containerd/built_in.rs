//! containerd's built-in handler, runc: where it is there, and how it is put into a file that takes it away.

use toml_edit::{Item, Table};

use crate::engines::containerd::section::{DEFAULT_HANDLER, RUNC_V2, cri_section};
use crate::engines::edit::{BUILT_IN, Edit, plain};
use crate::engines::error::EngineError;

/// Adds containerd's built-in handler. Settings that are not written keep their built-in values.
pub(crate) fn put_built_in(edit: &mut Edit, version: i64) -> Result<(), EngineError> {
    let [plugins, cri] = cri_section(version);
    let mut table = Table::new();
    table.insert("runtime_type", plain(RUNC_V2));
    if let Some(mut key) = table.key_mut("runtime_type") {
        key.leaf_decor_mut().set_prefix(format!("{BUILT_IN}\n"));
    }
    table.set_position(Some(isize::MAX));
    edit.put(&[plugins, cri, "containerd", "runtimes"], DEFAULT_HANDLER, Item::Table(table))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::engines::containerd::reader::Containerd;
    use crate::engines::files::Files;
    use crate::engines::version::Version;

    fn read(text: &str, version: Option<Version>) -> Containerd {
        let (mut files, path) = (Files::new(), Path::new("/c"));
        files.put(path, text.to_owned());
        Containerd::read(&files, path, version).unwrap()
    }

    #[test]
    fn before_2_0_the_files_handlers_take_the_place_of_runc() {
        let section = "plugins.'io.containerd.grpc.v1.cri'.containerd";
        let x = format!("[{section}.runtimes.x]\nruntime_type = 't'\n");
        let runc = format!("[{section}.runtimes.runc]\nruntime_type = 't'\n");
        let default = |name: &str| format!("[{section}]\ndefault_runtime_name = '{name}'\n");
        for (text, before, after) in [
            (String::new(), false, false),
            (x.clone(), true, false),
            (x.clone() + &runc, false, false),
            (x.clone() + &default("x"), false, false),
            (x + &default("y"), true, true),
            (default("y"), true, true),
            (default("runc"), false, false),
        ] {
            let text = format!("version = 2\n{text}");
            for (version, missing) in [(None, before), (Some((1, 7)), before), (Some((2, 0)), after)] {
                let config = read(&text, version);
                assert_eq!(config.default_handler_is_missing().unwrap(), missing, "{version:?} {text}");
            }
            let text = text.replace("version = 2", "version = 3").replace("grpc.v1.cri", "cri.v1.runtime");
            let config = read(&text, None);
            assert_eq!(config.default_handler_is_missing().unwrap(), after, "{text}");
        }
    }
}
