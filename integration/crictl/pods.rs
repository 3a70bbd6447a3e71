//! `runp`, `stopp`, `rmp`, `inspectp` and `pods`.

use std::path::Path;

use cri::{Client, RUNTIME_SERVICE};

use crate::args::{Format, Inspect, Pods, Remove};
use crate::endpoint::Endpoint;
use crate::error::{Context, Error};
use crate::messages::{
    ListPodSandboxRequest, ListPodSandboxResponse, Nothing, PodId, PodSandbox, PodSandboxFilter,
    PodSandboxStateValue, PodSandboxStatusRequest, PodSandboxStatusResponse, READY, RunPodSandboxRequest,
};
use crate::output::Pattern;
use crate::{files, output, table};

pub(crate) fn run(endpoint: &Endpoint, file: &Path, handler: &str) -> Result<(), Error> {
    println!("{}", run_pod(endpoint, file, handler)?);
    Ok(())
}

/// Runs a pod, for which engines get twice the time; its id.
pub(crate) fn run_pod(endpoint: &Endpoint, file: &Path, handler: &str) -> Result<String, Error> {
    let client = endpoint.connect(endpoint.timeout * 2)?;
    let config = Some(files::pod(file).context("load podSandboxConfig")?);
    let request = RunPodSandboxRequest { config, runtime_handler: handler.to_owned() };
    let answer: PodId = client.call(RUNTIME_SERVICE, "RunPodSandbox", request).context("run pod sandbox")?;
    Ok(answer.pod_sandbox_id)
}

pub(crate) fn stop(client: &Client, ids: &[String]) -> Result<(), Error> {
    ids.iter().try_for_each(|id| stop_pod(client, id).context(&format!("stopping the pod sandbox {id:?}")))
}

fn stop_pod(client: &Client, id: &str) -> Result<(), Error> {
    let request = PodId { pod_sandbox_id: id.to_owned() };
    let _: Nothing = client.call(RUNTIME_SERVICE, "StopPodSandbox", request)?;
    println!("Stopped sandbox {id}");
    Ok(())
}

pub(crate) fn remove(client: &Client, args: &Remove) -> Result<(), Error> {
    let ids = if args.all {
        pods(client, PodSandboxFilter::default())?.into_iter().map(|pod| pod.id).collect()
    } else {
        args.ids.clone()
    };
    for id in &ids {
        let status = status(client, id, false)
            .context(&format!("getting sandbox status of pod {id:?}"))?
            .status
            .unwrap_or_default();
        if status.state == READY {
            if !args.force {
                return Err(Error::new(format!("pod sandbox {id:?} is running, please stop it first")));
            }
            stop_pod(client, id).context(&format!("stopping the pod sandbox {id:?} failed"))?;
        }
        let request = PodId { pod_sandbox_id: id.clone() };
        let _: Nothing = client
            .call(RUNTIME_SERVICE, "RemovePodSandbox", request)
            .context(&format!("removing the pod sandbox {id:?}"))?;
        println!("Removed sandbox {id}");
    }
    Ok(())
}

fn status(client: &Client, id: &str, verbose: bool) -> Result<PodSandboxStatusResponse, Error> {
    let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose };
    Ok(client.call(RUNTIME_SERVICE, "PodSandboxStatus", request)?)
}

pub(crate) fn inspect(client: &Client, args: &Inspect) -> Result<(), Error> {
    let mut all = Vec::new();
    for id in &args.ids {
        let answer = status(client, id, !args.quiet).context("get pod sandbox status")?;
        all.push(output::status(&answer.status.unwrap_or_default(), &answer.info)?);
    }
    output::statuses(all)
}

fn pods(client: &Client, filter: PodSandboxFilter) -> Result<Vec<PodSandbox>, Error> {
    let request = ListPodSandboxRequest { filter: Some(filter) };
    let answer: ListPodSandboxResponse =
        client.call(RUNTIME_SERVICE, "ListPodSandbox", request).context("call list sandboxes RPC")?;
    Ok(answer.items)
}

pub(crate) fn list(client: &Client, args: &Pods) -> Result<(), Error> {
    let (name, namespace) = (Pattern::new(&args.list.name)?, Pattern::new(&args.namespace)?);
    let state = args.state.as_ref().map(|state| PodSandboxStateValue { state: i32::from(state != "ready") });
    let label_selector = output::labels(&args.list.label)?;
    let filter = PodSandboxFilter { id: args.list.id.clone(), state, label_selector };
    let mut items = pods(client, filter)?;
    let is_wanted = |pod: &PodSandbox| {
        let metadata = pod.metadata.as_ref();
        metadata.is_some_and(|of| name.matches(&of.name) && namespace.matches(&of.namespace))
    };
    items.retain(is_wanted);
    items.sort_by_key(|pod| std::cmp::Reverse(pod.created_at));
    if args.list.output == Format::Json {
        return output::message(&ListPodSandboxResponse { items });
    }
    if args.list.quiet {
        items.iter().for_each(|pod| println!("{}", pod.id));
        return Ok(());
    }
    let heading = ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(items.iter().map(|pod| row(pod, args.list.no_trunc)));
    table::print(&rows);
    Ok(())
}

fn row(pod: &PodSandbox, whole_id: bool) -> Vec<String> {
    let metadata = pod.metadata.clone().unwrap_or_default();
    let handler = Some(pod.runtime_handler.as_str()).filter(|handler| !handler.is_empty());
    vec![
        table::short_id(&pod.id, whole_id),
        table::ago(pod.created_at),
        if pod.state == READY { "Ready" } else { "NotReady" }.to_owned(),
        metadata.name,
        metadata.namespace,
        metadata.attempt.to_string(),
        handler.unwrap_or("(default)").to_owned(),
    ]
}
