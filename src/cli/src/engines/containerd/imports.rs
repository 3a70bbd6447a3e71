//! Which files containerd loads, and in which order.

use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};

use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::layers::Layer;

/// The files of a configuration, in the order in which containerd loads them.
///
/// # Errors
/// [`EngineError`] naming the file.
pub(crate) fn layers(files: &Files, main: &Path) -> Result<Vec<Layer>, EngineError> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut pending = VecDeque::from([main.to_owned()]);
    while let Some(path) = pending.pop_front() {
        if layers.iter().any(|layer| layer.path == path) {
            continue;
        }
        // An import that is not there keeps containerd from starting: see `missing_import`.
        let Some(layer) = Layer::read(files, &path)? else { continue };
        pending.extend(imports(files, &layer)?);
        layers.push(layer);
    }
    Ok(layers)
}

/// A file that is imported by its name and is not there, and the file that imports it.
///
/// # Errors
/// [`EngineError`] naming the file.
pub(crate) fn missing_import(
    files: &Files,
    layers: &[Layer],
) -> Result<Option<(PathBuf, PathBuf)>, EngineError> {
    for layer in layers {
        for path in imports(files, layer)? {
            if files.read(&path)?.is_none() {
                return Ok(Some((path, layer.path.clone())));
            }
        }
    }
    Ok(None)
}

/// The patterns that `layer` imports, as absolute paths.
///
/// # Errors
/// [`EngineError::Type`] naming file and key.
pub(crate) fn import_patterns(layer: &Layer) -> Result<Vec<String>, EngineError> {
    let dir = layer.path.parent().unwrap_or(Path::new("/"));
    let patterns = layer.strings(&["imports"])?.unwrap_or_default();
    Ok(patterns.iter().map(|pattern| cleaned(&dir.join(pattern)).display().to_string()).collect())
}

/// A path as Go's `filepath.Clean` writes it: containerd knows by that which file it has loaded already.
fn cleaned(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(cleaned.pop()),
            part => cleaned.push(part),
        }
    }
    cleaned
}

/// Whether `pattern`, an absolute one, imports a file that is there.
pub(crate) fn imports_any(files: &Files, pattern: &str) -> bool {
    match pattern.contains('*') {
        true => files.matching(pattern).is_ok_and(|found| !found.is_empty()),
        false => matches!(files.read(Path::new(pattern)), Ok(Some(_))),
    }
}

fn imports(files: &Files, layer: &Layer) -> Result<Vec<PathBuf>, EngineError> {
    let mut paths = Vec::new();
    for pattern in import_patterns(layer)? {
        // containerd takes a path with a star for a pattern.
        if !pattern.contains('*') {
            paths.push(PathBuf::from(pattern));
            continue;
        }
        paths.extend(files.matching(&pattern).map_err(|cause| EngineError::Pattern {
            path: layer.path.clone(),
            pattern: pattern.clone(),
            cause,
        })?);
    }
    Ok(paths)
}
