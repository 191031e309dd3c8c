//! Running a program within bounds: time, output, environment, and everything that it starts.

use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::ExecSettings;
use crate::error::shorten_start;

/// How much of each output is kept: its end.
const KEPT: usize = 64 << 10;
/// How many last lines go into an error.
const LINES: usize = 5;
/// How long output is read on after the end, where someone outside the process group still holds it open.
const LINGER: Duration = Duration::from_secs(1);
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and its bounds.
#[derive(Debug)]
pub(super) struct Program {
    settings: ExecSettings,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ending {
    /// With this exit code.
    #[error("exited with {0}")]
    Exited(i32),
    /// By a signal from someone else.
    #[error("was killed")]
    Killed,
    /// By us, after this time.
    #[error("was killed after {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

impl Program {
    pub(super) fn new(settings: ExecSettings) -> Self {
        Self { settings }
    }

    /// The program as the operator wrote it, without its arguments.
    pub(super) fn path(&self) -> &str {
        self.settings.command.first().map(String::as_str).unwrap_or_default()
    }

    /// Runs the program with one more argument, and tells how it ended and its last words. When the answer comes, or is
    /// no longer waited for, the whole process group is dead.
    pub(super) async fn run(&self, argument: &str, input: &[u8]) -> io::Result<(Ending, String)> {
        let mut child = self.command(argument).spawn()?;
        let group = Group::of(&child);
        let (mut said, mut complained) = (Tail::default(), Tail::default());
        let ending = {
            let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let mut talk = pin!(async {
                tokio::join!(feed(stdin, input), said.drain(stdout), complained.drain(stderr));
            });
            let mut talked = false;
            let waiting = timeout(self.settings.timeout, async {
                loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        () = &mut talk, if !talked => talked = true,
                    }
                }
            });
            let ended = waiting.await;
            drop(group);
            if !talked {
                let _ = timeout(LINGER, talk).await;
            }
            ended
        };
        let words = if complained.is_empty() { said.last_lines() } else { complained.last_lines() };
        Ok((self.ending(ending.ok().transpose()?), words))
    }

    fn ending(&self, status: Option<ExitStatus>) -> Ending {
        match status {
            Some(status) => status.code().map_or(Ending::Killed, Ending::Exited),
            None => Ending::TimedOut(self.settings.timeout),
        }
    }

    fn command(&self, argument: &str) -> Command {
        let mut command = Command::new(self.path());
        command.args(self.settings.command.iter().skip(1)).arg(argument);
        command.env_clear().env("PATH", path()).env("LANG", "C.UTF-8").envs(&self.settings.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH))
}

/// The process group of a child, killed on drop.
///
/// The leader may have been reaped just before; its number is not given to another group while members are left, and
/// when none is left, only in the moment between.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // A group without members is what we want: nothing to do about an error.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Writes all of the input. A program may end without reading it: that is its business, and its status tells.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

/// The end of an output.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Reads to the end and keeps the last 64 KiB. An output that fails is over.
    async fn drain(&mut self, output: Option<impl AsyncRead + Unpin>) {
        let Some(mut output) = output else { return };
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut chunk).await {
            self.0.extend_from_slice(chunk.get(..length).unwrap_or_default());
            if self.0.len() > 2 * KEPT {
                self.trim();
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    fn is_empty(&self) -> bool {
        self.0.trim_ascii().is_empty()
    }

    /// The last lines that say something, as one line fit for an error.
    fn last_lines(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        shorten_start(&last.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Instant;

    fn program(script: &str, timeout: Duration) -> Program {
        let command = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        Program::new(ExecSettings { command, timeout, environment: BTreeMap::new() })
    }

    /// Waits for the script to write its child's process id.
    async fn process_id(file: &Path) -> Pid {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some(id) = text.strip_suffix('\n') {
                return Pid::from_raw(id.parse().unwrap()).unwrap();
            }
            assert!(Instant::now() < deadline, "the script wrote no process id");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A killed process stays as a zombie until its new parent looks: that is dead, too.
    async fn dies(process: Pid) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the forked child lives on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn the_time_limit_kills_forked_children_that_hold_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let limit = Duration::from_millis(500);
        let started = Instant::now();
        let (ending, _) = program(&script, limit).run("present", b"").await.unwrap();
        assert_eq!(ending, Ending::TimedOut(limit));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        dies(process_id(&file).await).await;
    }

    #[tokio::test]
    async fn a_child_left_behind_does_not_hold_up_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; exit 0", file.display());
        let started = Instant::now();
        let (ending, _) = program(&script, Duration::from_secs(60)).run("present", b"").await.unwrap();
        assert_eq!(ending, Ending::Exited(0));
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        dies(process_id(&file).await).await;
    }

    #[tokio::test]
    async fn a_child_in_a_session_of_its_own_does_not_hold_up_the_answer() {
        let script = "setsid sleep 5 & echo said >&2; exit 4";
        let started = Instant::now();
        let (ending, words) = program(script, Duration::from_secs(60)).run("present", b"").await.unwrap();
        assert_eq!((ending, words.as_str()), (Ending::Exited(4), "said"));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn giving_up_kills_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let program = program(&script, Duration::from_secs(600));
        let child = tokio::select! {
            ended = program.run("present", b"") => panic!("{ended:?}"),
            child = process_id(&file) => child,
        };
        dies(child).await;
    }

    #[tokio::test]
    async fn output_is_drained_and_its_end_kept() {
        let script = "yes noise | head -c 3000000; yes noise | head -c 3000000 >&2; echo >&2; echo the end >&2; exit 1";
        let (ending, words) = program(script, Duration::from_secs(60)).run("present", &[b'x'; 300_000]).await.unwrap();
        assert_eq!(ending, Ending::Exited(1));
        assert!(words.ends_with("noise; the end"), "{words}");
    }

    #[tokio::test]
    async fn a_tail_keeps_its_end_only() {
        let mut tail = Tail::default();
        let mut long = vec![b'x'; 5 * KEPT];
        long.extend_from_slice(b"end");
        tail.drain(Some(long.as_slice())).await;
        assert_eq!(tail.0.len(), KEPT);
        assert!(tail.0.ends_with(b"xend"));
    }
}
