//! The directory store when its process is killed, or the machine fails it.
//!
//! Each case runs in a child process of its own (this test binary, told by environment variables what to do), since
//! limits, mounts and death concern whole processes.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use providers::Error;
use providers::stores::directory::{Directory, DirectorySettings};
use providers::stores::{Bundle, CertificateStore};
use rustix::process::{Resource, Rlimit, setrlimit};

#[path = "directory/bundles.rs"]
mod bundles;
use bundles::{assert_clean, bundle, contents, current, expected, name, store};

const CASE: &str = "STORE_TEST_CASE";
const PATH: &str = "STORE_TEST_PATH";
const ARGUMENT: &str = "STORE_TEST_ARGUMENT";

const ABORTED: i32 = 6;
const FILE_TOO_LARGE: i32 = 25;

/// What the child processes do; see the tests below.
#[tokio::test]
#[ignore = "run by the other tests in a process of its own"]
async fn child() {
    setrlimit(Resource::Core, limit(0)).expect("no core files");
    let path = PathBuf::from(variable(PATH));
    match variable(CASE).as_str() {
        "dies at a checkpoint" => die_at_checkpoint(&path).await,
        "dies in a write" => die_in_write(&path).await,
        "file too large" => file_too_large(&path).await,
        "no space" => no_space(&path).await,
        "read-only" => read_only(&path).await,
        "too many open files" => too_many_open_files(&path).await,
        case => panic!("no case `{case}`"),
    }
}

#[tokio::test]
async fn killed_at_a_checkpoint_the_reader_sees_old_or_new_and_the_next_put_succeeds() {
    for (checkpoint, new) in
        [("directory_written", false), ("directory_renamed", false), ("link_renamed", true), ("pruned", true)]
    {
        let disk = tempfile::tempdir().expect("a directory");
        let store = store(disk.path());
        for version in 1..=6 {
            store.put(&name(), &bundle(version, 10)).await.expect("stored");
        }
        let output = run("dies at a checkpoint", disk.path(), checkpoint, &[]);
        assert_eq!(output.status.signal(), Some(ABORTED), "{checkpoint}: {}", told(&output));
        let seen = bundle(if new { 7 } else { 6 }, 10);
        assert_eq!(contents(&current(disk.path())), expected(&seen), "{checkpoint}");
        assert_eq!(store.get(&name()).await, Ok(Some(seen)), "{checkpoint}");
        store.put(&name(), &bundle(7, 10)).await.expect("the next put succeeds");
        assert_clean(disk.path(), &bundle(7, 10));
        assert_eq!(bundles::versions(disk.path()), ["000004", "000005", "000006", "000007"], "{checkpoint}");
    }
}

#[tokio::test]
async fn killed_in_the_first_put_the_reader_sees_nothing_or_new() {
    for (checkpoint, new) in [("directory_written", false), ("directory_renamed", false), ("link_renamed", true)] {
        let disk = tempfile::tempdir().expect("a directory");
        let output = run("dies at a checkpoint", disk.path(), checkpoint, &[]);
        assert_eq!(output.status.signal(), Some(ABORTED), "{checkpoint}: {}", told(&output));
        let store = store(disk.path());
        assert_eq!(store.get(&name()).await, Ok(new.then(|| bundle(7, 10))), "{checkpoint}");
        store.put(&name(), &bundle(7, 10)).await.expect("the next put succeeds");
        assert_clean(disk.path(), &bundle(7, 10));
    }
}

async fn die_at_checkpoint(path: &Path) {
    let die = |checkpoint: &str| {
        if checkpoint == variable(ARGUMENT) {
            std::process::abort();
        }
    };
    let settings = DirectorySettings { checkpoint: die, ..DirectorySettings::at(path) };
    Directory::new(settings).put(&name(), &bundle(7, 10)).await.expect("not reached");
}

/// The i-th file is 100 × i bytes long: a limit in between kills the process in the middle of that file's write.
#[tokio::test]
async fn killed_in_any_write_the_reader_sees_the_old_version() {
    for limit in [50, 150, 250, 350, 450] {
        let disk = tempfile::tempdir().expect("a directory");
        let store = store(disk.path());
        store.put(&name(), &bundle(1, 10)).await.expect("stored");
        let output = run("dies in a write", disk.path(), &limit.to_string(), &[]);
        assert_eq!(output.status.signal(), Some(FILE_TOO_LARGE), "{limit}: {}", told(&output));
        assert!(disk.path().join(".versions/example.com/.new").exists(), "{limit}: it died in mid-write");
        assert_eq!(store.get(&name()).await, Ok(Some(bundle(1, 10))), "{limit}");
        store.put(&name(), &bundle(2, 100)).await.expect("the next put succeeds");
        assert_clean(disk.path(), &bundle(2, 100));
    }
}

async fn die_in_write(path: &Path) {
    let bytes = variable(ARGUMENT).parse().expect("a number");
    setrlimit(Resource::Fsize, limit(bytes)).expect("limited");
    store(path).put(&name(), &bundle(2, 100)).await.expect("not reached");
}

