//! The unit, its user and the polkit rule: systemd itself reads them and rates them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const UNIT: &str = include_str!("../systemd/renewd.service");
const SYSUSERS: &str = include_str!("../systemd/renewd.sysusers.conf");
const POLKIT: &str = include_str!("../packaging/polkit/50-renewd.rules");

/// In tenths, as systemd counts: 1.5 of 10.
const WORST_EXPOSURE: &str = "15";

#[test]
fn systemd_accepts_the_unit_with_this_program() {
    let folder = tempfile::tempdir().unwrap();
    let unit = UNIT.replace("/usr/bin/renewd", env!("CARGO_BIN_EXE_renewd"));
    assert_ne!(unit, UNIT);
    let path = written(folder.path(), &unit);
    let output = analyze(&["verify", "--man=no", "--recursive-errors=no"], &path);
    assert!(output.status.success(), "{}", said(&output));
    // A key or section that systemd does not know is a warning only: 0 all the same.
    assert_eq!(said(&output), "");
}

#[test]
fn systemd_refuses_a_unit_without_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &UNIT.replace("/usr/bin/renewd", "/nowhere/renewd"));
    let output = analyze(&["verify", "--man=no", "--recursive-errors=no"], &path);
    assert!(!output.status.success());
}

#[test]
fn the_unit_exposes_little() {
    let folder = tempfile::tempdir().unwrap();
    let rate = |unit: &str| {
        let threshold = format!("--threshold={WORST_EXPOSURE}");
        analyze(&["security", "--offline=yes", "--no-pager", &threshold], &written(folder.path(), unit))
    };
    let output = rate(UNIT);
    assert!(output.status.success(), "{}", said(&output));
    let open = UNIT.replace("PrivateMounts=yes\n", "").replace("ProtectHome=yes\n", "");
    assert!(!rate(&open).status.success(), "the rating was understood");
}

#[test]
fn a_refused_config_fails_the_reload_and_stops_the_restarts() {
    let unit = settings(UNIT);
    let one = |key: &str| match unit.get(key).map(Vec::as_slice) {
        Some([value]) => *value,
        other => panic!("`{key}` is {other:?}"),
    };
    assert_eq!(one("Type"), "notify");
    assert_eq!(one("ExecStart"), "/usr/bin/renewd run --config /etc/renewd/config.toml");
    assert_eq!(one("ExecReload"), "/usr/bin/renewd reload --config /etc/renewd/config.toml");
    assert_eq!(one("RestartPreventExitStatus"), "78");
    assert_eq!(one("Restart"), "on-failure");
    assert_eq!(one("User"), "renewd");
    assert_eq!(one("StateDirectory"), "renewd");
    assert_eq!(one("CapabilityBoundingSet"), "");
    assert!(unit.contains_key("WatchdogSec"));
    assert!(!unit.contains_key("DynamicUser"), "consumers must reach the store");
}

#[test]
fn systemd_makes_the_user() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let mut command = Command::new("systemd-sysusers");
    command.arg("--dry-run").arg(format!("--root={}", root.path().display())).arg("-");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("systemd-sysusers is there: tests/setup installs it");
    child.stdin.take().unwrap().write_all(SYSUSERS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("Creating user 'renewd' (renewd certificate daemon)"), "{}", said(&output));
    assert!(SYSUSERS.contains(" /var/lib/renewd "), "its home is its state: `~/.aws` is looked for there");
}

#[test]
fn the_polkit_rule_allows_reloads_of_its_list_only() {
    let rule = code(POLKIT);
    let (head, rest) = rule.split_once("= [").unwrap();
    let (list, condition) = rest.split_once("];").unwrap();
    assert_eq!(head.trim(), "var renewdMayReload");
    let units: Vec<_> = list.split(',').map(|unit| unit.trim().trim_matches('"')).collect();
    assert!(units.contains(&"nginx.service") && units.contains(&"haproxy.service"), "{units:?}");
    assert!(units.iter().all(|unit| is_service(unit)), "{units:?}");
    assert!(units.is_sorted(), "{units:?}");
    assert_eq!(
        condition.trim(),
        "polkit.addRule(function (action, subject) { \
         if (action.id === \"org.freedesktop.systemd1.manage-units\" && \
         subject.user === \"renewd\" && \
         action.lookup(\"verb\") === \"reload\" && \
         renewdMayReload.indexOf(action.lookup(\"unit\")) !== -1) { \
         return polkit.Result.YES; } \
         return polkit.Result.NOT_HANDLED; });"
    );
}

/// The rule without comments, each run of white space one space.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn is_service(unit: &str) -> bool {
    let name = unit.strip_suffix(".service").unwrap_or_default();
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_@".contains(&byte))
}

/// Every key of a unit with its values in order.
fn settings(unit: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut settings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in unit.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once('=') {
            settings.entry(key).or_default().push(value);
        }
    }
    settings
}

fn written(folder: &Path, unit: &str) -> std::path::PathBuf {
    let path = folder.join("renewd.service");
    File::create(&path).unwrap().write_all(unit.as_bytes()).unwrap();
    path
}

fn analyze(arguments: &[&str], unit: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(unit).env("SYSTEMD_COLORS", "0");
    command.output().expect("systemd-analyze is there: tests/setup installs it")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}
