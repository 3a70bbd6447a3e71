//! `podhosts doctor`: what keeps podhosts from working on this node, and what to do about it.

pub mod cni;
pub mod finding;
pub mod node;
pub mod programs;
pub mod self_test;

use std::path::PathBuf;
use std::time::Duration;

use finding::Report;

/// How long a program or an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node's configuration.
    pub config: PathBuf,
    /// Where the programs are: the directory of this one.
    pub bin_dir: PathBuf,
    /// Whether a container is started.
    pub self_test: bool,
}

/// Makes every check, whatever the others say.
pub fn run(options: &Options) -> Report {
    let mut report = Report::default();
    let config = node::configuration(options, &mut report);
    node::privileges(&mut report);
    node::kernel(&mut report);
    programs::check(options, &config, &mut report);
    if options.self_test {
        self_test::check(options, &config, &mut report);
    }
    report
}
