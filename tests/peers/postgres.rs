//! PostgreSQL: a cluster of its own, reached over TCP with a password (SCRAM), optionally with TLS.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, geteuid};

use super::folder::{Folder, random_word};
use super::process::{Process, can_be_restarted, insist};
use super::{ports, programs};

/// The user of the database, who may do everything.
const USER: &str = "renewd";

/// A running server with an empty cluster.
pub struct Postgres {
    folder: Folder,
    port: u16,
    password: String,
    account: Option<Account>,
    process: Option<Process>,
}

/// The account that the server runs as when the test runs as root, which PostgreSQL refuses.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

can_be_restarted!(Postgres, "PostgreSQL");

impl Postgres {
    /// Starts a server.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start() -> Self {
        insist("PostgreSQL", || Self::attempt(None))
    }

    /// Starts a server that offers TLS with this certificate and key (PEM files, which are copied).
    ///
    /// # Panics
    /// When it does not come up, with its log.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        insist("PostgreSQL", || Self::attempt(Some((certificate, key))))
    }

    /// The URL of the database `postgres`, without user and password.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user, who may do everything.
    pub fn user(&self) -> &str {
        USER
    }

    /// The password of the user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Makes a fresh database, dropping an older one of that name; returns its URL.
    pub fn database(&self, name: &str) -> String {
        self.sql(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
        self.sql(&format!("CREATE DATABASE \"{name}\""));
        self.url_of(name)
    }

    /// Runs a statement in the database `postgres`; its rows, a line each, columns parted by `|`.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, statement: &str) -> String {
        self.sql_in("postgres", statement)
    }

    /// Runs a statement in a database; its rows, a line each, columns parted by `|`.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql_in(&self, database: &str, statement: &str) -> String {
        programs::must(&mut self.psql(database), statement).trim_end().to_owned()
    }

    /// Puts another certificate and key in force.
    pub fn install_tls(&self, certificate: &Path, key: &Path) {
        self.copy(certificate, "server.crt");
        self.copy(key, "server.key");
        if let Some(process) = &self.process {
            process.signal(Signal::HUP);
        }
    }

    fn attempt(tls: Option<(&Path, &Path)>) -> Result<Self, String> {
        let folder = Folder::new("postgres");
        let account = geteuid().is_root().then(Account::find);
        let mut server = Postgres { folder, port: ports::tcp(), password: random_word(), account, process: None };
        server.give(server.folder.path());
        server.make_cluster();
        if let Some((certificate, key)) = tls {
            server.install_tls(certificate, key);
        }
        server.configure(tls.is_some());
        server.run()?;
        Ok(server)
    }

    fn make_cluster(&self) {
        let password = self.folder.write("password", &self.password);
        self.give(&password);
        let mut initdb = self.unprivileged("initdb");
        initdb.arg("--pgdata").arg(self.folder.file("data")).arg(format!("--pwfile={}", password.display()));
        initdb.args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        programs::must(&mut initdb, "");
    }

    /// Durable it need not be: a test ends the server in good order, and the folder goes with it.
    fn configure(&self, tls: bool) {
        let folder = self.folder.path().display();
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nfsync = off\n\
             shared_buffers = 32MB\nmax_connections = 100\nlogging_collector = off\n",
            self.port
        );
        if tls {
            text += &format!("ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n");
        }
        let file = self.folder.file("data/postgresql.auto.conf");
        std::fs::write(file, text).expect("the cluster takes its settings");
    }

    fn run(&mut self) -> Result<(), String> {
        let mut postgres = self.unprivileged("postgres");
        postgres.arg("-D").arg(self.folder.file("data"));
        // SIGINT: it cuts off its clients and ends in good order.
        let mut process = Process::spawn(&mut postgres, &self.folder.log()).farewell(Signal::INT);
        // Only this server knows this password: an answer is its own.
        process.wait_until(|| programs::run(&mut self.psql("postgres"), "SELECT 1").status.success())?;
        self.process = Some(process);
        Ok(())
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(programs::find("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--no-password"]);
        psql.args(["--host=127.0.0.1", &format!("--port={}", self.port), "--username", USER, "--dbname", database]);
        psql.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "10").env_remove("PGSSLMODE");
        psql
    }

    fn unprivileged(&self, program: &str) -> Command {
        let program = programs::find(program);
        let mut command = match self.account {
            None => Command::new(program),
            Some(Account { user, group }) => {
                let mut setpriv = Command::new(programs::find("setpriv"));
                setpriv.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
                setpriv.arg(program);
                setpriv
            }
        };
        command.current_dir(self.folder.path());
        command
    }

    fn copy(&self, from: &Path, name: &str) {
        let text = std::fs::read_to_string(from).unwrap_or_else(|error| panic!("cannot read {from:?}: {error}"));
        let file = self.folder.write(name, &text);
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("the mode of an own file can be set");
        self.give(&file);
    }

    fn give(&self, path: &Path) {
        if let Some(Account { user, group }) = self.account {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://127.0.0.1:{}/{database}", self.port)
    }
}

impl Account {
    /// The account of the distribution's own server, or nobody's.
    fn find() -> Self {
        Self::of("postgres").or_else(|| Self::of("nobody")).expect("the system has an account `nobody`")
    }

    fn of(name: &str) -> Option<Self> {
        let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
        let mut fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = fields.find(|fields| fields.first() == Some(&name))?;
        Some(Account { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
    }
}
