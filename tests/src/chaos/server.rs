//! A place for a server: its processes come and go.

use super::Stage;
use crate::nemesis::FakeClock;
use crate::{Client, ServerProcess};
use giro_proxy::Proxy;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a server may not want to start.
const START: Duration = Duration::from_secs(60);
/// How long an answer of the operators' listener may take: the process may be halted.
const ANSWER: Duration = Duration::from_secs(2);

/// Where callers send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which server, from 0.
    pub server: u16,
    /// Which process of it, from 0.
    pub generation: u32,
    /// Speaks to its API.
    pub client: Client,
    /// Speaks to its operators' listener.
    pub admin: Client,
}

/// One server of a stage.
pub struct StageServer {
    /// To each cluster, in the order of [`Stage::clusters`].
    pub proxies: Vec<Arc<Proxy>>,
    /// Nothing while it is down.
    pub process: Option<ServerProcess>,
    /// Processes that have run here before.
    pub generation: u32,
    /// What each process has logged, by generation.
    pub logs: Vec<Arc<Mutex<String>>>,
    /// Its own, if it can jump.
    pub clock: Option<FakeClock>,
    url: String,
}

impl StageServer {
    /// Behind these proxies, and down.
    pub(super) fn new(proxies: Vec<Arc<Proxy>>, url: String, clock: Option<FakeClock>) -> Self {
        Self { proxies, process: None, generation: 0, logs: Vec::new(), clock, url }
    }

    /// The sum of a metric's values over all label sets that contain a text; nothing while it is down or
    /// does not answer.
    pub async fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let admin = self.process.as_ref()?.admin;
        let answer = admin.send(hyper::Method::GET, "/metrics", &[], "");
        let text = tokio::time::timeout(ANSWER, answer).await.ok()?.ok()?.text;
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            let rest = key.strip_prefix(name)?;
            let is_it = rest.is_empty() || rest.starts_with('{');
            (is_it && rest.contains(labels)).then(|| value.parse::<f64>().ok())?
        });
        Some(values.sum())
    }

    /// Whether it runs and is not halted by a SIGSTOP.
    pub fn is_awake(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !crate::nemesis::is_halted(process.id()))
    }
}

impl Stage {
    /// Starts a process of a server that is down, and waits until it listens; its database may be away.
    pub async fn start_server(&mut self, number: usize) {
        let mut environment = vec![
            ("DATABASE_URL", self.servers[number].url.as_str()),
            ("GIRO__LOG__FILTER", "warn,giro_server=info"),
        ];
        let clock = self.servers[number].clock.as_ref().map(FakeClock::environment);
        let clock = clock.unwrap_or_default();
        let own = self.plan.environment.iter().chain(&clock);
        environment.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        let program = self.plan.giro.display().to_string();
        let started = Instant::now();
        let process = loop {
            match ServerProcess::launch(&program, &["serve"], &environment).await {
                Ok(process) => break process,
                // Its database refuses it, as one does that is about to be another.
                Err(why) => assert!(started.elapsed() < START, "{why}"),
            }
            sleep(Duration::from_millis(100)).await;
        };
        let server = &mut self.servers[number];
        let target = Target {
            server: number as u16,
            generation: server.generation,
            client: process.client,
            admin: process.admin,
        };
        server.logs.push(process.log.clone());
        server.process = Some(process);
        self.targets.send_modify(|targets| match targets.get_mut(number) {
            Some(old) => *old = target,
            None => targets.push(target),
        });
    }

    /// Takes the process of a server that is about to end: what starts there is of the next generation.
    pub fn take_server(&mut self, number: usize) -> Option<ServerProcess> {
        let server = &mut self.servers[number];
        let process = server.process.take()?;
        server.generation += 1;
        Some(process)
    }
}
