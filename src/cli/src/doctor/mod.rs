//! `podhosts doctor`: what keeps podhosts from working on this node, and what to do about it.

pub(crate) mod cni;
pub(crate) mod finding;

mod containerd;
mod crio;
mod installation;
mod kernel;
mod node;
mod nri;
mod options;
mod podman;
mod programs;
mod runtimes;
mod self_test;
mod service_proxy;

use finding::Report;
use installation::Installation;
pub(crate) use options::DoctorOptions;
use runtimes::Runtimes;

/// Makes every check, also after one that failed.
pub(crate) fn run(options: &DoctorOptions) -> Report {
    let mut report = Report::default();
    let runtimes = Runtimes::of_engines();
    let needs_wrapper = runtimes.run_wrapper();
    let config = node::configuration(options, &runtimes, &mut report);
    node::privileges(&mut report);
    kernel::check(&mut report);
    programs::check(options, &config, needs_wrapper, &mut report);
    let mut networks = engines(&mut report);
    if networks.is_empty() {
        networks.push(cni::Paths::default());
    }
    for paths in &networks {
        cni::check(paths, &mut report);
    }
    cni::packet_filter(&mut report);
    service_proxy::check(&mut report);
    if options.self_test {
        self_test::check(options, &config, &runtimes, &mut report);
    }
    report
}

/// Looks at every engine that the node has; where they look for networks, each place once.
fn engines(report: &mut Report) -> Vec<cni::Paths> {
    type Check = fn(&Installation, &mut Report) -> Option<cni::Paths>;
    let all: [(&'static str, Installation, Check); 3] = [
        (containerd::CHECK, containerd::engine(), containerd::check),
        (crio::CHECK, crio::engine(), crio::check),
        (podman::CHECK, podman::engine(), podman::check),
    ];
    let mut networks = Vec::new();
    for (name, engine, check) in all {
        if !engine.is_there() {
            report.skipped(name, "not on this node");
            continue;
        }
        if let Some(paths) = check(&engine, report) {
            paths.add_to(&mut networks);
        }
    }
    networks
}
