use crate::{Client, TestDatabase};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

/// A server as a process of its own.
pub struct ServerProcess {
    child: Child,
    /// Speaks to the API.
    pub client: Client,
    /// Speaks to the operators' listener.
    pub admin: Client,
    /// What it has logged.
    pub log: Arc<Mutex<String>>,
    /// Ends with its log.
    reading: JoinHandle<()>,
}

impl ServerProcess {
    /// Starts `program serve` and waits until it is ready. Callers are patient: these tests are not
    /// about time.
    pub async fn start(program: &str, database: &TestDatabase) -> Self {
        let environment = [
            ("DATABASE_URL", database.server_url.as_str()),
            ("GIRO__SERVER__REQUEST_TIMEOUT", "20s"),
            ("GIRO__QUEUE__MAX_WAIT", "20s"),
            ("GIRO__QUEUE__TARGET_WAIT", "20s"),
        ];
        Self::run(program, &["serve"], &environment).await
    }

    /// Starts a command that serves, on free ports, and waits until it is ready. Its log is shown.
    pub async fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let server = Self::spawn(program, arguments, environment, true).await;
        server.unwrap_or_else(|why| panic!("{why}")).until_ready().await
    }

    /// The same, without its log, and without a settings file: `program` may be one of another version.
    pub async fn run_quietly(
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let server = Self::spawn(program, arguments, environment, false).await;
        server.unwrap_or_else(|why| panic!("{why}")).until_ready().await
    }

    /// Starts it as quietly, and waits only until it listens: its database may be away. Nothing if it
    /// ended before that.
    pub async fn launch(
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        Self::spawn(program, arguments, environment, false).await
    }

    async fn spawn(
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        shown: bool,
    ) -> Result<Self, String> {
        let mut command = Command::new(program);
        if !shown {
            command.current_dir("/");
        }
        let mut child = command
            .args(arguments)
            .env_remove("DATABASE_URL")
            .env("GIRO__SERVER__LISTEN", "127.0.0.1:0")
            .env("GIRO__ADMIN__LISTEN", "127.0.0.1:0")
            .env("GIRO__LOG__FORMAT", "json")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (api, admin) = addresses(&mut lines, &log, shown).await?;
        let rest = log.clone();
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                note(&rest, &line, shown);
            }
        });
        Ok(Self { child, client: Client::new(api), admin: Client::new(admin), log, reading })
    }

    async fn until_ready(self) -> Self {
        crate::eventually("the server is ready", async || {
            let answer = self.admin.send(hyper::Method::GET, "/readyz", &[], "").await;
            answer.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        self
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id() as i32).expect("a process id");
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Waits until it has ended, and all that it has logged is in [`Self::log`].
    pub async fn ended(mut self) -> ExitStatus {
        let status = self.child.wait().await.expect("an exit status");
        self.reading.await.expect("its log is read");
        status
    }
}

/// Where it listens, as it says itself; or its log, if it ended before.
async fn addresses(
    lines: &mut Lines<BufReader<ChildStderr>>,
    log: &Mutex<String>,
    shown: bool,
) -> Result<(SocketAddr, SocketAddr), String> {
    while let Some(line) = lines.next_line().await.expect("its log") {
        note(log, &line, shown);
        let json: Value = serde_json::from_str(&line).unwrap_or_default();
        if json["message"] == "serving" {
            let address = |name: &str| json[name].as_str().and_then(|text| text.parse().ok());
            return Ok((
                address("api").expect("an address"),
                address("admin").expect("an address"),
            ));
        }
    }
    Err(format!("it ended without serving: {}", log.lock().expect("the log")))
}

fn note(log: &Mutex<String>, line: &str, shown: bool) {
    if shown {
        eprintln!("{line}");
    }
    let mut log = log.lock().expect("the log");
    log.push_str(line);
    log.push('\n');
}

/// Runs a command of `program` on a database to its end, without a `DATABASE_URL` of this process: its exit
/// code, and what it printed and said.
pub async fn run(
    program: &str,
    command: &str,
    arguments: &[&str],
    url: Option<&str>,
) -> (Option<i32>, String, String) {
    run_in(program, command, arguments, url, &[]).await
}

/// The same with more in its environment.
pub async fn run_in(
    program: &str,
    command: &str,
    arguments: &[&str],
    url: Option<&str>,
    environment: &[(String, String)],
) -> (Option<i32>, String, String) {
    let mut command_line = Command::new(program);
    command_line.arg(command).args(arguments).env_remove("DATABASE_URL");
    command_line.envs(url.map(|url| ("DATABASE_URL", url)));
    command_line.envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command_line.output().await.expect("the program runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
