//! One crypto library: aws-lc-rs. A second one would double what has to be patched, and two of them would make a process
//! that cannot say which of them guards a key.
//!
//! Two looks, since each is blind to something. `Cargo.lock` sees every platform and every feature, but also what is
//! never built: it holds the *name* `ring`, since some crates mention it in a weak feature (`ring?/std`), and so does
//! `cargo metadata`. What is really built, `cargo tree` tells, which resolves features as a build does.

use std::path::Path;
use std::process::Command;

/// Never in the lock file, under no feature and on no platform.
const BANNED: [&str; 8] =
    ["openssl", "openssl-sys", "native-tls", "rsa", "boring", "boring-sys", "mbedtls", "rustls-rustcrypto"];

/// In the lock file for the reason above, and never built.
const NEVER_BUILT: [&str; 1] = ["ring"];

#[test]
fn no_other_crypto_library_is_locked() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).expect("Cargo.lock");
    let locked = locked(&lock);
    assert!(locked.contains(&"aws-lc-rs"), "the lock file was understood");
    assert_eq!(among(&locked, &BANNED), [""; 0]);
}

#[test]
fn no_other_crypto_library_is_built() {
    let tree = tree();
    let built = built(&tree);
    assert!(built.contains(&"aws-lc-rs") && built.contains(&"providers"), "the tree was understood: {tree}");
    assert_eq!(among(&built, &[&BANNED[..], &NEVER_BUILT[..]].concat()), [""; 0]);
}

#[test]
fn a_banned_crate_is_seen_to_be_found() {
    let lock = "version = 4\n\n[[package]]\nname = \"openssl\"\nversion = \"0.10.0\"\ndependencies = [\n \"rsa\",\n]\n";
    assert_eq!(among(&locked(lock), &BANNED), ["openssl"]);
    let tree = "renewd v0.1.0 (/somewhere)\nring v0.17.14\nopenssl-probe v0.1.6 (*)\n\nproviders v0.1.0\n";
    assert_eq!(among(&built(tree), &NEVER_BUILT), ["ring"]);
}

/// The packages of a lock file.
fn locked(lock: &str) -> Vec<&str> {
    lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect()
}

/// The packages of a tree, one a line.
fn built(tree: &str) -> Vec<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

/// Those of `packages` that are `wanted`, each once.
fn among<'a>(packages: &[&str], wanted: &[&'a str]) -> Vec<&'a str> {
    wanted.iter().filter(|name| packages.contains(name)).copied().collect()
}

/// What a build of the workspace on this platform uses, its tests and build scripts included. Offline, as all of it has
/// been built by now; crates of other platforms need not be there.
fn tree() -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
