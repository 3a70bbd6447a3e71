//! Makes the man pages and shell completions from the definitions of the command line.

#[allow(dead_code, unreachable_pub)]
#[path = "src/commands/args.rs"]
mod args;

#[allow(clippy::disallowed_methods, reason = "cargo tells a build script its directory in the environment")]
fn main() -> std::io::Result<()> {
    use clap::{CommandFactory, ValueEnum};
    use clap_complete::{Shell, generate_to};

    println!("cargo::rerun-if-changed=src/commands/args.rs");
    let Some(out_dir) = std::env::var_os("OUT_DIR") else {
        return Ok(());
    };
    // <target>/<profile>/build/podhosts-<hash>/out: beside the binaries is where `make install` looks.
    let out_dir = std::path::PathBuf::from(out_dir);
    let profile_dir = out_dir.ancestors().nth(3).unwrap_or(&out_dir);
    let (man, completions) = (profile_dir.join("man"), profile_dir.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    let mut command = args::Cli::command();
    for shell in Shell::value_variants() {
        generate_to(*shell, &mut command, "podhosts", &completions)?;
    }
    clap_mangen::generate_to(command, &man)
}
