//! `create`, `start`, `run`, `stop`, `rm`, `inspect` and `ps`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cri::{Client, RUNTIME_SERVICE};

use crate::args::{Format, Inspect, Ps, Remove, Run};
use crate::endpoint::Endpoint;
use crate::error::{Context, Error};
use crate::messages::{
    CREATED, Container, ContainerFilter, ContainerId, ContainerStateValue, ContainerStatusRequest,
    ContainerStatusResponse, CreateContainerRequest, ListContainersRequest, ListContainersResponse, Nothing,
    RUNNING, StopContainerRequest,
};
use crate::output::Pattern;
use crate::{files, images, output, pods, table};

const STATES: [&str; 4] = ["created", "running", "exited", "unknown"];
const STATE_NAMES: [&str; 4] = ["Created", "Running", "Exited", "Unknown"];

pub(crate) fn create(
    client: &Client,
    pod: &str,
    container_file: &Path,
    pod_file: &Path,
) -> Result<(), Error> {
    println!("{}", create_container(client, pod, container_file, pod_file).context("creating container")?);
    Ok(())
}

fn create_container(
    client: &Client,
    pod: &str,
    container_file: &Path,
    pod_file: &Path,
) -> Result<String, Error> {
    let request = CreateContainerRequest {
        pod_sandbox_id: pod.to_owned(),
        config: Some(files::container(container_file)?),
        sandbox_config: Some(files::pod(pod_file)?),
    };
    let answer: ContainerId = client.call(RUNTIME_SERVICE, "CreateContainer", request)?;
    Ok(answer.container_id)
}

pub(crate) fn start(client: &Client, ids: &[String]) -> Result<(), Error> {
    for id in ids {
        start_container(client, id)?;
        println!("{id}");
    }
    Ok(())
}

fn start_container(client: &Client, id: &str) -> Result<(), Error> {
    let request = ContainerId { container_id: id.to_owned() };
    let started: Result<Nothing, _> = client.call(RUNTIME_SERVICE, "StartContainer", request);
    started.context(&format!("starting the container {id:?}")).map(drop)
}

/// A pod with one container. Nothing is printed.
pub(crate) fn run(endpoint: &Endpoint, args: &Run) -> Result<(), Error> {
    let pod = pods::run_pod(endpoint, &args.pod_file, &args.runtime)?;
    let client = endpoint.connect(endpoint.timeout)?;
    if !args.no_pull && !endpoint.disable_pull_on_run {
        images::pull(&client, &args.container_file, &args.pod_file).context("creating container failed")?;
    }
    let id = create_container(&client, &pod, &args.container_file, &args.pod_file)
        .context("creating container failed")?;
    start_container(&client, &id)
}

pub(crate) fn stop(endpoint: &Endpoint, timeout: i64, ids: &[String]) -> Result<(), Error> {
    let patience = endpoint.timeout + Duration::from_secs(u64::try_from(timeout).unwrap_or(0));
    let client = endpoint.connect(patience)?;
    ids.iter().try_for_each(|id| stop_container(&client, id, timeout))
}

fn stop_container(client: &Client, id: &str, timeout: i64) -> Result<(), Error> {
    let request = StopContainerRequest { container_id: id.to_owned(), timeout };
    let stopped: Result<Nothing, _> = client.call(RUNTIME_SERVICE, "StopContainer", request);
    stopped.context(&format!("stopping the container {id:?}"))?;
    println!("{id}");
    Ok(())
}

pub(crate) fn remove(client: &Client, args: &Remove) -> Result<(), Error> {
    let ids = if args.all {
        containers(client, ContainerFilter::default())?.into_iter().map(|container| container.id).collect()
    } else {
        args.ids.clone()
    };
    for id in &ids {
        let status = status(client, id, false)
            .context(&format!("getting container status {id:?}"))?
            .status
            .unwrap_or_default();
        if status.state == RUNNING {
            if !args.force {
                return Err(Error::new(format!("container {id:?} is running, please stop it first")));
            }
            stop_container(client, id, 0)?;
        }
        let request = ContainerId { container_id: id.clone() };
        let removed: Result<Nothing, _> = client.call(RUNTIME_SERVICE, "RemoveContainer", request);
        removed.context(&format!("removing container {id:?}"))?;
        println!("{id}");
        // The engine leaves logs to its client.
        if !status.log_path.is_empty() && status.state != CREATED {
            let _ = fs::remove_file(&status.log_path);
        }
    }
    Ok(())
}

pub(crate) fn status(client: &Client, id: &str, verbose: bool) -> Result<ContainerStatusResponse, Error> {
    let request = ContainerStatusRequest { container_id: id.to_owned(), verbose };
    Ok(client.call(RUNTIME_SERVICE, "ContainerStatus", request)?)
}

pub(crate) fn inspect(client: &Client, args: &Inspect) -> Result<(), Error> {
    let mut all = Vec::new();
    for id in &args.ids {
        let answer = status(client, id, !args.quiet).context("get container status")?;
        all.push(output::status(&answer.status.unwrap_or_default(), &answer.info)?);
    }
    output::statuses(all)
}

fn containers(client: &Client, filter: ContainerFilter) -> Result<Vec<Container>, Error> {
    let request = ListContainersRequest { filter: Some(filter) };
    let answer: ListContainersResponse =
        client.call(RUNTIME_SERVICE, "ListContainers", request).context("call list containers RPC")?;
    Ok(answer.containers)
}

pub(crate) fn list(client: &Client, args: &Ps) -> Result<(), Error> {
    let name = Pattern::new(&args.list.name)?;
    let asked = args.state.as_ref().and_then(|state| STATES.iter().position(|name| name == state));
    let state = asked.and_then(|index| i32::try_from(index).ok());
    let state = if args.all { state } else { state.or(Some(RUNNING)) };
    let filter = ContainerFilter {
        id: args.list.id.clone(),
        state: state.map(|state| ContainerStateValue { state }),
        pod_sandbox_id: args.pod.clone(),
        label_selector: output::labels(&args.list.label)?,
    };
    let mut containers = containers(client, filter)?;
    containers.retain(|container| container.metadata.as_ref().is_some_and(|of| name.matches(&of.name)));
    containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
    if args.list.output == Format::Json {
        return output::message(&ListContainersResponse { containers });
    }
    if args.list.quiet {
        containers.iter().for_each(|container| println!("{}", container.id));
        return Ok(());
    }
    let heading = ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(containers.iter().map(|container| row(container, args.list.no_trunc)));
    table::print(&rows);
    Ok(())
}

fn row(container: &Container, whole_id: bool) -> Vec<String> {
    let metadata = container.metadata.clone().unwrap_or_default();
    let image = container.image.clone().unwrap_or_default().image;
    let is_digest = image.starts_with("sha256:");
    let state = usize::try_from(container.state).ok().and_then(|state| STATE_NAMES.get(state));
    let label = |key: &str| container.labels.get(key).map_or("unknown", String::as_str).to_owned();
    vec![
        table::short_id(&container.id, whole_id),
        table::short_id(&image, whole_id || !is_digest),
        table::ago(container.created_at),
        (*state.unwrap_or(&"Unknown")).to_owned(),
        metadata.name,
        metadata.attempt.to_string(),
        table::short_id(&container.pod_sandbox_id, whole_id),
        label("io.kubernetes.pod.name"),
        label("io.kubernetes.pod.namespace"),
    ]
}
