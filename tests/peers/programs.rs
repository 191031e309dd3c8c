//! Finding the programs that tests run, and running those that end by themselves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The folder that `tests/setup` fills: `RENEWD_PEERS`, or `peers` in cargo's target folder.
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = std::env::var_os("RENEWD_PEERS").map_or_else(|| target.join("peers"), PathBuf::from);
    // Tests of the two packages run in different folders: relative paths are those of the workspace.
    workspace().join(folder)
}

/// The path of a program: from the peers' folder, from `PATH`, or from where distributions put servers.
///
/// # Panics
/// When it is nowhere, with what to run.
pub fn find(name: &str) -> PathBuf {
    let places = places();
    places.iter().map(|place| place.join(name)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("the program `{name}` is missing (not in {places:?}): run tests/run, which installs it")
    })
}

/// The Python that has the packages of `tests/setup`.
///
/// # Panics
/// When it is not there, with what to run.
pub fn venv_python() -> PathBuf {
    let python = folder().join("venv/bin/python");
    assert!(python.is_file(), "`{}` is missing: run tests/run, which makes it", python.display());
    python
}

/// Runs a program to its end with this text on its standard input.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin was piped");
    let input = input.to_owned();
    // A program may end without reading its input: that is its business, and its status tells.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("cannot wait for {command:?}: {error}"));
    let _ = writer.join();
    output
}

/// Runs a program that must succeed, and returns what it printed.
///
/// # Panics
/// When it fails, with what it said.
pub fn must(command: &mut Command, input: &str) -> String {
    let output = run(command, input);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        panic!("{command:?}: {}\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    printed
}

fn places() -> Vec<PathBuf> {
    let peers = folder();
    let mut places = vec![peers.join("bin"), peers.join("venv/bin")];
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places.extend(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    places.extend(postgresql());
    places
}

/// Debian keeps the server programs of PostgreSQL out of `PATH`, by version; the newest first.
fn postgresql() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<_> = versions.flatten().map(|entry| entry.path()).collect();
    versions
        .sort_by_key(|path| std::cmp::Reverse(path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok())));
    versions.into_iter().map(|version| version.join("bin")).collect()
}

fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file();
    package.ancestors().find(is_root).expect("the workspace has a Cargo.lock").to_owned()
}
