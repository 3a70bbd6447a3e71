//! Pod and container files, in YAML or JSON. As with crictl itself a key that is unknown is passed over.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::messages::{ContainerConfig, PodSandboxConfig};

/// Reads a pod file; a pod without a uid gets one.
pub(crate) fn pod(path: &Path) -> Result<PodSandboxConfig, Error> {
    let mut config: PodSandboxConfig = read(path)?;
    let Some(metadata) = config.metadata.as_mut() else { return Err(Error::new("metadata is not set")) };
    if metadata.uid.is_empty() {
        let uid = fs::read_to_string("/proc/sys/kernel/random/uuid");
        uid.map_err(|error| Error::new(error.to_string()))?.trim_end().clone_into(&mut metadata.uid);
    }
    if metadata.name.is_empty() || metadata.namespace.is_empty() {
        return Err(Error::new(format!("name or namespace is not in metadata {metadata:?}")));
    }
    Ok(config)
}

/// Reads a container file.
pub(crate) fn container(path: &Path) -> Result<ContainerConfig, Error> {
    let mut config: ContainerConfig = read(path)?;
    match &config.metadata {
        None => return Err(Error::new("metadata is not set")),
        Some(metadata) if metadata.name.is_empty() => {
            return Err(Error::new(format!("name is not in metadata {metadata:?}")));
        }
        Some(_) => {}
    }
    match config.image.as_mut() {
        None => Err(Error::new("image is not set")),
        Some(image) if image.image.is_empty() => Err(Error::new("image field is not set in image")),
        Some(image) => {
            if image.user_specified_image.is_empty() {
                image.user_specified_image.clone_from(&image.image);
            }
            Ok(config)
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(format!("config at {} not found", path.display())),
        _ => Error::new(error.to_string()),
    })?;
    serde_saphyr::from_str(&text).map_err(|error| Error::new(error.to_string()))
}
