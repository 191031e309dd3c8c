//! The command line as the shell sees it: what it exits with, and what it writes where.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const GOOD: &str = "[ca.internal]\nsubject = { common_name = \"Test CA\" }\n[certificate.\"a.internal\"]\n";
const BAD: &str =
    "[ca.internal]\nsubject = { common_name = \"Test CA\" }\n[certificate.\"a.internal\"]\nissuers = [\"intern\"]\n";

/// A directory with a config of this text.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("config.toml")).unwrap();
    file.write_all(config.as_bytes()).unwrap();
    folder
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
    command.args(arguments).arg("--config").arg(folder.path().join("config.toml")).env_remove("RENEWD_CONFIG");
    command
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

#[test]
fn exit_codes_tell_what_happened() {
    let (good, bad) = (folder(GOOD), folder(BAD));
    for (folder, arguments, code) in [
        (&good, &["check"][..], 0),
        (&good, &["--version"], 0),
        (&good, &["list"], 0),
        (&good, &["show", "a.internal"], 0),
        (&good, &["show", "b.internal"], 1),
        (&good, &["nonsense"], 2),
        (&good, &["revoke", "a.internal"], 2),
        (&good, &["reload"], 3),
        (&good, &["renew", "a.internal"], 3),
        (&bad, &["check"], 78),
        (&bad, &["list"], 78),
        (&bad, &["renew", "a.internal"], 78),
        (&bad, &["run"], 78),
    ] {
        let output = run(folder, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn errors_go_to_standard_error_for_people_and_to_standard_output_for_programs() {
    let bad = folder(BAD);
    let people = run(&bad, &["check"]);
    assert!(people.stdout.is_empty());
    assert!(String::from_utf8_lossy(&people.stderr).contains("config.toml:4:"));
    let programs = run(&bad, &["check", "--json"]);
    let told: Value = serde_json::from_slice(&programs.stdout).unwrap();
    assert_eq!((&told["schema"], &told["errors"][0]["line"]), (&json!(1), &json!(4)));
    let programs = run(&folder(GOOD), &["notify", "test", "nobody", "--json"]);
    let told: Value = serde_json::from_slice(&programs.stdout).unwrap();
    assert!(told["error"].is_string(), "{told}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder(GOOD);
    let mut child = command(&folder, &["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn packagers_get_completions_and_pages() {
    let folder = folder(GOOD);
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&folder, &["completions", shell]).stdout.len() > 1000, "{shell}");
    }
    let pages = folder.path().join("man1");
    assert!(run(&folder, &["man", "--directory", pages.to_str().unwrap()]).status.success());
    for page in ["renewd.1", "renewd-run.1", "renewd-account-rotate-key.1"] {
        assert!(std::fs::read_to_string(pages.join(page)).unwrap().contains(".TH"), "{page}");
    }
}

const PUBLIC: &str = "\
[account.one]
directory = \"letsencrypt\"
contact = [\"mailto:ops@example.com\"]
agree_to_terms = true
[dns.main.cloudflare]
api_token = { env = \"NOT_THERE\" }
[certificate.\"a.example.com\"]
[certificate.\"b.example.com\"]
key = \"rsa-2048\"
";

#[test]
fn before_the_first_start_commands_that_look_tell_what_the_config_would_bring() {
    let folder = folder(PUBLIC);
    let json = |arguments: &[&str]| -> Value {
        let output = run(&folder, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(said.contains("there is no state in") && said.contains("`renewd run` makes it"), "{said}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let list = json(&["list", "--json"]);
    let names = list["certificates"].as_array().unwrap().iter().map(|one| (&one["name"], &one["state"]));
    let pending = json!("pending");
    assert!(names.eq([(&json!("a.example.com"), &pending), (&json!("b.example.com"), &pending)]), "{list}");
    let plan = json(&["plan", "--json"]);
    assert_eq!(plan["due"][1]["what"], "a new certificate is ordered from `one`", "{plan}");
    assert_eq!(plan["load"][0]["certificates"], 2, "{plan}");
    assert_eq!(json(&["why", "a.example.com", "--json"])["next"], "a new certificate is ordered from `one`");
    assert_eq!(json(&["show", "b.example.com", "--json"])["state"], "pending");
    assert_eq!(json(&["account", "show", "--json"])["accounts"][0]["name"], "one");
    assert_eq!(run(&folder, &["why", "nobody"]).status.code(), Some(1));
    assert!(!folder.path().join("renewd-state").exists(), "nothing is written");
}

#[test]
fn a_config_is_simulated_without_a_state() {
    let folder = folder(PUBLIC);
    let output = run(&folder, &["plan", "--simulate", "--days", "100", "--seed", "3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["schema"], &told["certificates"], &told["expired"]), (&json!(1), &json!(2), &json!(0)));
    assert_eq!((&told["load"][0]["issuer"], &told["missing"], &told["seed"]), (&json!("one"), &json!(0), &json!(3)));
    assert!(told["renewed"].as_u64() >= Some(2) && told["crashes"].as_u64() > Some(50), "{told}");
    let refused = run(&folder, &["plan", "--seed", "3"]);
    assert_eq!(refused.status.code(), Some(2), "a seed is for simulations");
    let words = run(&folder, &["plan", "--simulate", "--days", "30"]);
    assert!(words.stderr.is_empty(), "what fails in play is no news: {}", String::from_utf8_lossy(&words.stderr));
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("Of them renewals:") && words.contains("BUSIEST 3 H"), "{words}");
    assert!(!folder.path().join("renewd-state").exists(), "nothing is written");
}
