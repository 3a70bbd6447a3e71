//! As much of crictl as the tests use, for machines that have none.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use podhosts::cri::Client;

fn main() -> ExitCode {
    let version = Client::connect(Path::new("/run/containerd/containerd.sock"), Duration::from_secs(10))
        .and_then(|client| client.version());
    println!("{version:?}");
    ExitCode::SUCCESS
}
