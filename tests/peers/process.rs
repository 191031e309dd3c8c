//! A server process that is waited for when it starts and ended when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take until it answers; generous, since machines that run tests are busy.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to end in good order before it is killed.
const END: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A running server and its log.
pub struct Process {
    child: Child,
    log: PathBuf,
    log_start: usize,
    farewell: Signal,
    hopeless: &'static [&'static str],
}

impl Process {
    /// Starts a server whose output goes to the end of the file `log`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn spawn(command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log can be opened");
        let err = out.try_clone().expect("a file can be cloned");
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let log_start = std::fs::read(log).map_or(0, |before| before.len());
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Process { child, log: log.to_owned(), log_start, farewell: Signal::TERM, hopeless: &[] }
    }

    /// Ends the server with this signal instead of SIGTERM.
    pub fn farewell(mut self, signal: Signal) -> Self {
        self.farewell = signal;
        self
    }

    /// Takes the server for lost as soon as it logs one of these texts: some run on when their port is another's.
    pub fn hopeless_when(mut self, texts: &'static [&'static str]) -> Self {
        self.hopeless = texts;
        self
    }

    /// Waits until `ready` says so; an error, with the log, when the process ends or is lost, or the time is over before.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + START;
        loop {
            let answers = ready();
            // Looked at after the answer: another server on that port may have given it.
            if let Some(status) = self.ended() {
                return Err(format!("it ended with {status}; its log:\n{}", self.log()));
            }
            if answers {
                return Ok(());
            }
            let log = self.log();
            if let Some(text) = self.hopeless.iter().find(|&&text| log.contains(text)) {
                return Err(format!("it cannot serve (`{text}`); its log:\n{log}"));
            }
            if Instant::now() > deadline {
                return Err(format!("it gave no right answer in {START:?}; its log:\n{log}"));
            }
            sleep(PAUSE);
        }
    }

    /// Everything that this process has printed so far; what earlier ones left in the same file is not among it.
    pub fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(self.log_start..).unwrap_or_default()).into_owned()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // The child is not reaped while `self` holds it, so that the id is still its own. An error means that it ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Process {
    /// Asks the server to end, kills it when it does not, and waits until it is gone.
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.signal(self.farewell);
        if !wait(END, || self.ended().is_some()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits until `condition` holds, at most `limit`; says whether it does.
pub fn wait(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(PAUSE);
    }
    true
}

/// Starts a server, with other ports when it does not come up: another process may have taken one.
///
/// # Panics
/// When no attempt succeeds, with the last log.
pub fn insist<T>(server: &str, mut start: impl FnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..4 {
        match start() {
            Ok(started) => return started,
            Err(error) => last = error,
        }
    }
    panic!("{server} does not start: {last}")
}

/// What is common to servers that may be ended and started again, at the same address and with the files that they left.
macro_rules! can_be_restarted {
    ($server:ty, $name:literal) => {
        impl $server {
            /// Everything that the server has logged.
            pub fn log(&self) -> String {
                self.folder.printed()
            }

            /// The process id of the running server.
            pub fn process_id(&self) -> Option<u32> {
                self.process.as_ref().map(Process::id)
            }

            /// Ends the server, and with it all that it did not keep in files.
            pub fn stop(&mut self) {
                self.process = None;
            }

            /// Starts the server again.
            ///
            /// # Panics
            /// When it does not come up, with its log.
            pub fn start_again(&mut self) {
                self.stop();
                insist($name, || self.run());
            }
        }
    };
}

pub(super) use can_be_restarted;
