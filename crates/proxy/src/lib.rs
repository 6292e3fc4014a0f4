//! A proxy between a server and PostgreSQL that breaks sessions at a chosen message.
//!
//! It knows where one message ends and which call of the array function it belongs to, so a fault happens
//! at the moment that matters and not "somewhere around it"; and it counts what it did, so that a
//! test can assert that its fault has happened. Sessions that are not its target pass untouched.

mod control;
mod message;
mod pipeline;
mod session;

pub use control::{Counts, Fault};

use control::Control;
use session::Session;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Which sessions a proxy breaks, and at which calls.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Part of the `application_name` in the StartupMessage.
    pub sessions: &'static str,
    /// Part of the text of the prepared statement that is executed.
    pub calls: &'static str,
}

impl Target {
    /// The calls that apply transfers.
    pub const LANES: Self = Self { sessions: "giro lane", calls: "giro.apply_transfers" };
}

/// A running proxy; dropping it closes every session through it.
pub struct Proxy {
    url: String,
    control: Arc<Control>,
    accepting: AbortHandle,
}

/// Where PostgreSQL is.
#[derive(Debug, Clone)]
enum Upstream {
    Unix(PathBuf),
    Tcp(String, u16),
}

impl Proxy {
    /// In front of the database of this URL, which names one host.
    pub async fn start(url: &str, target: Target) -> Self {
        let config: Config = url.parse().expect("a URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let control = Arc::new(Control::default());
        let session = Session { upstream: upstream(&config), target, control: control.clone() };
        Self {
            url: format!(
                "postgresql://{}@{address}/{}",
                config.get_user().expect("a user"),
                config.get_dbname().expect("a database")
            ),
            control,
            accepting: tokio::spawn(accept(listener, session)).abort_handle(),
        }
    }

    /// The same database through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets a fault happen at the next call that can have it, once.
    pub fn arm(&self, fault: Fault) {
        self.control.arm(fault);
    }

    /// Drops everything from now on, in both directions, and keeps the connections open.
    pub fn black_hole(&self) {
        self.control.change(|link| link.held = true);
    }

    /// Delivers what a black hole has held back, and all that follows.
    pub fn heal(&self) {
        self.control.change(|link| link.held = false);
    }

    /// Closes new sessions at their first packet, or lets them in.
    pub fn refuse(&self, refuse: bool) {
        self.control.change(|link| link.refusing = refuse);
    }

    /// Holds every message for so long before it is delivered; the next waits for it.
    pub fn delay(&self, delay: Duration) {
        self.control.change(|link| link.delay = delay);
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.control.counts()
    }

    /// How often a fault has happened.
    pub fn fired(&self, fault: Fault) -> u64 {
        self.control.fired(fault)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The sessions end with this task.
async fn accept(listener: TcpListener, session: Session) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("a connection");
                client.set_nodelay(true).expect("a socket");
                sessions.spawn(session.clone().run(client));
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

fn upstream(config: &Config) -> Upstream {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts() {
        [Host::Tcp(name)] => Upstream::Tcp(name.clone(), port),
        [Host::Unix(directory)] => Upstream::Unix(directory.join(format!(".s.PGSQL.{port}"))),
        hosts => panic!("one host, not {hosts:?}"),
    }
}
