//! Commands that work, fail, hang, fork and talk too much.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use providers::program::Ending;
use renewd::clock::Timestamp;
use renewd::config::DeployCommand;
use renewd::deploy::command::{self, CommandError, DeployEvent, Deployed};

use crate::peers::folder::Folder;
use crate::peers::process::wait;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_environment_is_exactly_as_promised() {
    let folder = Folder::new("command");
    let script = "cat /proc/$$/environ >> \"$1\"";
    let bundles =
        vec![deployed("one"), Deployed { directory: None, fullchain: None, privkey: None, ..deployed("two") }];
    let event = DeployEvent { event: "issued", bundles };
    let common = "LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";

    let file = folder.file("all");
    command::run(&shell(script, &file), &event).await.expect("it works");
    assert_eq!(variables(&file), format!("{common}RENEWD_CERTIFICATES=one\ntwo\nRENEWD_EVENT=issued\n"));

    let file = folder.file("each");
    command::run(&DeployCommand { each: true, ..shell(script, &file) }, &event).await.expect("it works");
    let one = "RENEWD_CERTIFICATE=one\nRENEWD_DIRECTORY=/c/one\nRENEWD_EVENT=issued\n\
         RENEWD_FULLCHAIN=/c/one/fullchain.pem\nRENEWD_PRIVKEY=/c/one/privkey.pem\n";
    assert_eq!(variables(&file), format!("{common}{one}{common}RENEWD_CERTIFICATE=two\nRENEWD_EVENT=issued\n"));
}

