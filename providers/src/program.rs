//! Running a program within bounds: time, output, environment, and everything that it starts.
//!
//! For what the operator wants run: the `exec` DNS provider, deploy commands. There is no shell, and the program sees no
//! variable that is not given here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// How much of each output is kept: its end.
const KEPT: usize = 64 << 10;
/// How long output is read on after the end, where someone still holds it open.
const LINGER: Duration = Duration::from_secs(1);
/// Where programs are looked for: `PATH`, where the caller gives no other.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and its bounds.
#[derive(Clone)]
pub struct Program {
    path: String,
    arguments: Vec<String>,
    environment: BTreeMap<OsString, OsString>,
    timeout: Duration,
    leftovers: Leftovers,
}

/// What becomes of processes in the program's group that outlive it. When the time is over, or the answer is no longer
/// waited for, all are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// They are killed: all that the program was asked for is done when it ends.
    Killed,
    /// They live on: it may have been asked to start a server.
    Left,
}

/// How a run ended, and what the program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub ending: Ending,
    /// The last 64 KiB of its standard output.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of its standard error.
    pub stderr: Vec<u8>,
}

/// How a run ended. `Display` goes on after the program's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// With this exit code.
    #[error("exited with {0}")]
    Exited(i32),
    /// By this signal from someone else.
    #[error("was killed by signal {0}")]
    Killed(i32),
    /// By us, after this time.
    #[error("was killed after {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

impl Program {
    /// A program that is killed when it runs longer than `timeout`. Its environment is `PATH` as [`DEFAULT_PATH`] and
    /// `LANG=C.UTF-8`. A `path` without a slash is looked for in that `PATH`.
    #[must_use]
    pub fn new(path: &str, timeout: Duration) -> Self {
        let (path, arguments, environment) = (path.to_owned(), Vec::new(), BTreeMap::new());
        let program = Self { path, arguments, environment, timeout, leftovers: Leftovers::Killed };
        program.variable("PATH", DEFAULT_PATH).variable("LANG", "C.UTF-8")
    }

    /// With these arguments behind those that it has.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With this environment variable, which takes the place of an earlier one of that name.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// With this fate of what outlives it; without a word, that is killed.
    #[must_use]
    pub fn leftovers(mut self, leftovers: Leftovers) -> Self {
        self.leftovers = leftovers;
        self
    }