#[test]
fn a_write_that_fails_leaves_the_old_version_and_nothing_else() {
    // The signal is ignored from before the start on, so that the write itself fails.
    let disk = tempfile::tempdir().expect("a directory");
    succeed("file too large", disk.path(), &["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
}

async fn file_too_large(path: &Path) {
    store(path).put(&name(), &bundle(1, 10)).await.expect("stored");
    setrlimit(Resource::Fsize, Rlimit { current: Some(350), maximum: None }).expect("limited");
    fails_and_keeps(path, &bundle(2, 100)).await;
    setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None }).expect("no longer limited");
    succeeds(path, &bundle(2, 100)).await;
}

#[test]
fn a_full_disk_leaves_the_old_version_and_nothing_else() {
    let disk = tempfile::tempdir().expect("a directory");
    succeed("no space", disk.path(), &mounted());
}

async fn no_space(path: &Path) {
    store(path).put(&name(), &bundle(1, 10)).await.expect("stored");
    let error = fails_and_keeps(path, &bundle(2, 50_000)).await;
    assert!(error.contains("No space left"), "{error}");
    succeeds(path, &bundle(2, 100)).await;
}

#[test]
fn a_read_only_disk_serves_what_it_has() {
    let disk = tempfile::tempdir().expect("a directory");
    succeed("read-only", disk.path(), &mounted());
}

async fn read_only(path: &Path) {
    store(path).put(&name(), &bundle(1, 10)).await.expect("stored");
    remount(path, "remount,bind,ro");
    let error = fails_and_keeps(path, &bundle(2, 100)).await;
    assert!(error.contains("Read-only"), "{error}");
    remount(path, "remount,bind,rw");
    succeeds(path, &bundle(2, 100)).await;
}

#[test]
fn too_many_open_files_pass() {
    let disk = tempfile::tempdir().expect("a directory");
    succeed("too many open files", disk.path(), &[]);
}

async fn too_many_open_files(path: &Path) {
    store(path).put(&name(), &bundle(1, 10)).await.expect("stored");
    setrlimit(Resource::Nofile, limit(64)).expect("limited");
    let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut failures = 0;
    while let Err(error) = store(path).put(&name(), &bundle(2, 100)).await {
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        drop(held.pop().expect("one more descriptor is enough at some time"));
        assert_eq!(read_with_lent(&mut held, path).await, Some(bundle(1, 10)));
        failures += 1;
    }
    assert!(failures >= 4, "{failures} failures: at several places");
    drop(held);
    assert_clean(path, &bundle(2, 100));
}

/// Reads with a few descriptors lent, and takes them back.
async fn read_with_lent(held: &mut Vec<File>, path: &Path) -> Option<Bundle> {
    let count = held.len();
    held.truncate(count.saturating_sub(8));
    let seen = store(path).get(&name()).await.expect("readable");
    while held.len() < count {
        held.push(File::open("/dev/null").expect("lent before"));
    }
    seen
}

/// A `put` that fails as unavailable and leaves version 1 and nothing unfinished.
async fn fails_and_keeps(path: &Path, bundle: &Bundle) -> String {
    let error = store(path).put(&name(), bundle).await.expect_err("it cannot be written");
    assert!(matches!(&error, Error::Unavailable { detail } if detail.contains("`/")), "{error}");
    assert_clean(path, &bundles::bundle(1, 10));
    assert_eq!(bundles::versions(path), ["000001"]);
    error.to_string()
}

async fn succeeds(path: &Path, bundle: &Bundle) {
    store(path).put(&name(), bundle).await.expect("the next put succeeds");
    assert_clean(path, bundle);
}

/// A command line that mounts a small disk at `$STORE_TEST_PATH`, seen by nobody else, and goes on with what follows.
fn mounted() -> Vec<&'static str> {
    const MOUNT: &str = "mount -t tmpfs -o size=128k tmpfs \"$STORE_TEST_PATH\" && exec \"$0\" \"$@\"";
    let unshare: &[_] =
        if rustix::process::geteuid().is_root() { &["unshare", "-m"] } else { &["unshare", "-r", "-m"] };
    [unshare, &["sh", "-c", MOUNT]].concat()
}

fn remount(path: &Path, options: &str) {
    let status = Command::new("mount").args(["-o", options]).arg(path).status().expect("mount runs");
    assert!(status.success(), "{options}");
}

fn limit(value: u64) -> Rlimit {
    Rlimit { current: Some(value), maximum: Some(value) }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("`{name}` is set by the parent"))
}

fn succeed(case: &str, path: &Path, wrapper: &[&str]) {
    let output = run(case, path, "", wrapper);
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("1 passed"), "{}", told(&output));
}

/// Runs [`child`] in a process of its own, behind `wrapper`.
fn run(case: &str, path: &Path, argument: &str, wrapper: &[&str]) -> Output {
    let this = std::env::current_exe().expect("this binary");
    let mut words: Vec<_> = wrapper.iter().map(std::ffi::OsStr::new).collect();
    words.push(this.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["--ignored", "--exact", "child", "--test-threads=1"]);
    command.env(CASE, case).env(PATH, path).env(ARGUMENT, argument).output().expect("the child runs")
}

fn told(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}