#[tokio::test]
async fn standard_input_tells_it_all() {
    let folder = Folder::new("command");
    let file = folder.file("stdin");
    command::run(&shell("cat > \"$1\"", &file), &event(&["one", "two"])).await.expect("it works");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let document: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((&document["schema"], &document["event"]), (&1.into(), &"requested".into()));
    let second = serde_json::json!({
        "name": "two", "directory": "/c/two", "fullchain": "/c/two/fullchain.pem", "privkey": "/c/two/privkey.pem",
        "serial": "0a", "not_after": "2024-02-29T12:34:56Z", "names": ["two.example.com"], "version": 3,
    });
    assert_eq!(document["certificates"][1], second);
    assert_eq!(document["certificates"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_program_need_not_read_its_input() {
    let names: Vec<_> = (0..1500).map(|number| format!("certificate-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    command::run(&shell("exec <&-; exit 0", Path::new("")), &event(&names)).await.expect("its status tells");
    command::run(&shell("exit 0", Path::new("")), &event(&names)).await.expect("its status tells");
}

#[tokio::test]
async fn a_failure_is_told_in_the_programs_last_words() {
    let script = "echo begun; printf '\\033[31mno such unit\\n\\n' >&2; exit 5";
    let error = command::run(&shell(script, Path::new("")), &event(&["one"])).await.expect_err("it failed");
    assert_eq!(error.to_string(), "`sh` exited with 5: begun; [31mno such unit");
    let error = command::run(&shell("kill -TERM $$", Path::new("")), &event(&["one"])).await.expect_err("it failed");
    assert_eq!(error.to_string(), "`sh` was killed by signal 15");
}

#[tokio::test]
async fn ten_megabytes_of_output_leave_four_kilobytes() {
    let script = "yes noise | head -c 10000000 >&2; echo >&2; echo the end >&2; exit 1";
    let error = command::run(&shell(script, Path::new("")), &event(&["one"])).await.expect_err("it failed");
    let CommandError::Failed { output, .. } = error else { panic!("{error:?}") };
    assert!(output.len() <= 4096 && output.len() > 4000, "{}", output.len());
    assert!(output.ends_with("nois; the end"), "{output}");
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_its_children() {
    let folder = Folder::new("command");
    let file = folder.file("child");
    let script = "(sleep 600 & echo $! > \"$1\"; wait) & echo waiting; wait";
    let limit = Duration::from_secs(1);
    let hanging = DeployCommand { timeout: limit, ..shell(script, &file) };
    let error = command::run(&hanging, &event(&["one"])).await.expect_err("it hangs");
    let CommandError::Failed { ending, output, .. } = error else { panic!("{error:?}") };
    assert_eq!((ending, output.as_str()), (Ending::TimedOut(limit), "waiting"));
    let child = std::fs::read_to_string(&file).expect("it was started");
    assert!(wait(SOON, || is_dead(child.trim())), "the grandchild lives on");
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_is_killed_with_its_children() {
    let folder = Folder::new("command");
    let file = folder.file("child");
    let hanging = shell("sleep 600 & echo $! > \"$1\"; wait", &file);
    let children = async {
        let deadline = Instant::now() + SOON;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(child) = text.strip_suffix('\n') {
                return child.to_owned();
            }
            assert!(Instant::now() < deadline, "it was not started");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let event = event(&["one"]);
    let child = tokio::select! {
        ended = command::run(&hanging, &event) => panic!("{ended:?}"),
        child = children => child,
    };
    assert!(wait(SOON, || is_dead(&child)), "the child lives on");
}

#[tokio::test]
async fn a_server_left_behind_does_not_hold_up_the_answer_and_lives() {
    let folder = Folder::new("command");
    let file = folder.file("child");
    let started = Instant::now();
    command::run(&shell("sleep 600 & echo $! > \"$1\"", &file), &event(&["one"])).await.expect("it is done");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    let child = std::fs::read_to_string(&file).expect("it was started");
    assert!(!is_dead(child.trim()), "a server that it started was killed");
    let process = rustix::process::Pid::from_raw(child.trim().parse().expect("a number")).expect("not zero");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it can be killed");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named() {
    let folder = Folder::new("command");
    let run = async |words: &[&str]| {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        let command = DeployCommand { command: words, each: false, timeout: SOON };
        command::run(&command, &event(&["one"])).await.expect_err("it cannot be started")
    };
    let error = run(&["no-such-program-of-renewd", "reload"]).await;
    assert_eq!(error.to_string(), "`no-such-program-of-renewd` was not found");
    assert!(matches!(error, CommandError::NotFound { .. }), "{error:?}");
    let script = folder.write("script", "#!/no/such/interpreter\n");
    let script = script.to_str().expect("UTF-8");
    assert!(matches!(run(&[script]).await, CommandError::NotStarted { .. }), "not executable");
    std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("an own file");
    let error = run(&[script]).await.to_string();
    assert!(error.ends_with("not the interpreter that its first line names"), "{error}");
    assert!(matches!(run(&[]).await, CommandError::Empty));
    assert!(matches!(run(&[""]).await, CommandError::Empty));
}

#[tokio::test]
async fn of_each_one_failure_holds_up_no_other() {
    let folder = Folder::new("command");
    let file = folder.file("runs");
    let script = "echo $RENEWD_CERTIFICATE >> \"$1\"; test $RENEWD_CERTIFICATE = two && exit 4; exit 0";
    let each = DeployCommand { each: true, ..shell(script, &file) };
    let error = command::run(&each, &event(&["one", "two", "three"])).await.expect_err("one failed");
    assert_eq!(error.to_string(), "`sh` exited with 4 for `two`");
    assert_eq!(std::fs::read_to_string(&file).expect("it ran"), "one\ntwo\nthree\n");
}

/// A script whose `$1` is the file.
fn shell(script: &str, file: &Path) -> DeployCommand {
    let file = file.to_str().expect("UTF-8");
    let command = ["sh", "-c", script, "sh", file].map(str::to_owned).to_vec();
    DeployCommand { command, each: false, timeout: Duration::from_secs(60) }
}

fn event(names: &[&str]) -> DeployEvent<'static> {
    DeployEvent { event: "requested", bundles: names.iter().map(|name| deployed(name)).collect() }
}

fn deployed(name: &str) -> Deployed {
    let directory = PathBuf::from(format!("/c/{name}"));
    Deployed {
        certificate: name.to_owned(),
        fullchain: Some(directory.join("fullchain.pem")),
        privkey: Some(directory.join("privkey.pem")),
        directory: Some(directory),
        serial: "0a".to_owned(),
        not_after: Timestamp::from_seconds(1_709_210_096),
        names: vec![format!("{name}.example.com")],
        version: 3,
    }
}

/// What `environ` files hold, a variable a line, in the order in which they were given.
fn variables(file: &Path) -> String {
    std::fs::read_to_string(file).expect("it was written").replace('\0', "\n")
}

/// A killed process stays as a zombie until its new parent looks: that is dead, too.
fn is_dead(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}
