//! `podhosts inspect` on the command line.

use std::fmt::Write;

use pod::validation::{printable, printable_json, printable_lines};

use super::args::InspectArgs;
use crate::inspect::{self, FoundContainer, Inspection, Query};

pub(super) fn run(args: &InspectArgs) -> Result<Vec<u8>, Vec<String>> {
    let query =
        Query { container: args.container.clone(), root: args.root.clone(), config: args.config.clone() };
    let inspection = inspect::inspect(&query).map_err(|error| vec![error])?;
    let text = if args.json {
        let json = serde_json::to_string_pretty(&inspection).map_err(|error| vec![error.to_string()])? + "\n";
        printable_json(&json).into_owned()
    } else {
        table(&inspection)
    };
    Ok(text.into_bytes())
}

/// One row for each fact, and the file as it is.
fn table(inspection: &Inspection) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<10} {}", printable(&value));
    };
    let FoundContainer { id, pid, bundle } = &inspection.container;
    row("container", id.as_deref().unwrap_or("(id not known)").to_owned());
    row("pid", pid.map_or_else(|| "(not running)".to_owned(), |pid| pid.to_string()));
    row("bundle", bundle.as_ref().map_or_else(|| "(not known)".to_owned(), |b| b.display().to_string()));
    if let Some(pod) = &inspection.pod {
        row("pod", format!("{}/{} ({})", pod.namespace, pod.name, pod.engine));
    }
    row(
        "sealed",
        inspection.reason.as_ref().map_or_else(|| "yes".to_owned(), |reason| format!("no: {reason}")),
    );
    if let Some(source) = inspection.address_source {
        row("addresses", format!("from {source}"));
    }
    if let Some(mount) = inspection.mount.as_ref().filter(|_| inspection.sealed) {
        row("mount", format!("{} {}, superblock {}", mount.fs_type, mount.options, mount.super_options));
    }
    if let Some(text) = &inspection.hosts_file {
        row("/etc/hosts", String::new());
        // The container may have written it.
        out.push_str(&printable_lines(text));
    }
    out
}
