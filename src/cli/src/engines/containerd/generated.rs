//! Main files that are generated again at each start, so that a change of them would be lost.

use std::path::Path;

use crate::engines::engine::Engine;
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::setup::Setup;

/// Refuses to change a main file that is written again at the next start.
pub(crate) fn check_generated(setup: &Setup) -> Result<(), ConfigureError> {
    let config = &setup.place.config;
    let text = Files::on_disk(config)?;
    let head =
        text.iter().flat_map(|text| text.lines()).take_while(|line| line.starts_with('#') || line.is_empty());
    let is_marked = head.into_iter().any(|line| line.to_ascii_uppercase().contains("DO NOT EDIT"));
    let engine = setup.place.engine;
    let dir = config.parent().unwrap_or(Path::new("/")).display();
    let shown = config.display();
    let reason = match engine {
        Engine::K3s | Engine::Rke2 if text.is_none() => {
            format!("{shown} is not there: {} makes it at its first start", engine.name())
        }
        Engine::K3s | Engine::Rke2 => format!(
            "{} writes {shown} again at each start: have its template, {dir}/config-v3.toml.tmpl or config.toml.tmpl, \
             import {}, or put the tables of wrapper-v2.toml into it where that has version 2",
            engine.name(),
            setup.place.drop_in.display()
        ),
        _ if is_marked => format!(
            "{shown} says DO NOT EDIT, so it is written again: change what makes it, or have it import {} and call \
             this again",
            setup.place.drop_in.display()
        ),
        _ if is_bottlerocket()? => {
            format!(
                "Bottlerocket writes {shown} again at each start; it takes handlers from its settings alone"
            )
        }
        _ => return Ok(()),
    };
    Err(setup.refused(reason))
}

/// Whether GKE wrote the main file: its plugins are in a directory of its own.
pub(crate) fn is_of_gke(files: &Files, setup: &Setup) -> Result<bool, EngineError> {
    let text = files.read(&setup.place.config)?.unwrap_or_default();
    Ok(text.contains("\"/home/kubernetes/bin\""))
}

/// Whether the node's system is Bottlerocket, which makes all of /etc from its settings.
fn is_bottlerocket() -> Result<bool, EngineError> {
    let release = Files::on_disk(Path::new("/etc/os-release"))?.unwrap_or_default();
    Ok(release.lines().any(|line| line == "ID=bottlerocket"))
}
