//! `podhosts configure` and `podhosts unconfigure` on the command line.

use crate::configure;
use crate::configure::change::FileChange;
use crate::configure::choices::{Choices, Invocation};
use crate::configure::restart::Restart;
use crate::configure::{Outcome, change};
use crate::engines::engine::{Engine, Mode};
use crate::engines::error::ConfigureError;
use sys::report::ExitCode;

use super::args::{ConfigureArgs, ModeArg, PlaceArgs, PodCidrFromArg, RuntimeArg, UnconfigureArgs};
use super::output::{complain, print};

const NOTHING: &str = "nothing to change\n";

/// Has an engine call podhosts.
pub(super) fn configure(args: &ConfigureArgs) -> ExitCode {
    let choices = Choices {
        mode: args.mode.map(mode),
        set_as_default: args.set_as_default,
        with_cni: args.with_cni,
        pod_cidrs: args.pod_cidr.clone(),
        pod_cidrs_of_node: args.pod_cidr_from == Some(PodCidrFromArg::Node),
        bin_dir: args.bin_dir.clone(),
    };
    end(configure::configure(&invocation(&args.place), &choices))
}

/// Takes podhosts out of an engine's configuration.
pub(super) fn unconfigure(args: &UnconfigureArgs) -> ExitCode {
    end(configure::unconfigure(&invocation(&args.place)))
}

fn invocation(args: &PlaceArgs) -> Invocation {
    Invocation {
        engine: engine(args.runtime),
        config: args.config.clone(),
        drop_in: args.drop_in.clone(),
        hooks_dir: args.hooks_dir.clone(),
        dry_run: args.dry_run,
        restart: args.restart,
    }
}

fn engine(runtime: RuntimeArg) -> Engine {
    match runtime {
        RuntimeArg::Containerd => Engine::Containerd,
        RuntimeArg::K3s => Engine::K3s,
        RuntimeArg::Rke2 => Engine::Rke2,
        RuntimeArg::Crio => Engine::Crio,
        RuntimeArg::Podman => Engine::Podman,
    }
}

fn mode(mode: ModeArg) -> Mode {
    match mode {
        ModeArg::Wrapper => Mode::Wrapper,
        ModeArg::BaseSpec => Mode::BaseSpec,
        ModeArg::HooksDir => Mode::HooksDir,
        ModeArg::Nri => Mode::Nri,
    }
}

fn end(result: Result<Outcome, ConfigureError>) -> ExitCode {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            complain(&[error.to_string()]);
            return if error.is_usage() { ExitCode::Usage } else { ExitCode::Failure };
        }
    };
    let text = described(&outcome);
    match &outcome.restart {
        // The changes were made, so the error tells them, too.
        Some(Restart::Failed(error)) => complain(&[format!("{}{error}", text.replace('\n', "; "))]),
        _ => print(text.as_bytes()),
    }
}

/// The changes, then the notes, then the restart.
fn described(outcome: &Outcome) -> String {
    let mut text = match (&outcome.changes[..], &outcome.restart) {
        ([], _) => NOTHING.to_owned(),
        (changes, None) => change::diff(changes),
        (changes, Some(_)) => changes.iter().map(line).collect(),
    };
    for note in &outcome.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    match &outcome.restart {
        None | Some(Restart::NotNeeded | Restart::Failed(_)) => {}
        Some(Restart::AtNextContainer) => text.push_str("podman reads it when it makes the next container\n"),
        Some(Restart::Pending { engine, commands }) => {
            text.push_str(&format!("{engine} reads it at its start: {commands}\n"));
        }
        Some(Restart::Done(service)) => text.push_str(&format!("restarted {service}\n")),
    }
    text
}

fn line(change: &FileChange) -> String {
    let verb = match (&change.old, &change.new) {
        (None, _) => "made",
        (_, None) => "removed",
        _ => "changed",
    };
    format!("{verb} {}\n", change.path.display())
}
