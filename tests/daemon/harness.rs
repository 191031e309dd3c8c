//! The program itself, started as its users start it: killed and waited for when dropped, its log shown when a test
//! fails.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::home::Home;
use crate::peers::{process, programs};

/// How long the program may take until it answers, or ends; generous, since machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of the log a failing test shows.
const TAIL: usize = 12_000;

/// What systemd would tell a service.
const SYSTEMD: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"];

/// A running daemon.
pub struct Daemon {
    child: Child,
    config: PathBuf,
    log: PathBuf,
    port: u16,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Daemon {
    /// Starts `renewd run` and waits until it answers on `/health/live`.
    ///
    /// # Panics
    /// When it does not, with its log.
    pub fn start(home: &Home) -> Self {
        Self::start_with_env(home, &[])
    }

    /// The same with these variables.
    pub fn start_with_env(home: &Home, variables: &[(&str, &str)]) -> Self {
        Self::start_with(home, &[], variables)
    }

    /// The same with further words on the command line.
    pub fn start_with(home: &Home, words: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut daemon = Self::spawn_with(home, words, variables);
        let answers = process::wait(PATIENCE, || daemon.has_ended().is_some() || daemon.is_live());
        let ended = daemon.has_ended();
        assert!(answers && ended.is_none(), "renewd does not come up ({ended:?}); its log:\n{}", daemon.log());
        daemon
    }

    /// Starts `renewd run` and waits for nothing: for one that is to die, or to be refused.
    pub fn spawn(home: &Home, variables: &[(&str, &str)]) -> Self {
        Self::spawn_with(home, &[], variables)
    }

    fn spawn_with(home: &Home, words: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = home.file("renewd.log");
        let out = File::options().create(true).append(true).open(&log).expect("the log can be opened");
        let mut command = program();
        command.args(["run", "--config"]).arg(home.config()).args(words).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a file can be cloned")).stderr(out);
        let child = command.spawn().expect("renewd can be started");
        Daemon { child, config: home.config(), log, port: home.port() }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The status that it ended with, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it runs on.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = process::wait(PATIENCE, || self.has_ended().is_some());
        assert!(ended, "renewd runs on for {PATIENCE:?}");
        self.has_ended().expect("it has ended")
    }

    /// Sends SIGTERM and waits.
    ///
    /// # Panics
    /// When it does not end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends SIGKILL and waits.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // The child is not reaped while it runs, so that the id is its own. An error means that it ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Saves the config anew and waits until it is in force or refused; says which by the log.
    pub fn reload_by_saving(&self, home: &Home, text: &str) {
        let outcomes = |log: &str| log.matches("the edited config is ").count();
        let before = outcomes(&self.log());
        home.save(text);
        let seen = process::wait(PATIENCE, || outcomes(&self.log()) > before);
        assert!(seen, "the saved config was not noticed; the log:\n{}", self.log());
    }

    /// GETs a path.
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    /// GETs a path with header lines.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn get_with(&self, path: &str, headers: &[&str]) -> Answer {
        self.try_get(path, headers).unwrap_or_else(|| panic!("nobody answers on {path}; the log:\n{}", self.log()))
    }

    /// The JSON of a path.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).body).expect("the body is JSON")
    }

    /// Runs `renewd` with these words and the daemon's config.
    pub fn cli(&self, words: &[&str]) -> Output {
        run(&self.config, words)
    }

    /// What `renewd … --json` prints; it must succeed.
    ///
    /// # Panics
    /// When it fails or prints something else.
    pub fn cli_json(&self, words: &[&str]) -> Value {
        let output = self.cli(&[words, &["--json"]].concat());
        assert!(output.status.success(), "renewd {words:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("renewd {words:?}: {error}: {output:?}"))
    }

    /// The certificates, as `list --json` tells them.
    pub fn certificates(&self) -> Vec<Value> {
        let list = self.cli_json(&["list"]);
        list["certificates"].as_array().unwrap_or_else(|| panic!("no list: {list}")).clone()
    }

    /// One certificate, as `show --json` tells it.
    pub fn show(&self, name: &str) -> Value {
        self.cli_json(&["show", name])
    }

    /// How far a certificate has come, as `list --json` tells it.
    pub fn state_of(&self, name: &str) -> String {
        let all = self.certificates();
        let one = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {all:?}"));
        one["state"].as_str().expect("a certificate has a state").to_owned()
    }

    /// Waits until every certificate is in this state.
    ///
    /// # Panics
    /// When it takes longer, with how they stand.
    pub fn until_all(&mut self, limit: Duration, state: &str) {
        let start = Instant::now();
        loop {
            let all = self.certificates();
            if !all.is_empty() && all.iter().all(|one| one["state"] == state) {
                return;
            }
            if start.elapsed() > limit {
                let lines = all.iter().map(|one| format!("{}: {} {}", one["name"], one["state"], one["problem"]));
                panic!("not every certificate is {state} in {limit:?}:\n{}", lines.collect::<Vec<_>>().join("\n"));
            }
            // Each look starts a program: time is left to the daemon.
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits for a condition.
    ///
    /// # Panics
    /// When it takes longer, or the daemon ends before.
    pub fn until(&mut self, limit: Duration, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            if let Some(status) = self.has_ended() {
                panic!("renewd ended with {status} before {what}");
            }
            assert!(start.elapsed() < limit, "{what}: not in {limit:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything that daemons of this home have logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn is_live(&self) -> bool {
        self.try_get("/health/live", &[]).is_some_and(|answer| answer.status == 200)
    }

    /// Asks for a path with header lines and further words for `curl`, such as a method or a body.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn send(&self, path: &str, headers: &[&str], words: &[&str]) -> Answer {
        let answer = self.try_send(path, headers, words);
        answer.unwrap_or_else(|| panic!("nobody answers on {path}; the log:\n{}", self.log()))
    }

    fn try_get(&self, path: &str, headers: &[&str]) -> Option<Answer> {
        self.try_send(path, headers, &[])
    }

    fn try_send(&self, path: &str, headers: &[&str], words: &[&str]) -> Option<Answer> {
        let mut curl = Command::new(programs::find("curl"));
        curl.args(["-q", "--silent", "--show-error", "--include", "--max-time", "20", "--noproxy", "*"]);
        // No body waits to be asked for.
        for header in ["Expect:"].iter().chain(headers) {
            curl.args(["--header", header]);
        }
        let output = programs::run(curl.args(words).arg(format!("http://127.0.0.1:{}{path}", self.port)), "");
        output.status.success().then(|| Answer::parse(&output.stdout)).flatten()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let start = (log.len().saturating_sub(TAIL)..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(0);
            eprintln!("--- the end of renewd's log ---\n{}", &log[start..]);
        }
        self.kill();
    }
}

impl Answer {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Answer { status, headers: lines.filter_map(header).collect(), body: bytes[end + 4..].to_vec() })
    }
}

/// `renewd` with nothing of the test's environment that it would heed.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
    let ours = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("RENEWD_"));
    for name in ours.chain(SYSTEMD.map(str::to_owned)) {
        command.env_remove(name);
    }
    command
}

/// Runs `renewd` with these words and this config to its end.
pub fn run(config: &std::path::Path, words: &[&str]) -> Output {
    programs::run(program().args(words).arg("--config").arg(config), "")
}

/// Everything that a program printed.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