    /// The program as the operator wrote it, without its arguments.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Runs the program to its end with this on its standard input, which it need not read.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn run(&self, input: &[u8]) -> io::Result<Run> {
        let mut child = self.command().spawn()?;
        let mut group = Group::of(&child);
        let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
        let ended = {
            let (stdin, said, complained) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let mut talk = pin!(async {
                tokio::join!(feed(stdin, input), stdout.drain(said), stderr.drain(complained));
            });
            let mut talked = false;
            let waiting = timeout(self.timeout, async {
                loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        () = &mut talk, if !talked => talked = true,
                    }
                }
            });
            let ended = waiting.await;
            if ended.is_ok() && self.leftovers == Leftovers::Left {
                group.spare();
            }
            drop(group);
            if !talked {
                let _ = timeout(LINGER, talk).await;
            }
            ended
        };
        let ending = self.ending(ended.ok().transpose()?);
        Ok(Run { ending, stdout: stdout.kept(), stderr: stderr.kept() })
    }

    fn ending(&self, status: Option<ExitStatus>) -> Ending {
        match status {
            Some(status) => match status.code() {
                Some(code) => Ending::Exited(code),
                None => Ending::Killed(status.signal().unwrap_or_default()),
            },
            None => Ending::TimedOut(self.timeout),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear().envs(&self.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

impl fmt::Debug for Program {
    /// Arguments and values are left out: they may hold what is nobody's business.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Program")
            .field("path", &self.path)
            .field("environment", &self.environment.keys())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The lines of an output that say something, without control characters.
#[must_use]
pub fn lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let plain = |line: &str| line.chars().filter(|char| !char.is_control()).collect::<String>().trim().to_owned();
    text.lines().map(plain).filter(|line| !line.is_empty()).collect()
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

    fn spare(&mut self) {
        self.0 = None;
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
    }

    fn trim(&mut self) {
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    fn kept(mut self) -> Vec<u8> {
        self.trim();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Instant;

    fn program(script: &str, timeout: Duration) -> Program {
        Program::new("sh", timeout).arguments(["-c", script])
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
        let run = program(&script, limit).run(b"").await.unwrap();
        assert_eq!(run.ending, Ending::TimedOut(limit));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        dies(process_id(&file).await).await;
    }

    #[tokio::test]
    async fn a_child_left_behind_does_not_hold_up_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; exit 0", file.display());
        let started = Instant::now();
        let run = program(&script, Duration::from_secs(60)).run(b"").await.unwrap();
        assert_eq!(run.ending, Ending::Exited(0));
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        dies(process_id(&file).await).await;
    }

    #[tokio::test]
    async fn a_child_in_a_session_of_its_own_does_not_hold_up_the_answer() {
        let script = "setsid sleep 5 & echo said >&2; exit 4";
        let started = Instant::now();
        let run = program(script, Duration::from_secs(60)).run(b"").await.unwrap();
        assert_eq!((run.ending, run.stderr.as_slice()), (Ending::Exited(4), b"said\n".as_slice()));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn giving_up_kills_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let program = program(&script, Duration::from_secs(600));
        let child = tokio::select! {
            ended = program.run(b"") => panic!("{ended:?}"),
            child = process_id(&file) => child,
        };
        dies(child).await;
    }

    #[tokio::test]
    async fn output_is_drained_and_its_end_kept() {
        let script = "yes noise | head -c 3000000; yes noise | head -c 3000000 >&2; echo >&2; echo the end >&2; exit 1";
        let run = program(script, Duration::from_secs(60)).run(&[b'x'; 300_000]).await.unwrap();
        assert_eq!(run.ending, Ending::Exited(1));
        assert_eq!((run.stdout.len(), run.stderr.len()), (KEPT, KEPT));
        assert_eq!(lines(&run.stderr).last().map(String::as_str), Some("the end"));
    }

    #[tokio::test]
    async fn a_tail_keeps_its_end_only() {
        let mut tail = Tail::default();
        let mut long = vec![b'x'; 5 * KEPT];
        long.extend_from_slice(b"end");
        tail.drain(Some(long.as_slice())).await;
        let kept = tail.kept();
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with(b"xend"));
    }

    #[tokio::test]
    async fn what_may_be_left_lives_on_after_the_end_and_not_after_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; exit 0", file.display());
        let run = program(&script, Duration::from_secs(60)).leftovers(Leftovers::Left).run(b"").await.unwrap();
        assert_eq!(run.ending, Ending::Exited(0));
        let left = process_id(&file).await;
        rustix::process::test_kill_process(left).expect("it lives on");
        rustix::process::kill_process(left, Signal::KILL).unwrap();

        std::fs::remove_file(&file).unwrap();
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let limit = Duration::from_millis(500);
        let run = program(&script, limit).leftovers(Leftovers::Left).run(b"").await.unwrap();
        assert_eq!(run.ending, Ending::TimedOut(limit));
        dies(process_id(&file).await).await;
    }

    #[tokio::test]
    async fn a_signal_is_told() {
        let run = program("kill -TERM $$", Duration::from_secs(60)).run(b"").await.unwrap();
        assert_eq!(run.ending, Ending::Killed(15));
    }

    #[test]
    fn lines_are_plain() {
        assert_eq!(lines(b"\n first\x1b[1m \r\n\n\x00\nla\xffst"), ["first[1m", "la\u{fffd}st"]);
        assert_eq!(lines(b" \n"), [""; 0]);
    }

    #[test]
    fn debug_shows_neither_arguments_nor_values() {
        let program = program("canary", Duration::ZERO).variable("TOKEN", "canary");
        assert!(!format!("{program:?}").contains("canary"), "{program:?}");
    }
}
